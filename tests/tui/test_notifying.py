"""``--notify`` in the app, which owns the terminal."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.terminal_notice import BELL, desktop_notification
from shakegpt.tui import notifying
from shakegpt.tui.app import ShakegptApp
from tests.tui.fake_model_app import FakeModelApp, until

Snapshots = Callable[[str], Snapshot]
Fake = Callable[[str], Any]


def said(app: ShakegptApp) -> str:
    return " ".join(notification.message for notification in app._notifications)


async def test_the_apps_driver_writes_the_sequences(
    snapshots: Snapshots, fake_training: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TMUX", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    training = fake_training("training")
    app = FakeModelApp(training=training, notify=["bell", "desktop"])
    async with app.run_test() as pilot:
        written: list[str] = []
        monkeypatch.setattr(app._driver, "write", written.append)
        training.move(snapshots("finished"))
        await until(pilot, lambda: any(text.endswith(BELL) for text in written))
        sequence = next(text for text in written if text.endswith(BELL))
    name = training.latest.started.run
    assert sequence.startswith(f"\x1b]9;shakegpt: {name} has finished at step ")
    message = sequence.partition(": ")[2].partition(BELL)[0]
    assert sequence == desktop_notification(message, {}) + BELL
    app.notifier.finish()


async def test_a_training_that_goes_on_without_the_app_is_told_of_too(
    snapshots: Snapshots, fake_training: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(notifying, "terminal_writer", lambda: written.append)
    training = fake_training("training")
    app = FakeModelApp(training=training, notify=["bell"])
    async with app.run_test():
        pass
    assert written == []
    training.move(snapshots("failed"))
    app.notifier.finish()
    assert written == [BELL]


async def test_the_screen_says_that_a_command_fails(snapshots: Snapshots, fake_training: Fake) -> None:
    training = fake_training("training")
    app = FakeModelApp(training=training, notify=["echo no [door] >&2; exit 7"])
    async with app.run_test() as pilot:
        training.move(snapshots("stopped"))
        await until(pilot, lambda: "exit 7', failed with 7: no [door]." in said(app))
    app.notifier.finish()


async def test_another_training_takes_the_place_of_the_one_before(
    snapshots: Snapshots, fake_training: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(notifying, "terminal_writer", lambda: written.append)
    first, second = fake_training("training"), fake_training("training")
    app = FakeModelApp(training=first, notify=["bell"])
    async with app.run_test():
        app._attach_training(second)
    first.move(snapshots("finished"))
    second.move(snapshots("finished"))
    app.notifier.finish()
    assert written == [BELL]


async def test_a_browser_is_told_nothing(fake_training: Fake) -> None:
    app = FakeModelApp(training=fake_training("training"), notify=[f"{sys.executable} -V"], only_watch=True)
    async with app.run_test():
        assert app.notifier._notifier is None
