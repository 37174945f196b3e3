"""Sweeps on the runs screen: one row that folds their runs, marks, colours by a setting, and what is done with them."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from textual.content import Content

from shakegpt.config import PRESETS
from shakegpt.events import Event, Finished
from shakegpt.runs.run import Run, RunMetadata
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import make_plan, save_plan, sweep_folder
from shakegpt.tui.chart.chart_screen import ChartScreen
from shakegpt.tui.chart.cursor_line import CursorValues
from shakegpt.tui.chart.curve_plot import CurvePlot
from shakegpt.tui.checkpoints import run_actions
from shakegpt.tui.checkpoints.listed_runs import ListedRun, read_run_list
from shakegpt.tui.checkpoints.run_list import RunList
from shakegpt.tui.checkpoints.run_settings import run_settings
from shakegpt.tui.checkpoints.run_table import RowDetails, RunTable
from shakegpt.tui.dialogs.questions import ConfirmScreen
from tests.tui.checkpoints.conftest import put_checkpoint
from tests.tui.checkpoints.test_checkpoint_screen import RunsApp, answer_yes, at, ready
from tests.tui.fake_model_app import until

Events = Callable[..., list[Event]]
LOSSES = (2.0, 2.2, 1.8, 1.6)


def add_run(store: Store, name: str, events: Events, *, loss: float | None, day: int = 21, **training: Any) -> Run:
    preset = PRESETS["nano"]
    metadata = RunMetadata(
        preset="nano",
        model=preset.model_config(65),
        training=preset.training_config(steps=500, **training),
        corpus="demo",
        corpus_sha256="0" * 64,
        created=f"2026-11-{day:02}T20:00:00+00:00",
        versions={},
    )
    run = store.create(metadata, name)
    for event in events(upto=500, run=name):
        if loss is not None or not isinstance(event, Finished):
            run.log.append(event)
    run.log.close()
    if loss is not None:
        put_checkpoint(run, 500, loss)
    return run


@pytest.fixture
def swept(store: Store, events: Events) -> Store:
    """The three runs of ``store``, and a sweep of five planned runs, of which four have finished."""
    varied = {"learning-rate": ["1e-3", "3e-3"], "seed": ["1", "2"]}
    plan = make_plan("rates", varied, {"preset": ["nano"]})
    extra = replace(plan.runs[-1], name="rates-05")
    save_plan(store, replace(plan, runs=[*plan.runs, extra]))
    for planned, loss in zip(plan.runs, LOSSES, strict=True):
        rate, seed = planned.settings.values()
        add_run(store, planned.name, events, loss=loss, learning_rate=float(rate), seed=int(seed))
    return store


@pytest.fixture
def run_list(swept: Store) -> RunList:
    run_list = RunList()
    run_list.update(read_run_list(swept))
    return run_list


def keys(run_list: RunList) -> list[str]:
    return [row.key for row in run_list.rows() if not row.run.is_built_in]


def cell(app: RunsApp, row: str, column: str) -> str:
    table = app.runs.query_one(RunTable)
    return str(table.get_cell(row, column)).strip()


def legend(table: RunTable) -> str:
    return Content.from_markup(str(table.border_subtitle)).plain


def test_a_sweep_is_one_row_at_the_place_of_its_newest_run(run_list: RunList) -> None:
    assert keys(run_list)[0] == "rates/"
    assert not any(key.startswith("rates-") for key in keys(run_list))
    run_list.unfold(run_list.rows()[0])
    assert keys(run_list)[:6] == ["rates/", "rates-01", "rates-02", "rates-03", "rates-04", "hamlet"]


@pytest.mark.parametrize(
    ("sort", "reverse", "first"),
    [
        ("loss", False, ["rates/", "rates-04", "rates-03", "rates-01", "rates-02", "hamlet"]),
        ("name", True, ["rates/", "rates-04", "rates-03", "rates-02", "rates-01", "macbeth"]),
    ],
)
def test_its_runs_are_in_the_order_of_the_list(run_list: RunList, sort: Any, reverse: bool, first: list[str]) -> None:
    run_list.unfold(run_list.rows()[0])
    run_list.folded = frozenset(run.name for run in run_list.runs or ())
    run_list.sort, run_list.reverse = sort, reverse
    assert keys(run_list)[: len(first)] == first


def test_by_size_a_sweep_stands_where_all_its_runs_do(run_list: RunList) -> None:
    sizes = {run.name: run.bytes for run in run_list.runs or ()}
    larger = max(sizes["rates-01"], sizes["rates-02"]) + 1  # than any run of the sweep, and smaller than all
    run_list.runs = [replace(run, bytes=larger) if run.name == "hamlet" else run for run in run_list.runs or ()]
    run_list.sort = "size"
    run_list.folded = frozenset(sizes)
    assert keys(run_list)[:2] == ["rates/", "hamlet"]


def test_a_filter_leaves_the_runs_that_match(run_list: RunList) -> None:
    run_list.filter_words = "lr=3e-3 rates"
    (row,) = run_list.rows()
    assert row.sweep is not None
    assert [run.name for run in row.sweep.runs] == ["rates-03", "rates-04"]


def test_runs_without_a_plan_are_a_sweep_by_their_names_if_there_are_two(swept: Store, events: Events) -> None:
    shutil.rmtree(sweep_folder(swept, "rates"))
    add_run(swept, "solo-01", events, loss=None)
    sweeps = {run.name: run.sweep.name if run.sweep else None for run in read_run_list(swept)}
    assert {sweeps[f"rates-0{number}"] for number in range(1, 5)} == {"rates"}
    assert sweeps["solo-01"] is None
    assert sweeps["hamlet"] is None


def test_a_fold_hides_checkpoints_first_then_the_sweep(run_list: RunList) -> None:
    run_list.unfold(run_list.rows()[0])
    member = run_list.rows()[1]
    run_list.unfold(member)
    assert keys(run_list)[:3] == ["rates/", "rates-01", "rates-01@500"]
    run_list.fold(run_list.rows()[2])
    assert keys(run_list)[:3] == ["rates/", "rates-01", "rates-02"]
    run_list.fold(member)
    assert keys(run_list)[:2] == ["rates/", "hamlet"]


async def test_its_row_has_the_best_the_mean_and_spread_and_how_many_are_done(swept: Store) -> None:
    app = RunsApp(swept)
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await at(pilot, "rates/")
        row = {column: cell(app, "rates/", column) for column in ("name", "state", "step", "loss")}
        assert row == {"name": "▸ rates", "state": "4/5 done", "step": "1.900 ± 0.258", "loss": "1.600"}
        details = str(app.runs.query_one(RowDetails).render())
        assert "rates  4 of 5 runs done · best 1.600 (rates-04), mean 1.900 ± 0.258" in details
        assert str(sweep_folder(swept, "rates"))[:30] in details
        await pilot.press("l")
        assert cell(app, "rates/", "name") == "▾ rates"
        await pilot.press("j")
        await pilot.pause()
        assert "rates-01  learning-rate 1e-3, seed 1 · 58.4 k" in str(app.runs.query_one(RowDetails).render())
        await pilot.press("h")  # of a run whose checkpoints are hidden, the sweep
        await pilot.pause()
        assert app.runs.current is not None
        assert app.runs.current.key == "rates/"
        await pilot.press("enter")
        await until(pilot, lambda: app.generate_requests == ["rates-04@500"])


def test_each_value_of_a_setting_has_its_mean(run_list: RunList) -> None:
    settings = run_settings(run_list.rows()[0], None)
    assert settings["Runs"] == "4 of 5 runs done"
    assert settings["Best"] == "1.600, rates-04"
    assert settings["learning_rate 1e-3"] == "2.100 ± 0.141 of 2"
    assert settings["learning_rate 3e-3"] == "1.700 ± 0.141 of 2"
    assert settings["seed 2"] == "1.900 ± 0.424 of 2"
    assert not any("min_learning_rate" in label for label in settings)
    run_list.unfold(run_list.rows()[0])
    assert run_settings(run_list.rows()[1], None)["Sweep"] == "rates: learning-rate 1e-3, seed 1"


async def test_one_key_draws_its_curves(swept: Store) -> None:
    app = RunsApp(swept)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "rates/")
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, ChartScreen))
        assert [run.name for run in cast(ChartScreen, app.screen).runs] == [f"rates-0{n}" for n in range(1, 5)]


async def test_its_runs_are_marked_together(swept: Store) -> None:
    app = RunsApp(swept)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "rates/")
        for key in ("m", "W"):
            await pilot.press(key)
            assert app.runs.run_list.marked == tuple(f"rates-0{n}" for n in range(1, 5))
            assert cell(app, "rates/", "name") == "● ▸ rates"
            await pilot.press(key)
            assert app.runs.run_list.marked == ()
        await at(pilot, "lear")
        await pilot.press("W")
        assert app.runs.run_list.marked == ()
        assert "belongs to no sweep" in app.said


async def test_a_setting_chooses_the_colours_and_marks_in_the_list_and_in_the_chart(swept: Store) -> None:
    app = RunsApp(swept)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await at(pilot, "rates/")
        await pilot.press("l", "C")  # marks the sweep, where nothing is marked
        table = app.runs.query_one(RunTable)
        marks = [cell(app, f"rates-0{n}", "name")[0] for n in range(1, 5)]
        assert marks == ["●", "●", "▼", "▼"]
        assert legend(table) == "learning_rate  ● 1e-3 ▼ 3e-3"
        styles = [table.get_cell(f"rates-0{n}", "name").spans[0].style.color.name for n in range(1, 5)]
        assert styles[0] == styles[1] != styles[2] == styles[3]
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, ChartScreen))
        await pilot.pause()
        chart = cast(ChartScreen, app.screen)
        text = chart.query_one(CursorValues).text
        assert "by learning_rate:   ● 1e-3: " in text
        assert " (mean of 2)   ▼ 3e-3: " in text
        markers = [dataset.marker for dataset in chart.query_one(CurvePlot)._datasets if hasattr(dataset, "marker")]
        assert markers == ["●", "●", "▼", "▼"]
        await pilot.press("C")
        await pilot.pause()
        assert "by seed:   ● 1: " in chart.query_one(CursorValues).text
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.runs)
        await pilot.pause()
        assert app.runs.run_list.colour_by == "seed"  # the list follows the chart
        await pilot.press("C")
        assert [cell(app, f"rates-0{n}", "name")[0] for n in range(1, 5)] == ["●", "▼", "×", "○"]
        assert legend(table) == ""


async def test_nothing_is_coloured_where_the_marked_runs_do_not_differ(swept: Store) -> None:
    app = RunsApp(swept)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "lear")
        await pilot.press("m", "C")
        assert "Mark runs that differ" in app.said
        assert app.runs.run_list.colour_by is None


async def test_resume_goes_on_with_what_is_missing(swept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(run_actions, "begin_in_background", lambda _, plan: begun.append(plan.name))
    app = RunsApp(swept)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "rates/")
        await pilot.press("r")
        await until(pilot, lambda: begun == ["rates"])
        await until(pilot, lambda: "1 of 5 runs" in app.said)
        assert app.requests == []


@pytest.mark.parametrize(("key", "said"), [("R", "cannot be renamed"), ("X", "not in training")])
async def test_what_a_sweep_cannot_do_is_said(swept: Store, key: str, said: str) -> None:
    app = RunsApp(swept)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "rates/")
        await pilot.press(key)
        await until(pilot, lambda: said in app.said)


async def test_all_its_runs_are_deleted_after_a_question_and_come_back_one_by_one(swept: Store) -> None:
    app = RunsApp(swept)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "rates/")
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        assert Path(swept.runs_folder / "rates-01").exists()
        await answer_yes(pilot)
        await until(pilot, lambda: not any("rates" in key for key in app.keys))
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "rates/" in app.keys)
        assert [run.name for run in cast(list[ListedRun], app.runs.run_list.runs) if run.sweep] == ["rates-04"]


async def test_a_sweep_in_training_is_stopped_by_its_own_process(swept: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(run_actions, "sweep_owner", lambda *_: "process 7 on here")
    monkeypatch.setattr(run_actions, "stop_sweep", lambda _, name: stopped.append(name))
    app = RunsApp(swept)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "rates/")
        await pilot.press("r")
        await until(pilot, lambda: "in training already, by process 7 on here" in app.said)
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await answer_yes(pilot)
        await until(pilot, lambda: stopped == ["rates"])
