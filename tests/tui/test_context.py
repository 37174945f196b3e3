"""What the screens share."""

import threading
from collections.abc import Mapping

import pytest

from shakegpt.runs.speed import Speed
from shakegpt.runs.store import Store
from shakegpt.tui import context as context_module
from shakegpt.tui.context import AppContext
from shakegpt.tui.preferences import Preferences


def test_screens_that_ask_how_fast_this_machine_is_have_the_logs_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Store] = []
    both_ask = threading.Barrier(2)

    def read(store: Store) -> dict[str, Speed]:
        reads.append(store)
        return {"nano": Speed(58_000, 10_000.0)}

    monkeypatch.setattr(context_module, "measured_speeds", read)
    context = AppContext(store=Store.default(), preferences=Preferences())
    answers: list[Mapping[str, Speed]] = []

    def ask() -> None:
        both_ask.wait()
        answers.append(context.measured_speeds())

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reads == [context.store]
    assert answers == [{"nano": Speed(58_000, 10_000.0)}] * 2


def test_preferences_that_could_not_be_written_are_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = True
    written: list[Preferences] = []

    def save(preferences: Preferences) -> None:
        if failing:
            raise OSError(28, "No space left on device")
        written.append(preferences)

    monkeypatch.setattr(context_module, "save_preferences", save)
    context = AppContext(store=Store.default(), preferences=Preferences())
    context.remember(speed=10)
    with pytest.raises(OSError, match="No space"):
        context.save_preferences()
    failing = False
    context.save_preferences()
    context.save_preferences()
    assert [preferences.speed for preferences in written] == [10]
