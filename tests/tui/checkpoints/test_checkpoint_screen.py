"""The checkpoint screen: what the store holds, in order, and what can be done with it by key."""

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from shakegpt.errors import ShakegptError
from shakegpt.events import Event
from shakegpt.runs.notes import change_tags, write_note
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import Snapshot, replay
from shakegpt.runs.store import Store
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.chart.chart_screen import ChartScreen
from shakegpt.tui.chart.curve_plot import CurvePlot
from shakegpt.tui.checkpoints.checkpoint_screen import CheckpointScreen
from shakegpt.tui.checkpoints.listed_runs import ListedRun, read_run_list
from shakegpt.tui.checkpoints.log_reader import LogReader
from shakegpt.tui.checkpoints.run_detail import RunDetail
from shakegpt.tui.checkpoints.run_list import Row, age, filter_runs, sort_runs
from shakegpt.tui.checkpoints.run_settings import run_settings
from shakegpt.tui.checkpoints.run_table import RunTable
from shakegpt.tui.dialogs.questions import ConfirmScreen, PromptScreen
from shakegpt.tui.formatting import NO_VALUE
from shakegpt.tui.messages import GenerateFrom, StartTraining
from shakegpt.tui.training.metric_panel import MetricPanel
from shakegpt.tui.training.new_run import NewRunScreen
from tests.processes import PATIENCE
from tests.tui.checkpoints.conftest import NOW, put_checkpoint
from tests.tui.fake_model_app import FakeModelApp, until

Events = Callable[..., list[Event]]


class RunsApp(FakeModelApp):
    """The app on its checkpoint screen, and a note of what that asks for."""

    def __init__(self, store: Store, **options: Any) -> None:
        super().__init__(store=store, mode="checkpoints", **options)
        self.requests: list[TrainingRequest] = []
        self.generate_requests: list[str] = []

    def on_start_training(self, message: StartTraining) -> None:
        message.prevent_default()
        self.requests.append(message.request)

    def on_generate_from(self, message: GenerateFrom) -> None:  # type: ignore[override]
        message.prevent_default()
        self.generate_requests.append(message.reference)

    @property
    def runs(self) -> CheckpointScreen:
        return cast(CheckpointScreen, self.screen_stack[0])

    @property
    def keys(self) -> list[str]:
        return [str(row.value) for row in self.runs.query_one(RunTable).rows]

    @property
    def said(self) -> str:
        return " ".join(str(notification.message) for notification in self._notifications)


async def ready(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: cast(RunsApp, pilot.app).runs.run_list.runs is not None)
    await pilot.pause()


async def at(pilot: Pilot[Any], key: str) -> None:
    """Move the cursor to a row."""
    app = cast(RunsApp, pilot.app)
    while app.runs.current is None or app.runs.current.key != key:
        assert app.runs.query_one(RunTable).cursor_row < len(app.keys) - 1, f"there is no row {key}"
        await pilot.press("down")


# The list of runs


def test_every_run_is_listed_newest_first(store: Store) -> None:
    runs = [run for run in read_run_list(store) if not run.is_built_in]
    assert [(run.name, run.status, run.step, run.best_loss) for run in runs] == [
        ("hamlet", "finished", 500, 1.9),
        ("macbeth", "killed", 200, 2.1),
        ("lear", "killed", 0, None),
    ]
    hamlet, _, lear = runs
    assert [(c.reference, c.best, c.last) for c in hamlet.checkpoints] == [
        ("hamlet@100", False, False),
        ("hamlet@300", True, False),
        ("hamlet@500", False, True),
    ]
    assert (lear.best, lear.last) == (None, None)


def test_a_damaged_run_is_left_out(store: Store) -> None:
    (store.runs_folder / "macbeth" / "run.json").write_text("{")
    assert {"hamlet", "lear"} <= {run.name for run in read_run_list(store)}


@pytest.mark.parametrize(
    ("key", "reverse", "names"),
    [
        ("age", False, ["hamlet", "macbeth", "lear"]),
        ("age", True, ["lear", "macbeth", "hamlet"]),
        ("name", False, ["hamlet", "lear", "macbeth"]),
        ("loss", False, ["hamlet", "macbeth", "lear"]),
        ("loss", True, ["macbeth", "hamlet", "lear"]),  # a run without a loss is last either way
        ("step", False, ["hamlet", "macbeth", "lear"]),
        ("size", True, ["lear", "macbeth", "hamlet"]),
    ],
)
def test_runs_are_sorted(store: Store, key: Any, reverse: bool, names: list[str]) -> None:
    runs = [run for run in read_run_list(store) if not run.is_built_in]
    assert [run.name for run in sort_runs(runs, key, reverse=reverse)] == names


@pytest.mark.parametrize(
    ("words", "names"),
    [("", 3), ("ham", ["hamlet"]), ("NANO demo", ["macbeth"]), ("killed", ["macbeth", "lear"]), ("nano seed", [])],
)
def test_runs_are_filtered_by_words(store: Store, words: str, names: Any) -> None:
    runs = [run for run in read_run_list(store) if not run.is_built_in]
    found = [run.name for run in filter_runs(runs, words)]
    assert len(found) == names if isinstance(names, int) else found == names


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("baseline", ["macbeth"]),
        ("FIRST try", ["macbeth"]),
        ("lr=2e-3", ["lear"]),
        ("lr=3e-3 baseline", ["macbeth"]),
        ("rate=high", ["macbeth"]),
        ("macb lr=", ["macbeth"]),  # its value is still to be typed
    ],
)
def test_runs_are_filtered_by_tag_note_and_setting(store: Store, words: str, names: list[str]) -> None:
    macbeth = store.run("macbeth")
    change_tags(macbeth, add=("baseline",))
    write_note(macbeth, "First try, rate=high")
    runs = [run for run in read_run_list(store) if not run.is_built_in]
    assert [run.name for run in filter_runs(runs, words)] == names
    (listed,) = (run for run in runs if run.name == "macbeth")
    settings = run_settings(Row(listed), None)
    assert (settings["Tags"], settings["Note"]) == ("baseline", "First try, rate=high")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (7_200, "2h"), (86_400 * 6, "6d"), (86_400 * 30, "4w"), (86_400 * 800, "2y")],
)
def test_an_age_has_one_unit(seconds: float, text: str) -> None:
    assert age(NOW - seconds, NOW) == text
    assert age(NOW + 60, NOW) == "0s"  # a clock that was wrong


# By key


async def test_every_run_and_checkpoint_has_a_row(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        rows = ["hamlet", "hamlet@100", "hamlet@300", "hamlet@500", "macbeth", "macbeth@100", "macbeth@200", "lear"]
        assert [key for key in app.keys if "pretrained" not in key] == rows
        assert app.focused is app.runs.query_one(RunTable)


async def test_the_built_in_model_is_one_row_that_can_only_generate(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = [replace(run, name="pretrained", status="built-in", created=None) for run in read_run_list(store)[:1]]
    best = replace(shipped[0].checkpoints[1].info, reference="pretrained", run=None)
    shipped = [replace(shipped[0], checkpoints=(replace(shipped[0].checkpoints[1], info=best, last=True),))]
    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen.read_run_list", lambda store: shipped)
    app = RunsApp(store)
    app.context.loaded_checkpoint = "pretrained"
    async with app.run_test() as pilot:
        await ready(pilot)
        assert app.keys == ["pretrained"]
        assert "▶ built-in model" in "".join(
            segment.text for line in app.screen._compositor.render_strips() for segment in line
        )
        for key in ("r", "z", "m", "R", "D", "X"):
            await pilot.press(key)
            await pilot.pause()
            assert app.screen is app.runs
        await pilot.press("enter")
        await until(pilot, lambda: app.generate_requests == ["pretrained"])
        assert app.requests == []


async def test_enter_on_a_run_opens_its_best_checkpoint(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("enter")
        await at(pilot, "hamlet@100")
        await pilot.press("enter")
        await until(pilot, lambda: app.generate_requests == ["hamlet@300", "hamlet@100"])
        await at(pilot, "lear")
        await pilot.press("enter")
        await until(pilot, lambda: "lear has no checkpoint" in app.said)
        assert len(app.generate_requests) == 2


async def test_the_app_opens_a_checkpoint_in_the_generation_screen(store: Store) -> None:
    app = FakeModelApp(store=store, mode="checkpoints")
    async with app.run_test() as pilot:
        await pilot.pause()
        app.screen.post_message(GenerateFrom("hamlet@300"))
        await until(pilot, lambda: app.current_mode == "generation" and app.generation.left.reference == "hamlet@300")


async def test_resume_goes_on_from_the_last(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "macbeth")
        await pilot.press("r")
        await at(pilot, "macbeth@100")
        await pilot.press("r")
        assert app.requests == [TrainingRequest(resume="macbeth@200"), TrainingRequest(resume="macbeth@100")]
        await at(pilot, "lear")
        await pilot.press("r")
        await until(pilot, lambda: "no checkpoint here" in app.said)


async def test_a_finished_run_is_asked_for_more_steps(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen))
        field = app.screen.query_one(Input)
        assert field.value == "1000"
        field.value = "500"
        await pilot.press("enter")
        assert isinstance(app.screen, PromptScreen)
        assert "above 500" in str(app.screen.query_one("#error", Static).render())
        field.value = "800"
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, PromptScreen))
        assert app.requests == [TrainingRequest(resume="hamlet@500", changes={"steps": 800})]


async def test_curves_of_one_run_and_of_the_marked_ones(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, ChartScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.runs)
        await pilot.press("m")
        await at(pilot, "macbeth@100")
        await pilot.press("m", "z")
        await until(pilot, lambda: isinstance(app.screen, ChartScreen))
        assert [run.name for run in cast(Any, app.screen).runs] == ["hamlet", "macbeth"]


async def test_rename(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "macbeth@100")
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen))
        field = app.screen.query_one(Input)
        for bad in ("", "a b", "../up"):
            field.value = bad
            await pilot.press("enter")
            assert isinstance(app.screen, PromptScreen), bad
        field.value = "cawdor"
        await pilot.press("enter")
        await until(pilot, lambda: "cawdor@200" in app.keys)
        assert "macbeth" not in app.keys
        assert store.run("cawdor").last() is not None


async def test_a_name_that_is_taken_is_refused(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, PromptScreen))
        app.screen.query_one(Input).value = "lear"
        await pilot.press("enter")
        await until(pilot, lambda: "already" in app.said)
        assert {run.name for run in store.runs()} == {"hamlet", "macbeth", "lear"}


@pytest.mark.parametrize("no", ["n", "escape", "enter"])
async def test_deleting_asks_first(store: Store, no: str) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press(no)
        await until(pilot, lambda: app.screen is app.runs)
        await pilot.app.workers.wait_for_complete()
        assert store.run("hamlet").last() is not None


async def test_delete_a_checkpoint_then_its_run(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "hamlet@300")
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: "hamlet@300" not in app.keys)
        assert [info.step for info in store.run("hamlet").checkpoints()] == [100, 500]
        await pilot.press("home", "D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        await pilot.press("y")
        await until(pilot, lambda: "hamlet" not in app.keys)
        with pytest.raises(ShakegptError):
            store.run("hamlet")


async def test_a_run_in_training_is_neither_renamed_nor_deleted_nor_resumed(store: Store) -> None:
    app = RunsApp(store)
    with store.run("hamlet").lock():
        async with app.run_test() as pilot:
            await ready(pilot)
            for key in ("R", "D", "r"):
                await pilot.press(key)
                await pilot.pause()
                assert app.screen is app.runs
            assert app.said.count("in training") == 3
            assert app.requests == []


async def test_a_run_that_starts_to_train_meanwhile_is_not_deleted(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("D")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        with store.run("hamlet").lock():
            await pilot.press("y")
            await until(pilot, lambda: "hamlet" in app.said)
        assert store.run("hamlet").last() is not None


async def test_copy_the_path(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "hamlet@100")
        await pilot.press("y")
        await pilot.pause()
        path = str(store.run("hamlet").checkpoint_path(100))
        assert app.clipboard == path
        assert path in app.said


async def test_filter_while_typing(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("slash", *"macb")
        await until(pilot, lambda: app.keys == ["macbeth", "macbeth@100", "macbeth@200"])
        await pilot.press("enter")
        assert app.focused is app.runs.query_one(RunTable)
        assert app.keys == ["macbeth", "macbeth@100", "macbeth@200"]
        await pilot.press("slash", *"eth?")
        await until(pilot, lambda: app.keys == [])
        assert "Nothing matches" in str(app.runs.query_one("#nothing", Static).render())
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "hamlet" in app.keys)
        assert not app.runs.has_class("-filtering")


async def test_sort_and_reverse(store: Store) -> None:
    app = RunsApp(store)

    def runs() -> list[str]:
        return [key for key in app.keys if "@" not in key and key != "pretrained"]

    async with app.run_test() as pilot:
        await ready(pilot)
        for keys, order in (
            ("b", ["hamlet", "lear", "macbeth"]),
            ("B", ["macbeth", "lear", "hamlet"]),
            ("b", ["hamlet", "macbeth", "lear"]),
        ):
            await pilot.press(keys)
            await pilot.pause()
            assert runs() == order


@pytest.mark.parametrize(("fold", "unfold"), [("h", "l"), ("left", "right")])
async def test_fold(store: Store, fold: str, unfold: str) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "macbeth@200")
        await pilot.press(fold)
        await pilot.pause()
        assert "macbeth" in app.keys
        assert "macbeth@200" not in app.keys
        assert app.runs.current is not None
        assert app.runs.current.key == "macbeth"  # and not the row that is in the old place now
        await pilot.press("home", fold, fold)
        await pilot.pause()
        assert "hamlet@100" not in app.keys
        await pilot.press(unfold)
        await pilot.pause()
        assert "hamlet@100" in app.keys


async def test_the_keys_of_vim_move_as_the_arrows_do(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        rows = []
        for key in ("j", "j", "k", "G", "g"):
            await pilot.press(key)
            assert app.runs.current is not None
            rows.append(app.runs.current.key)
        assert rows == ["hamlet@100", "hamlet@300", "hamlet@100", app.keys[-1], "hamlet"]


async def test_the_cursor_stays_on_its_row_when_the_store_changes(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "macbeth@200")
        put_checkpoint(store.run("hamlet"), 400, 1.8)
        await pilot.press("f5")
        await until(pilot, lambda: "hamlet@400" in app.keys)
        assert app.runs.current is not None
        assert app.runs.current.key == "macbeth@200"


async def test_a_checkpoint_saved_in_training_appears_soon(
    store: Store, snapshots: Callable[[str], Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen._SECONDS_PER_READ", 0.01)
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        put_checkpoint(store.run("macbeth"), 240, 2.0)
        app.runs.show(snapshots("training"))
        await until(pilot, lambda: "macbeth@240" in app.keys)


async def test_only_what_differs_is_drawn_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        drawn: list[tuple[int, int]] = []
        update = RunTable.update_cell_at

        def note(table: RunTable, at: Any, cell: Any) -> None:
            drawn.append(at)
            update(table, at, cell)

        monkeypatch.setattr(RunTable, "update_cell_at", note)
        monkeypatch.setattr(RunTable, "clear", lambda *_, **__: pytest.fail("the whole table is drawn again"))
        await pilot.press("m")
        await pilot.pause()
        assert drawn == [(0, 0)]


async def test_an_empty_store_says_how_to_start_a_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen.read_run_list", lambda store: [])
    app = RunsApp(Store(home))
    async with app.run_test() as pilot:
        await ready(pilot)
        assert "No run yet" in str(app.runs.query_one("#nothing", Static).render())
        for key in ("enter", "r", "z", "m", "R", "D", "X", "y", "h", "l", "b", "B", "ctrl+z", "j", "G"):
            await pilot.press(key)
        assert app.screen is app.runs


async def test_a_store_that_cannot_be_read_is_reported(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(store: Store) -> None:
        raise ShakegptError("The store cannot be read: Permission denied.")

    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen.read_run_list", fail)
    app = RunsApp(Store(home))
    async with app.run_test() as pilot:
        await ready(pilot)
        assert "Permission denied" in str(app.runs.query_one("#nothing", Static).render())


async def test_a_slow_read_of_the_store_does_not_undo_a_later_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_has_read, later_is_shown, ended = threading.Event(), threading.Event(), threading.Event()

    def read_slowly(store: Store) -> list[ListedRun]:
        runs = read_run_list(store)
        slow_has_read.set()
        later_is_shown.wait(PATIENCE)
        ended.set()
        return runs

    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        with monkeypatch.context() as patch:
            patch.setattr("shakegpt.tui.checkpoints.checkpoint_screen.read_run_list", read_slowly)
            await pilot.press("f5")
            await until(pilot, slow_has_read.is_set)
        shutil.rmtree(store.run("lear").path)
        await pilot.press("f5")
        await until(pilot, lambda: "lear" not in app.keys)
        later_is_shown.set()
        await until(pilot, ended.is_set)
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert "lear" not in app.keys


async def test_control_characters_in_names_are_escaped(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [replace(run, name="[b]\x1b[2J", corpus="\x1b]52;c;\x07[/x]") for run in read_run_list(store)[:1]]
    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen.read_run_list", lambda store: runs)
    app = RunsApp(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        drawn = "".join(segment.text for line in app.screen._compositor.render_strips() for segment in line)
        assert "[b]\\x1b[2J" in drawn
        assert "\x1b" not in drawn
        for key in ("r", "R", "escape", "D", "escape", "y"):
            await pilot.press(key)
            await pilot.pause()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
async def test_the_columns_fit(store: Store, width: int) -> None:
    app = RunsApp(store)
    async with app.run_test(size=(width, 24)) as pilot:
        await ready(pilot)
        table = app.runs.query_one(RunTable)
        assert table.virtual_size.width <= width
        assert table.max_scroll_x == 0


# The built-in model, and what was never evaluated


def test_the_built_in_model_is_not_as_old_as_the_installation(store: Store) -> None:
    built_in = read_run_list(store)[-1]
    assert (built_in.name, built_in.title, built_in.status) == ("pretrained", "built-in model", "built-in")
    assert age(built_in.created) == NO_VALUE


def test_no_checkpoint_is_the_best_where_none_was_evaluated(store: Store) -> None:
    put_checkpoint(store.run("lear"), 100, None)
    put_checkpoint(store.run("lear"), 200, None)
    lear = next(run for run in read_run_list(store) if run.name == "lear")
    assert [checkpoint.best for checkpoint in lear.checkpoints] == [False, False]
    assert lear.best is not None
    assert lear.best.reference == "lear@200"  # what the run's name alone opens, as on the command line


# Delete and undo


async def answer_yes(pilot: Pilot[Any]) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfirmScreen))
    await pilot.press("y")


async def test_what_was_deleted_comes_back(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "hamlet@300")
        await pilot.press("D")
        await answer_yes(pilot)
        await until(pilot, lambda: "hamlet@300" not in app.keys)
        await pilot.press("home", "D")
        await answer_yes(pilot)
        await until(pilot, lambda: "hamlet" not in app.keys)
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "hamlet" in app.keys)
        assert "hamlet@300" not in app.keys
        await pilot.press("ctrl+z")
        await until(pilot, lambda: "hamlet@300" in app.keys)
        assert "hamlet@300 is back" in app.said


async def test_the_disk_is_freed_when_the_app_ends(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("D")
        await answer_yes(pilot)
        await until(pilot, lambda: "hamlet" not in app.keys)
        assert len(list(store.runs_folder.iterdir())) == 3
        await app.action_switch_mode("training")  # it comes to its end on another screen
    assert {path.name for path in store.runs_folder.iterdir()} == {"macbeth", "lear"}


# Stop


async def test_stopping_a_run_of_another_process_asks_and_says_whose_it_is(store: Store) -> None:
    app = RunsApp(store)
    hamlet = store.run("hamlet")
    with hamlet.lock():
        async with app.run_test() as pilot:
            await ready(pilot)
            await pilot.press("X")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            text = " ".join(str(static.render()) for static in app.screen.query(Static))
            assert "Stop hamlet?" in text
            assert f"process {os.getpid()}" in text
            await pilot.press("y")
            await until(pilot, hamlet.has_request)
            assert hamlet.take_request() == "stop"


async def test_stopping_the_run_of_this_window(store: Store, fake_training: Callable[[str], Any]) -> None:
    training = fake_training("training")
    app = RunsApp(store, training=training)
    with store.run("macbeth").lock():
        async with app.run_test() as pilot:
            await ready(pilot)
            await at(pilot, "macbeth")
            await pilot.press("X")
            await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
            assert "this window" in " ".join(str(static.render()) for static in app.screen.query(Static))
            await pilot.press("y")
            await until(pilot, lambda: training.commands == ["stop"])


async def test_a_run_that_does_not_train_cannot_be_stopped(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("X")
        await until(pilot, lambda: "hamlet is not in training" in app.said)
        assert app.screen is app.runs


# The chosen run


def drawn(app: RunsApp) -> str:
    return "\n".join("".join(segment.text for segment in line) for line in app.screen._compositor.render_strips())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_chosen_run_is_shown_beside_the_list(store: Store, size: tuple[int, int]) -> None:
    app = RunsApp(store)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        curve = app.runs.query_one(MetricPanel)
        await until(pilot, lambda: curve.border_title == "Loss of hamlet")
        assert curve.display
        assert "step 500" in drawn(app)  # the newest sample
        await at(pilot, "macbeth")
        await until(pilot, lambda: curve.border_title == "Loss of macbeth")


async def test_of_a_checkpoint_the_sample_of_its_step_is_shown(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await at(pilot, "hamlet@300")
        await until(pilot, lambda: "step 300 · validation" in drawn(app))
        assert "step 300, 230 kB" in drawn(app)


async def test_a_run_that_goes_on_is_read_on(store: Store, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen._SECONDS_PER_UPDATE", 0.01)
    app = RunsApp(store)
    macbeth = store.run("macbeth")
    with macbeth.lock():
        async with app.run_test(size=(120, 40)) as pilot:
            await ready(pilot)
            await at(pilot, "macbeth")
            await until(pilot, lambda: "step 200 · validation" in drawn(app))
            for event in events(upto=300, run="macbeth"):
                if event.step > 240:
                    macbeth.log.append(event)
            macbeth.log.close()
            await until(pilot, lambda: "step 300 · validation" in drawn(app))


async def test_the_log_is_read_once_the_cursor_rests(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    app = RunsApp(store)
    read: list[str] = []
    monkeypatch.setattr(CheckpointScreen, "_read_log", lambda screen, number, name: read.append(name))
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: read[-1:] == ["hamlet"])
        await at(pilot, "lear")
        await until(pilot, lambda: read[-1:] == ["lear"])
        assert "macbeth" not in read  # on the way


async def test_what_another_process_begins_appears(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen._SECONDS_PER_UPDATE", 0.01)
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        shutil.copytree(store.run("hamlet").path, store.runs_folder / "othello")
        await until(pilot, lambda: "othello" in app.keys)


async def test_a_list_that_takes_long_to_read_is_left_alone_for_longer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shakegpt.tui.checkpoints.checkpoint_screen._SECONDS_PER_UPDATE", 1e9)
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        reads: list[None] = []
        monkeypatch.setattr(CheckpointScreen, "action_refresh", lambda screen: reads.append(None))
        for seconds, expected in ((100.0, 0), (0.0, 1)):
            runs = app.runs.run_list.runs
            assert runs is not None
            app.runs.post_message(CheckpointScreen.StoreRead(99, runs, seconds=seconds))
            await pilot.pause()
            app.runs._update_list()
            assert len(reads) == expected


async def test_the_rows_and_settings_wait_for_no_log(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()
    read = LogReader.read

    def read_slowly(reader: LogReader, run: Run) -> Snapshot:
        reading.set()
        go_on.wait(PATIENCE)
        return read(reader, run)

    monkeypatch.setattr(LogReader, "read", read_slowly)
    app = RunsApp(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, reading.is_set)
        await pilot.pause()
        shown = drawn(app)
        assert all(name in shown for name in ("hamlet", "macbeth", "lear"))
        assert "3.0e-3 down to 3.0e-4" in shown
        assert "Loss of hamlet" not in shown
        go_on.set()
        await until(pilot, lambda: "Loss of hamlet" in drawn(app))


async def test_a_slow_read_of_a_log_does_not_undo_a_later_one(store: Store, events: Events) -> None:
    app = RunsApp(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        detail = app.runs.query_one(RunDetail)
        await until(pilot, lambda: detail.snapshot is not None)
        earlier, later = replay(events(upto=240, run="hamlet")), replay(events(upto=300, run="hamlet"))
        for number, snapshot in ((12, later), (11, earlier)):
            app.runs.post_message(CheckpointScreen.LogRead(number, "hamlet", snapshot))
        await pilot.pause()
        assert detail.snapshot is later


async def test_curves_asked_for_twice_are_one_chart(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        app.runs.action_curves()
        app.runs.action_curves()
        await until(pilot, lambda: isinstance(app.screen, ChartScreen))
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert len(app.screen_stack) == 2


async def test_curves_that_come_late_do_not_open_on_another_screen(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        app.runs.action_curves()
        runs = app.runs
        await app.action_switch_mode("training")
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert not isinstance(app.screen, ChartScreen)
        await app.action_switch_mode("checkpoints")
        assert app.screen is runs


async def test_marks_have_the_colours_of_the_chart(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await at(pilot, "macbeth")
        await pilot.press("m", "home", "m")
        await pilot.pause()
        table = app.runs.query_one(RunTable)

        glyphs = iter("●▼")  # in the order in which they were marked

        def mark(row: int) -> Any:
            cell = table.get_row_at(row)[0]
            assert cell.plain.startswith(next(glyphs))
            return cell.spans[0].style

        marks = [mark(app.keys.index(name)) for name in app.runs.run_list.marked]
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, ChartScreen))
        await pilot.pause()
        assert [run.name for run in cast(Any, app.screen).runs] == ["macbeth", "hamlet"]
        plot = app.screen.query_one(CurvePlot)
        assert [style.color.name for style in marks] == [plot.colour("0"), plot.colour("1")]


async def test_n_asks_what_to_train(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen))


async def test_a_run_in_training_is_as_far_as_its_log(store: Store, events: Events) -> None:
    run = store.run("macbeth")
    with run.lock():
        for event in events(upto=317, run="macbeth")[-1:]:
            run.log.append(event)
        run.log.close()
        listed = {run.name: run for run in read_run_list(store)}
    assert listed["macbeth"].step == 317
    assert listed["hamlet"].step == 500
    assert {run.name: run.step for run in read_run_list(store)}["macbeth"] == 200  # its last checkpoint's


async def test_a_store_to_be_read_only_offers_no_changes(store: Store) -> None:
    store.writable = False
    async with (app := RunsApp(store)).run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.runs.current is not None)
        offered = {active.binding.action for active in app.screen.active_bindings.values() if active.enabled}
        assert {"curves", "copy_path"} <= offered
        assert not {"resume", "new_run", "fine_tune", "stop", "delete", "rename", "undo"} & offered
