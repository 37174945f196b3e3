import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Button, DirectoryTree, Input, Static

from shakegpt.config import PRESETS
from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE, CatalogEntry
from shakegpt.errors import CorpusError, ShakegptError
from shakegpt.runs.speed import Speed
from shakegpt.runs.sweeps import SweepPlan
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.dialogs.pick_file import PickFileScreen
from shakegpt.tui.themes import THEMES
from shakegpt.tui.training import sweep_form, text_fetching
from shakegpt.tui.training.choices import Choices
from shakegpt.tui.training.form_field import FormField
from shakegpt.tui.training.new_run import NewRunScreen
from shakegpt.tui.training.run_form import Machine, training_request
from tests.processes import PATIENCE
from tests.tui.fake_model_app import FakeModelApp, until
from tests.tui.training_app import TrainingApp

OnProgress = Callable[[int, int], None]


class FormApp(App[None]):
    """Nothing but the form, and its results."""

    def __init__(self, values: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__()
        self.form = NewRunScreen(values, **options)
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

    monkeypatch.setattr(text_fetching, "find_corpus", find)
    monkeypatch.setattr(text_fetching, "choose_default_corpus", lambda *, on_progress: (TINY_SHAKESPEARE, ""))


def field(app: FormApp, name: str) -> FormField:
    return app.form.query_one(f"#field-{name}", FormField)


def choices(app: FormApp, name: str) -> Choices:
    return app.form.query_one(f"#field-{name}", Choices)


def message(app: FormApp) -> str:
    static = app.form.query_one("#message", Static)
    return str(static.render()) if static.display else ""


def drawn(app: App[Any]) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in line) for line in strips)


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
        await pilot.press("tab", "enter")
        await settle(pilot)
        assert app.answers == [TrainingRequest(preset="mini", corpus="tiny-shakespeare")]


async def test_the_request_has_what_was_typed_and_chosen() -> None:
    app = FormApp({"preset": "nano", "corpus": DEMO})
    async with app.run_test() as pilot:
        await type_into(pilot, "steps", "120")
        await type_into(pilot, "learning_rate", "2e-3")
        await type_into(pilot, "run", "lear")
        choices(app, "device").value = "cpu"
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
        assert message(app) == "Steps: This must be a whole number, not 'x'."
        await type_into(pilot, "steps", "9")
        assert field(app, "steps").error == ""
        assert not field(app, "steps").has_class("-error")
        assert message(app) == ""


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
        choices(app, "preset").value = "gpt2"
        await pilot.pause()
        assert "multiple" in field(app, "batch_size").error
        assert message(app).startswith("Batch size: ")
        assert field(app, "learning_rate").hint == "3.0e-4 if empty"


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
        assert isinstance(app.screen.focused, DirectoryTree)
        await pilot.press("slash", "n", "o", "n", "e", ".", "t", "x", "t", "enter")  # what is typed is a path
        path = app.screen.query_one("#path", Input)
        assert path.value == "/none.txt"
        await pilot.pause()
        assert "There is no file" in str(app.screen.query_one("#error", Static).render())
        path.value = str(play)
        await pilot.press("enter")
        await pilot.pause()
        assert app.form.values["file"] == str(play)


async def test_the_download_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FormApp()
    messages: list[str] = []

    def choose(*, on_progress: OnProgress) -> tuple[str, str]:
        on_progress(250_000, 1_000_000)
        app.call_from_thread(app.form.query_one, "#message")  # it is shown by the time this comes back
        messages.append(message(app))
        return TINY_SHAKESPEARE, ""

    monkeypatch.setattr(text_fetching, "choose_default_corpus", choose)
    async with app.run_test() as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert messages == ["Fetching the text: 250 kB of 1 MB…"]
        assert app.answers == [TrainingRequest(preset="mini", corpus="tiny-shakespeare")]


async def test_a_text_that_comes_late_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    came, go_on = threading.Event(), threading.Event()
    choose = text_fetching.choose_default_corpus

    def choose_slowly(*, on_progress: OnProgress) -> tuple[str, str]:
        came.set()
        go_on.wait(PATIENCE)
        return choose(on_progress=on_progress)

    app = FormApp()
    async with app.run_test() as pilot:
        with monkeypatch.context() as patch:
            patch.setattr(text_fetching, "choose_default_corpus", choose_slowly)
            await pilot.press("enter")
            await until(pilot, came.is_set)
        choices(app, "preset").value = "nano"
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.answers))
        go_on.set()
        await settle(pilot)
        assert [answer and answer.preset for answer in app.answers] == ["nano"]


async def test_the_text_that_nobody_chose_gives_way_to_the_play_that_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_fetching, "choose_default_corpus", lambda *, on_progress: (DEMO, "No network."))
    app = FormApp()
    async with app.run_test() as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert app.answers == [TrainingRequest(preset="mini", corpus=DEMO, corpus_note="No network.")]


async def test_a_text_that_cannot_be_fetched_is_an_error_in_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, *, on_progress: OnProgress | None = None) -> CatalogEntry:
        raise CorpusError("Tiny Shakespeare could not be fetched [/b]; train on the demo.")

    monkeypatch.setattr(text_fetching, "find_corpus", find)
    app = FormApp()
    async with app.run_test() as pilot:
        for name in (DEMO, TINY_SHAKESPEARE):  # chosen by the user, so by name
            app.form.query_one("#field-corpus", Choices).value = name
            await pilot.pause()
        await pilot.press("tab", "enter")
        await settle(pilot)
        assert message(app) == "Tiny Shakespeare could not be fetched [/b]; train on the demo."
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
        await pilot.press(*"lear", "enter")
        await settle(pilot)
        assert app.requests == [TrainingRequest(preset="mini", corpus="tiny-shakespeare", run_name="lear")]
        assert app.context.preferences.new_run["run"] == "lear"


async def test_several_values_make_a_sweep_that_says_how_many_runs_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[SweepPlan] = []
    monkeypatch.setattr(sweep_form, "begin_in_background", lambda _, plan: begun.append(plan))
    app = TrainingApp()
    async with app.run_test() as pilot:
        await pilot.press("n")
        await pilot.pause()
        form = app.screen
        field = form.query_one("#field-learning_rate Input", Input)
        field.focus()
        await pilot.press(*"1e-3,2e-3")
        await pilot.pause()
        assert "This makes 2 runs, a sweep" in str(form.query_one("#message", Static).render())
        await pilot.press("enter")
        await settle(pilot)
        assert app.requests == []
        assert [run.settings for run in begun[0].runs] == [{"learning-rate": "1e-3"}, {"learning-rate": "2e-3"}]


async def test_what_was_typed_while_the_form_opens_is_in_the_field_that_one_sees() -> None:
    app = FakeModelApp(mode="training")
    async with app.run_test() as pilot:
        for key in "nhamlet":
            app.post_message(events.Key(key, key))  # without waiting for the form
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and app.screen.values["run"] == "hamlet")
        assert "hamlet" in drawn(app)
        await pilot.press("2")  # no key of the app while one types
        assert isinstance(app.screen, NewRunScreen)
        assert app.screen.values["run"] == "hamlet2"


async def test_a_name_that_is_taken_is_said_in_the_form() -> None:
    def check(name: str) -> None:
        raise ShakegptError(f"There is a run {name} already.")

    app = FormApp(check_name=check)
    async with app.run_test() as pilot:
        await pilot.press(*"lear", "enter")
        await settle(pilot)
        assert message(app) == "Name: There is a run lear already."
        assert app.answers == []


async def test_the_arrows_choose_and_go_on_to_the_next_field() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        await pilot.press("down", "down", "down", "j")
        assert choices(app, "preset").value == "baby"
        await pilot.press("n")
        assert choices(app, "preset").value == "nano"
        await pilot.press("down", "down", "down", "down")
        assert app.focused is choices(app, "corpus")
        await pilot.press("up", "up")
        assert app.focused is choices(app, "preset")
        choices(app, "device").focus()
        await pilot.press("right", "l")
        assert choices(app, "device").value == "cuda"


async def test_a_click_chooses() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        await pilot.click(choices(app, "preset"), offset=(20, 1))
        await pilot.click(choices(app, "device"), offset=(26, 0))
        assert (choices(app, "preset").value, choices(app, "device").value) == ("nano", "cpu")


async def test_presets_say_their_size_and_how_long_they_take_here() -> None:
    mini = 14_000 * 32 * 128 / 1_500  # characters a second that make 25 minutes
    machine = Machine("cpu", {"mini": Speed(1_629_440, mini)})
    app = FormApp(read_machine=lambda: machine)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        lines = drawn(app).splitlines()
        shown = {preset: next(line for line in lines if f" {preset} " in line) for preset in PRESETS}
        assert "1.6 M weights  about 25 min here" in shown["mini"]
        assert "58 k weights   time not known yet" in shown["nano"]
        assert "11 M weights   perhaps" in shown["baby"]
        assert "time not known yet" in shown["gpt2"]
        assert "14,000 steps · 57 passes" in drawn(app)


async def test_the_steps_follow_the_text() -> None:
    app = FormApp()
    async with app.run_test() as pilot:
        choices(app, "corpus").value = DEMO
        await pilot.pause()
        assert field(app, "steps").hint == "423 steps · 60 passes"
        await type_into(pilot, "steps", "70")
        assert field(app, "steps").hint == "70 steps · 10 passes"


@pytest.mark.parametrize(
    ("preset", "device", "chosen", "warned"),
    [
        ("gpt2", "cpu", "auto", True),
        ("gpt2", "cuda", "auto", False),
        ("gpt2", "cuda", "cpu", True),
        ("gpt2", None, "auto", False),
        ("mini", "cpu", "auto", False),
    ],
)
async def test_gpt2_on_a_cpu_has_a_warning(preset: str, device: str | None, chosen: str, warned: bool) -> None:
    app = FormApp({"preset": preset, "device": chosen}, read_machine=lambda: Machine(device))
    async with app.run_test() as pilot:
        await settle(pilot)
        assert ("weeks on a CPU" in message(app)) is warned


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40)])
async def test_start_and_the_focused_field_are_always_in_sight(size: tuple[int, int]) -> None:
    app = FormApp({"preset": "gpt2"}, read_machine=lambda: Machine("cpu"))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        start = app.form.query_one("#start", Button)
        seen = set()
        for _ in range(15):
            await pilot.press("tab")
            await pilot.pause()
            focused = app.focused
            assert focused is not None
            seen.add(focused.id or str(focused.parent and focused.parent.id))
            screen = app.screen.region
            assert screen.contains_region(start.region)
            if not isinstance(focused, Button):
                fields = app.form.query_one("#fields").region
                assert fields.contains_region(focused.region), focused
        assert {"field-run", "field-preset", "field-precision", "start", "back"} <= seen


async def test_a_checkpoint_to_begin_from_must_be_there() -> None:
    def read(reference: str) -> None:
        if reference != "pretrained":
            raise ShakegptError(f"There is no run {reference}.")

    app = FormApp(begin_from="lear", read_start=read)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        assert "There is no run lear." in message(app)
        assert app.answers == []
        await type_into(pilot, "begin_from", "pretrained")
        await pilot.press("enter")
        await settle(pilot)
        assert app.answers == [TrainingRequest(corpus="tiny-shakespeare", begin_from="pretrained")]


async def test_of_several_gpus_one_can_be_chosen() -> None:
    app = FormApp({}, read_machine=lambda: Machine("cuda", gpus=("cuda:0", "cuda:1")))
    async with app.run_test(size=(120, 60)) as pilot:
        await settle(pilot)
        device = choices(app, "device")
        device.focus()
        await pilot.press("c", "c", "c", "c")
        await settle(pilot)
        assert (device.value, device.size.height) == ("cuda:1", 6)
        assert training_request(app.screen.values).changes == {"device": "cuda:1"}  # type: ignore[attr-defined]
