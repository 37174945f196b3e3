"""Pictures of the checkpoint screen and the app's dialogs, with fixed runs: no clock, no store."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot

from shakegpt.runs.manifest import CheckpointInfo, FileEntry, Manifest
from shakegpt.runs.store import Store
from shakegpt.tui.checkpoints.checkpoint_screen import CheckpointScreen
from shakegpt.tui.checkpoints.listed_runs import ListedCheckpoint, ListedRun
from shakegpt.tui.checkpoints.run_detail import RunDetail
from tests.tui.fake_model_app import FakeModelApp, until

SMALL = (80, 24)
NOW = 1_795_384_800.0
RUNS = Path("/home/will/.local/share/shakegpt/runs")
Compare = Callable[..., bool]


def listed(
    name: str,
    status: Any,
    preset: str,
    corpus: str,
    weights: int,
    steps: int,
    hours: float,
    losses: dict[int, float | None],
) -> ListedRun:
    """A run begun some hours ago, with a checkpoint for each loss."""
    known = [loss for loss in losses.values() if loss is not None]
    checkpoints = tuple(
        ListedCheckpoint(
            info=CheckpointInfo(
                reference=f"{name}@{step}",
                run=name,
                path=RUNS / name / "checkpoints" / f"step-{step:08}",
                manifest=Manifest(
                    schema=1,
                    step=step,
                    val_loss=loss,
                    seconds=step * 0.11,
                    parameters=weights,
                    files={"model.safetensors": FileEntry(size=weights * 12, sha256="0" * 64)},
                ),
                created=NOW - hours * 3_600 + step * 0.11,
            ),
            best=loss is not None and loss == min(known),
            last=step == max(losses),
        )
        for step, loss in losses.items()
    )
    return ListedRun(
        name=name,
        status=status,
        preset=preset,
        corpus=corpus,
        parameters=weights,
        steps=steps,
        seed=1337,
        created=NOW - hours * 3_600,
        bytes=weights * 12 * len(checkpoints) + 91_000,
        checkpoints=checkpoints,
        path=str(RUNS / name),
    )


RUNS_LISTED = [
    listed("macbeth", "training", "mini", "tiny-shakespeare", 1_629_440, 5_000, 0.2, {1500: 1.611, 1750: 1.574}),
    listed("othello", "stopped", "nano", "sonnets", 58_432, 500, 30, {100: 2.31, 200: 2.11, 240: None}),
    listed("timon-of-athens-with-a-smaller-learning-rate", "failed", "baby", "first-folio", 10_770_000, 5_000, 80, {}),
    listed("hamlet", "finished", "mini", "tiny-shakespeare", 1_629_440, 5_000, 900, {4250: 1.469, 5000: 1.472}),
]


@pytest.fixture(autouse=True)
def fixed_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen.read_run_list", lambda store: RUNS_LISTED)
    monkeypatch.setattr("shakegpt.tui.checkpoints.run_list.time", SimpleNamespace(time=lambda: NOW))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def runs_app(home: Path, **options: Any) -> FakeModelApp:
    app = FakeModelApp(store=Store(home), mode="checkpoints", **options)
    app.context.loaded_checkpoint = "hamlet@4250"
    return app


def after(*keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Wait for the list of runs, then press keys."""

    async def prepare(pilot: Pilot[Any]) -> None:
        screen = pilot.app.screen_stack[0]
        assert isinstance(screen, CheckpointScreen)
        await until(pilot, lambda: screen.run_list.runs is not None)
        for key in keys:
            await pilot.press(key)
        detail = screen.query_one(RunDetail)
        await until(pilot, lambda: not detail.display or detail.shown == screen.current)
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()

    return prepare


def test_the_checkpoint_screen(snap_compare: Compare, home: Path, size: tuple[int, int]) -> None:
    keys = ["m", "down", "down", "down", "m", "end", "up"]
    assert snap_compare(runs_app(home), terminal_size=size, run_before=after(*keys))


def test_a_terminal_that_is_small(snap_compare: Compare, home: Path) -> None:
    assert snap_compare(runs_app(home), terminal_size=(60, 20), run_before=after())


@pytest.mark.parametrize("theme", ["shakegpt-paper", "shakegpt-16"])
def test_other_colours(snap_compare: Compare, home: Path, theme: str) -> None:
    app = runs_app(home)
    app.theme = theme
    assert snap_compare(app, terminal_size=SMALL, run_before=after("m"))


def test_a_terminal_without_utf8(snap_compare: Compare, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    assert snap_compare(runs_app(home), terminal_size=SMALL, run_before=after("m"))


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(["slash", *"nano"], id="filtering"),
        pytest.param(["slash", *"ophelia"], id="nothing-matches"),
        pytest.param(["b", "b"], id="by-loss"),
        pytest.param(["question_mark"], id="help"),
        pytest.param(["end", "D"], id="delete"),
        pytest.param(["end", "r"], id="train-on"),
        pytest.param(["end", "R", *"to", "space", *"be", "enter"], id="wrong-name"),
    ],
)
def test_what_keys_bring_up(snap_compare: Compare, home: Path, keys: list[str]) -> None:
    assert snap_compare(runs_app(home), terminal_size=SMALL, run_before=after(*keys))


def test_help_in_two_columns(snap_compare: Compare, home: Path) -> None:
    assert snap_compare(runs_app(home), terminal_size=(120, 40), run_before=after("question_mark"))


def test_no_run_yet(snap_compare: Compare, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen.read_run_list", lambda store: [])
    assert snap_compare(runs_app(home), terminal_size=SMALL, run_before=after())
