"""Pictures of the training screen, its chart and its form, with fixed runs: no clock, no training."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from shakegpt.runs.snapshot import Snapshot, replay
from shakegpt.tui.chart.chart_screen import ChartScreen
from shakegpt.tui.chart.cursor_line import CursorLine
from shakegpt.tui.chart.lines import NamedRun
from tests.tui.fake_model_app import until
from tests.tui.training_app import TrainingApp

SMALL = (80, 24)
Compare = Callable[..., bool]
Snapshots = Callable[[str], Snapshot]


@pytest.mark.parametrize("state", ["empty", "training", "failed"])
def test_the_training_screen(snap_compare: Compare, snapshots: Snapshots, size: tuple[int, int], state: str) -> None:
    app = TrainingApp(None if state == "empty" else snapshots(state))
    assert snap_compare(app, terminal_size=size)


@pytest.mark.parametrize("state", ["loading", "fresh", "paused", "finished", "stopped", "disk full"])
def test_the_states_of_the_training_screen(snap_compare: Compare, snapshots: Snapshots, state: str) -> None:
    assert snap_compare(TrainingApp(snapshots(state)), terminal_size=SMALL)


def test_a_terminal_that_is_small(snap_compare: Compare, snapshots: Snapshots) -> None:
    assert snap_compare(TrainingApp(snapshots("training")), terminal_size=(60, 20))


def test_the_colours_of_the_terminal(snap_compare: Compare, snapshots: Snapshots) -> None:
    app = TrainingApp(snapshots("training"))
    app.theme = "ansi-dark"
    assert snap_compare(app, terminal_size=SMALL)


def test_the_chart(snap_compare: Compare, snapshots: Snapshots, size: tuple[int, int]) -> None:
    async def open_chart(pilot: Pilot[Any]) -> None:
        await pilot.press("z")
        await until(pilot, lambda: pilot.app.screen.query_one(CursorLine).column is not None)  # which comes last

    assert snap_compare(TrainingApp(snapshots("finished")), run_before=open_chart, terminal_size=size)


def test_the_chart_zoomed_logarithmic_and_by_time(snap_compare: Compare, snapshots: Snapshots) -> None:
    keys = ["z", "b", "L", "S", "left", "+", "+"]
    assert snap_compare(TrainingApp(snapshots("finished")), press=keys, terminal_size=SMALL)


def test_runs_laid_over_each_other(
    snap_compare: Compare, snapshots: Snapshots, events: Callable[..., list[Any]]
) -> None:
    curves = [
        NamedRun("macbeth", snapshots("finished")),
        NamedRun("lear", replay(events(upto=240, run="lear", eval_every=20))),
    ]

    async def overlay(pilot: Pilot[Any]) -> None:
        await pilot.app.push_screen(ChartScreen(curves))
        await pilot.pause()

    assert snap_compare(TrainingApp(), run_before=overlay, terminal_size=SMALL)


@pytest.mark.parametrize("mistake", [False, True])
def test_the_form(snap_compare: Compare, mistake: bool) -> None:
    async def fill(pilot: Pilot[Any]) -> None:
        await pilot.press("n")
        await pilot.pause()
        if mistake:
            await pilot.press(*["tab"] * 5, *"many", "tab", "0", "tab", "tab")
        pilot.app.screen.set_focus(None)  # a cursor blinks
        await pilot.pause()

    assert snap_compare(TrainingApp(), run_before=fill, terminal_size=SMALL)
