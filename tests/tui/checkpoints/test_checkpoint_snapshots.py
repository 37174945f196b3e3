"""Pictures of the runs screen with the chosen run beside the list."""

import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from textual.pilot import Pilot

from shakegpt.runs.store import Store
from shakegpt.tui.checkpoints import checkpoint_screen
from shakegpt.tui.checkpoints.checkpoint_screen import CheckpointScreen
from shakegpt.tui.checkpoints.listed_runs import ListedRun, read_run_list
from shakegpt.tui.checkpoints.run_detail import RunDetail
from tests.tui.checkpoints.conftest import NOW
from tests.tui.checkpoints.test_sweep_rows import swept
from tests.tui.fake_model_app import FakeModelApp, until

__all__ = ["swept"]

SMALL = (80, 24)
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def same_everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def read(store: Store) -> list[ListedRun]:
        runs = [run for run in read_run_list(store) if not run.is_built_in]
        # A log names the processor, so its length is not the same everywhere.
        return [
            replace(
                run,
                path=f"/home/will/runs/{run.name}",
                bytes=round(run.bytes, -4),
                sweep=run.sweep and replace(run.sweep, path=f"/home/will/sweeps/{run.sweep.name}"),
            )
            for run in runs
        ]

    monkeypatch.setattr(checkpoint_screen, "read_run_list", read)
    monkeypatch.setattr("shakegpt.tui.checkpoints.run_list.time", SimpleNamespace(time=lambda: NOW))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def after(*keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Press keys, and wait until the chosen run is shown."""

    async def prepare(pilot: Pilot[Any]) -> None:
        screen = cast(CheckpointScreen, pilot.app.screen_stack[0])
        await until(pilot, lambda: screen.run_list.runs is not None)
        await pilot.press(*keys)
        detail = screen.query_one(RunDetail)
        await until(pilot, lambda: detail.shown == screen.current and not detail.has_class("-no-log"))
        await pilot.pause()

    return prepare


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_run_beside_the_list(snap_compare: Compare, store: Store, width: int) -> None:
    app = FakeModelApp(store=store, mode="checkpoints")
    size = {80: (80, 24), 120: (120, 40), 200: (200, 60)}[width]
    assert snap_compare(app, terminal_size=size, run_before=after("m", "G", "k", "k", "k", "m"))


def test_a_terminal_without_utf8(snap_compare: Compare, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    app = FakeModelApp(store=store, mode="checkpoints")
    assert snap_compare(app, terminal_size=SMALL, run_before=after("m"))


@pytest.mark.parametrize("width", [80, 120])
def test_a_sweep_coloured_by_a_setting(snap_compare: Compare, swept: Store, width: int) -> None:
    app = FakeModelApp(store=swept, mode="checkpoints")
    size = {80: (80, 24), 120: (120, 40)}[width]
    assert snap_compare(app, terminal_size=size, run_before=after("g", "l", "C"))
