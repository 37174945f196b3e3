from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import DirectoryTree, Input, ProgressBar, Select, Static

from shakegpt.data.catalog import DEMO, CatalogEntry
from shakegpt.errors import CorpusError
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.dialogs.pick_file import PickFileScreen
from shakegpt.tui.themes import THEMES
from shakegpt.tui.training import new_run
from shakegpt.tui.training.form_field import FormField
from shakegpt.tui.training.new_run import NewRunScreen
from tests.tui.training_app import TrainingApp

OnProgress = Callable[[int, int], None]


class FormApp(App[None]):
    """Nothing but the form, and its results."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.form = NewRunScreen(values)
        self.answers: list[TrainingRequest | None] = []
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "shakegpt"

    async def on_mount(self) -> None:
        await self.push_screen(self.form, self.answers.append)


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, *, on_progress: OnProgress | None = None) -> CatalogEntry:
        return CatalogEntry(name, Path(name), "cache")

    monkeypatch.setattr(new_run, "find_corpus", find)


def field(app: FormApp, name: str) -> FormField:
    return app.form.query_one(f"#field-{name}", FormField)


async def type_into(pilot: Pilot[Any], name: str, text: str) -> None:
    control = pilot.app.form.query_one(f"#field-{name} Input", Input)
    control.focus()
    control.clear()
    await pilot.press(*text)
    await pilot.pause()


async def settle(pilot: Pilot[Any]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_enter_in_a_field_starts_the_preset_as_it_is() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        await pilot.press("tab", "tab", "enter")
        await settle(pilot)
        assert app.answers == [TrainingRequest(corpus="tiny-shakespeare")]


async def test_the_request_has_what_was_typed_and_chosen() -> None:
    app = FormApp({"preset": "nano", "corpus": DEMO})
    async with app.run_test() as pilot:
        await type_into(pilot, "steps", "120")
        await type_into(pilot, "learning_rate", "2e-3")
        await type_into(pilot, "run", "lear")
        app.form.query_one("#field-device Select", Select).value = "cpu"
        await pilot.pause()
        await pilot.press("enter")
        await settle(pilot)
        changes = {"steps": 120, "learning_rate": 2e-3, "device": "cpu"}
        assert app.answers == [TrainingRequest(preset="nano", corpus=DEMO, run_name="lear", changes=changes)]
        assert app.form.values["steps"] == "120"


async def test_a_field_shows_its_error_while_one_types() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        await type_into(pilot, "steps", "x")
        assert field(app, "steps").error == "This must be a whole number, not 'x'."
        assert field(app, "steps").has_class("-error")
        await type_into(pilot, "steps", "9")
        assert field(app, "steps").error == ""
        assert not field(app, "steps").has_class("-error")


async def test_an_error_leaves_the_form_open_and_focuses_its_field() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        await type_into(pilot, "batch_size", "0")
        await type_into(pilot, "steps", "5")
        await pilot.press("enter")
        await settle(pilot)
        assert app.answers == []
        assert app.focused is app.form.query_one("#field-batch_size Input")


async def test_another_preset_has_other_hints_and_other_limits() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        await type_into(pilot, "batch_size", "6")
        assert field(app, "batch_size").error == ""
        app.form.query_one("#field-preset Select", Select).value = "gpt2"
        await pilot.pause()
        assert "multiple" in field(app, "batch_size").error
        hint = str(field(app, "preset").query_one(".hint", Static).render())
        assert hint == "12 blocks × 768, 85.9 M weights"


async def test_a_file_is_picked_from_the_disk(tmp_path: Path) -> None:
    play = tmp_path / "play.txt"
    play.write_text("ROMEO:", encoding="utf-8")
    (tmp_path / ".hidden").write_text("", encoding="utf-8")
    app = FormApp({"corpus": "file", "file": str(tmp_path / "old.txt")})
    async with app.run_test() as pilot:
        await pilot.press("ctrl+o")
        await pilot.pause()
        assert isinstance(app.screen, PickFileScreen)
        tree = app.screen.query_one(DirectoryTree)
        while not tree.root.children:
            await pilot.pause()
        assert [str(node.label) for node in tree.root.children] == ["play.txt"]
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.form.values["file"] == str(play)
        assert app.form.values["corpus"] == "file"


async def test_a_path_can_be_typed_and_a_wrong_one_is_an_error(tmp_path: Path) -> None:
    play = tmp_path / "play.txt"
    play.write_text("ROMEO:", encoding="utf-8")
    app = FormApp()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+o")
        await pilot.pause()
        path = app.screen.query_one("#path", Input)
        path.focus()
        path.value = str(tmp_path / "none.txt")
        await pilot.press("enter")
        await pilot.pause()
        assert "There is no file" in str(app.screen.query_one("#error", Static).render())
        path.value = str(play)
        await pilot.press("enter")
        await pilot.pause()
        assert app.form.values["file"] == str(play)


async def test_the_download_moves_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FormApp()
    bars: list[tuple[float, float | None]] = []

    def find(name: str, *, on_progress: OnProgress | None = None) -> CatalogEntry:
        assert on_progress is not None
        on_progress(250_000, 1_000_000)
        app.call_from_thread(app.form.query_one, "#download")  # the bar has moved by the time this comes back
        bar = app.form.query_one(ProgressBar)
        bars.append((bar.progress, bar.total))
        return CatalogEntry(name, Path(name), "cache")

    monkeypatch.setattr(new_run, "find_corpus", find)
    async with app.run_test() as pilot:
        await pilot.press("tab", "tab", "enter")
        await settle(pilot)
        assert bars == [(250_000, 1_000_000)]
        assert app.answers == [TrainingRequest(corpus="tiny-shakespeare")]


async def test_a_text_that_cannot_be_fetched_is_an_error_in_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, *, on_progress: OnProgress | None = None) -> CatalogEntry:
        raise CorpusError("Tiny Shakespeare could not be fetched [/b]; train on the demo.")

    monkeypatch.setattr(new_run, "find_corpus", find)
    app = FormApp()
    async with app.run_test() as pilot:
        await pilot.press("tab", "tab", "enter")
        await settle(pilot)
        error = app.form.query_one("#error", Static)
        assert error.display
        assert str(error.render()) == "Tiny Shakespeare could not be fetched [/b]; train on the demo."
        assert app.answers == []


async def test_escape_starts_no_run() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        await pilot.press("escape")
        await pilot.pause()
        assert app.answers == [None]


async def test_the_training_screen_starts_the_requested_run_and_remembers_the_form() -> None:
    app = TrainingApp()
    async with app.run_test() as pilot:
        await pilot.press("n")
        await pilot.pause()
        assert isinstance(app.screen, NewRunScreen)
        await pilot.press("tab", "tab", *"lear", "enter")
        await settle(pilot)
        assert app.requests == [TrainingRequest(corpus="tiny-shakespeare", run_name="lear")]
        assert app.context.preferences.new_run["run"] == "lear"
