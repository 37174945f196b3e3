"""The app around the three screens: keys that work everywhere, the training, quitting, and the preferences."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.command import Command, CommandPalette
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, OptionList

from shakegpt.errors import ShakegptError
from shakegpt.events import Event, Step
from shakegpt.runs.snapshot import Snapshot
from shakegpt.training.setup import TrainingRequest
from shakegpt.training.thread import TrainingThread
from shakegpt.tui import app as app_module
from shakegpt.tui.app import HEADLESS, ShakegptApp
from shakegpt.tui.dialogs.help import HelpScreen
from shakegpt.tui.dialogs.questions import QuitScreen
from shakegpt.tui.messages import StartTraining, TrainingChanged
from shakegpt.tui.preferences import load_preferences
from shakegpt.tui.widgets.top_bar import TopBar
from tests.tui.fake_model_app import FakeModelApp, until

Snapshots = Callable[[str], Snapshot]
Fake = Callable[[str], Any]


def run_line(app: ShakegptApp) -> str:
    return "".join(segment.text for segment in app.screen_stack[0].query_one(TopBar).render_line(0))


def drawn(app: ShakegptApp) -> str:
    return "\n".join("".join(segment.text for segment in line) for line in app.screen._compositor.render_strips())


def app_in(training: Any = None, **options: Any) -> FakeModelApp:
    return FakeModelApp(training=training, **options)


async def test_a_start_empties_the_trash_of_killed_apps(home: Path) -> None:
    left = home / "runs" / ".trash.1.1"
    left.mkdir(parents=True)
    app = app_in()
    async with app.run_test() as pilot:
        await until(pilot, lambda: not left.exists())


async def test_an_app_may_exit_before_its_first_screen_is_composed(snapshots: Snapshots, fake_training: Fake) -> None:
    class ExitsAtOnce(FakeModelApp):
        async def on_mount(self) -> None:
            self.exit()
            await super().on_mount()

    app = ExitsAtOnce(training=fake_training("training"))
    async with app.run_test():
        pass
    assert app.return_code == 0


# Screens


async def test_it_opens_on_the_generation_screen_with_no_field_focused() -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert app.current_mode == "generation"
        assert not isinstance(app.focused, Input)


async def test_digits_switch_screens_and_return_to_the_same_ones() -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.pause()
        generation = app.screen
        for key, mode, name in (
            ("1", "training", "Train"),
            ("3", "checkpoints", "Runs"),
            ("2", "generation", "Generate"),
        ):
            await pilot.press(key)
            await pilot.pause()
            assert app.current_mode == mode
            here = [segment.text for segment in app.screen.query_one(TopBar).render_line(0) if segment.style.bgcolor]
            assert f" {key} {name} " in here
        assert app.screen is generation


async def test_while_typing_digits_are_text() -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.press("3", "slash", "1", "2", "3", "question_mark")
        await pilot.pause()
        assert app.current_mode == "checkpoints"
        assert app.screen.query_one("#filter", Input).value == "123?"
        await pilot.press("escape", "1")
        assert app.current_mode == "training"


async def test_help_names_the_keys_of_the_current_screen() -> None:
    app = app_in()
    async with app.run_test(size=(80, 60)) as pilot:
        await pilot.press("3", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and "^q" in drawn(app))
        for words in ("Every run, with its checkpoints", "Give the run another name", "Generate text", "^q"):
            assert words in drawn(app)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen))
        assert app.current_mode == "checkpoints"


@pytest.mark.parametrize("key", ["1", "2", "3"])
async def test_the_palette_has_every_action_of_the_screen(key: str) -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.press(key)
        await pilot.pause()
        named = {command.title.rsplit(" (", 1)[0] for command in app.get_system_commands(app.screen)}
        bound = {
            active.binding.description
            for active in app.screen.active_bindings.values()
            if active.binding.id is not None and active.enabled
        }
        assert bound <= named
        assert {"Train", "Generate", "Runs", "Help", "Quit", "Theme"} <= named


@pytest.mark.parametrize("key", ["1", "2", "3"])
async def test_every_binding_has_an_id_and_a_tooltip_and_works_over_ssh(key: str) -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.press(key)
        own = [(pressed, binding) for pressed, binding in app.screen._bindings]
        for pressed, binding in [*own, *app._bindings]:
            if binding.system or binding.action in ("screen.focus_next", "screen.focus_previous", "screen.copy_text"):
                continue
            if pressed in ("tab", "shift+tab", "ctrl+c", "super+c"):
                continue
            assert binding.id, binding
            assert binding.tooltip, binding
            assert "alt+" not in pressed
            assert pressed not in ("ctrl+b", "ctrl+left", "ctrl+right", "ctrl+up", "ctrl+down")


@pytest.mark.parametrize("size", [(60, 11), (80, 8)])
async def test_a_small_terminal_is_reported_and_works(size: tuple[int, int]) -> None:
    app = app_in()
    async with app.run_test(size=size) as pilot:
        for key, mode in (("1", "training"), ("3", "checkpoints"), ("2", "generation")):
            await pilot.press(key)
            await pilot.pause()
            assert app.current_mode == mode
            assert "is small" in run_line(app)


# Training


async def test_a_snapshot_reaches_the_bar_on_every_screen(fake_training: Fake, snapshots: Snapshots) -> None:
    training = fake_training("fresh")
    app = app_in(training, mode="generation")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        training.move(snapshots("training"))
        await until(pilot, lambda: "macbeth ● step 240 of 500" in run_line(app))
        await pilot.press("3")
        await pilot.pause()
        assert "macbeth ● step 240 of 500" in run_line(app)


async def test_a_thousand_steps_make_one_message(fake_training: Fake, events: Callable[..., list[Event]]) -> None:
    training = fake_training("training")
    app = app_in(training)
    async with app.run_test() as pilot:
        await pilot.pause()
        posted: list[TrainingChanged] = []
        post = app.post_message
        app.post_message = lambda message: (posted.append(message), post(message))[1]  # type: ignore[method-assign]
        step = next(event for event in events() if isinstance(event, Step))
        for _ in range(1000):
            training.move(training.latest, step)
        assert len([message for message in posted if isinstance(message, TrainingChanged)]) <= 1
        app.post_message = post  # type: ignore[method-assign]


async def test_only_one_run_trains_at_a_time() -> None:
    import threading

    release = threading.Event()

    def wait() -> list[Event]:
        release.wait()
        return []

    thread = TrainingThread(wait)
    thread.start()
    app = app_in(thread)
    try:
        async with app.run_test() as pilot:
            await pilot.pause()
            app.post_message(StartTraining(TrainingRequest(preset="nano", corpus="demo")))
            await until(pilot, lambda: any("already" in str(note.message) for note in app._notifications))
            assert app.context.training is thread
    finally:
        release.set()
        thread.join()


async def test_a_request_is_trained_on_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TrainingRequest] = []

    def build_trainer(store: Any, request: TrainingRequest) -> None:
        asked.append(request)
        raise ShakegptError("There is no text.")

    monkeypatch.setattr(app_module, "build_trainer", build_trainer)
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.pause()
        request = TrainingRequest(preset="nano", corpus="demo")
        app.post_message(StartTraining(request))
        await until(pilot, lambda: app.current_mode == "training")
        thread = app.context.training
        assert isinstance(thread, TrainingThread)
        thread.join()
        await until(pilot, lambda: any("There is no text." in str(n.message) for n in app._notifications))
        assert asked == [request]


@pytest.mark.parametrize(
    ("state", "words"), [("finished", "finished at step 500"), ("stopped", "stopped at step 240"), ("failed", "memory")]
)
async def test_the_end_of_a_training_is_notified_on_every_screen(
    fake_training: Fake, snapshots: Snapshots, state: str, words: str
) -> None:
    training = fake_training("training")
    app = app_in(training, mode="generation")
    async with app.run_test() as pilot:
        await pilot.pause()
        training.move(snapshots(state))
        await until(pilot, lambda: any(words in str(n.message) for n in app._notifications))


async def test_what_the_training_screen_says_itself_is_not_notified_there(
    fake_training: Fake, snapshots: Snapshots
) -> None:
    training = fake_training("training")
    app = app_in(training, mode="training")
    async with app.run_test() as pilot:
        await until(pilot, lambda: getattr(app.screen, "snapshot", None) is training.latest)
        for state in ("disk full", "finished"):
            training.move(snapshots(state))
            await until(pilot, lambda: getattr(app.screen, "snapshot", None) is training.latest)
        assert list(app._notifications) == []


async def test_a_warning_is_notified_once(fake_training: Fake, snapshots: Snapshots) -> None:
    training = fake_training("training")
    app = app_in(training, mode="generation")
    async with app.run_test() as pilot:
        await pilot.pause()
        training.move(snapshots("disk full"))
        training.move(snapshots("disk full"))
        await until(pilot, lambda: any("disk is full" in str(n.message) for n in app._notifications))
        await pilot.pause()
        assert len(list(app._notifications)) == 1


async def test_a_note_goes_with_what_it_was_about(fake_training: Fake, snapshots: Snapshots) -> None:
    training = fake_training("training")
    app = app_in(training, mode="generation")

    def notes() -> list[str]:
        return [str(note.message) for note in app._notifications]

    async with app.run_test() as pilot:
        await pilot.pause()
        training.move(snapshots("disk full"))
        await until(pilot, lambda: any("disk is full" in note for note in notes()))
        training.move(snapshots("training"))  # saved after all
        await until(pilot, lambda: not notes())
        app.notify("Pause it first.")
        training.move(snapshots("paused"))
        await until(pilot, lambda: not notes())
        training.move(snapshots("finished"))
        await until(pilot, lambda: any("macbeth has finished" in note for note in notes()))
        await pilot.press("3")
        await until(pilot, lambda: not notes())


# Quitting


async def test_without_a_training_quitting_quits() -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+q")
    assert app.return_value is None
    assert app.return_code == 0


async def asked_to_quit(pilot: Pilot[Any]) -> None:
    await pilot.pause()
    await pilot.press("ctrl+q")
    await until(pilot, lambda: isinstance(pilot.app.screen, QuitScreen))


async def test_quitting_while_training_asks_and_can_be_cancelled(fake_training: Fake) -> None:
    training = fake_training("training")
    app = app_in(training)
    async with app.run_test() as pilot:
        for back in ("escape", "b", "ctrl+q"):
            await asked_to_quit(pilot)
            await pilot.press(back)
            await until(pilot, lambda: not isinstance(app.screen, QuitScreen))
        assert training.commands == []


@pytest.mark.parametrize("keys", [("t",), ("enter",), ("down", "k", "enter")])
async def test_training_can_go_on_without_the_screen(fake_training: Fake, keys: tuple[str, ...]) -> None:
    training = fake_training("training")
    app = app_in(training)
    async with app.run_test() as pilot:
        await asked_to_quit(pilot)
        await pilot.press(*keys)
    assert app.return_value == HEADLESS
    assert training.commands == []


@pytest.mark.parametrize("keys", [("s",), ("down", "enter"), ("tab", "enter")])
async def test_save_and_stop_quits_once_it_is_saved(
    fake_training: Fake, snapshots: Snapshots, keys: tuple[str, ...]
) -> None:
    training = fake_training("training")
    app = app_in(training)
    async with app.run_test() as pilot:
        await asked_to_quit(pilot)
        await pilot.press(*keys)
        await until(pilot, lambda: training.commands == ["stop"])
        assert app.is_running
        training.move(snapshots("stopped"))
        await until(pilot, lambda: app._exit)
    assert app.return_value is None


# The command palette


async def palette_shows(pilot: Pilot[Any], words: str) -> None:
    """Wait until something is highlighted in the palette whose name has these words."""

    def shows() -> bool:
        options = pilot.app.screen.query_one(OptionList)
        option = options.highlighted_option
        return isinstance(option, Command) and words in str(option.hit.prompt)

    await until(pilot, shows)


async def test_the_palette_finds_a_theme_shows_it_and_puts_the_old_one_back() -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p", *"nord")
        await palette_shows(pilot, "nord")
        await until(pilot, lambda: app.theme == "nord")
        primary = Color.parse(app.theme_variables["primary"])
        await until(pilot, lambda: app.screen.query_one(OptionList).styles.border_top[1] == primary)
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == "shakegpt")
    assert load_preferences().theme == ""


async def test_one_or_two_letters_list_no_theme() -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p", *"qu")
        await palette_shows(pilot, "Quit")
        titles = [str(option.prompt) for option in app.screen.query_one(OptionList).options]
        assert not any("Theme:" in title for title in titles)


async def test_a_theme_chosen_in_the_palette_is_remembered() -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p", *"gruvbox")
        await palette_shows(pilot, "gruvbox")
        await pilot.press("enter")
        await until(pilot, lambda: not isinstance(app.screen, CommandPalette) and app.theme == "gruvbox")
    assert load_preferences().theme == "gruvbox"


async def test_moving_from_a_theme_to_an_action_puts_the_old_theme_back() -> None:
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p", *"nord")
        await until(pilot, lambda: app.theme == "nord")
        await pilot.press(*["backspace"] * 4, *"quit")
        await palette_shows(pilot, "Quit")
        await until(pilot, lambda: app.theme == "shakegpt")


# Preferences and terminals


async def test_the_theme_and_settings_are_remembered() -> None:
    first = app_in()
    async with first.run_test() as pilot:
        await pilot.pause()
        assert first.theme == "shakegpt"
        first.theme = "shakegpt-paper"
        first.context.remember(sampling=replace(first.context.preferences.sampling, temperature=0.4))
        await pilot.pause()
    assert load_preferences().theme == "shakegpt-paper"
    second = app_in()
    assert second.theme == "shakegpt-paper"
    assert second.context.preferences.sampling.temperature == 0.4


async def test_an_unknown_theme_is_ignored(home: Any) -> None:
    from shakegpt.tui.preferences import Preferences, save_preferences

    save_preferences(Preferences(theme="of another version"))
    assert app_in().theme == "shakegpt"


async def test_with_sixteen_colours_the_terminals_own_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setattr(Console, "color_system", property(lambda self: "standard"))
    app = app_in()
    assert app.theme == "shakegpt-16"
    async with app.run_test() as pilot:
        for key in "123":
            await pilot.press(key)
            await pilot.pause()


async def test_without_utf8_all_that_is_drawn_is_ascii(monkeypatch: pytest.MonkeyPatch, snapshots: Snapshots) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    app = app_in()
    async with app.run_test(size=(120, 40)) as pilot:
        for key in "123":
            await pilot.press(key)
            if key == "1":
                cast(Any, app.screen).show(snapshots("training"))
            await pilot.pause()
            assert drawn(app).isascii(), {character for character in drawn(app) if not character.isascii()}


async def test_no_color_leaves_no_hue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_in()
    async with app.run_test() as pilot:
        await pilot.press("3")
        await pilot.pause()
        for line in app.screen._compositor.render_strips():
            for segment in line:
                colour = segment.style.color if segment.style else None
                if colour is not None and colour.triplet is not None:
                    assert len({colour.triplet.red, colour.triplet.green, colour.triplet.blue}) == 1


@pytest.mark.parametrize("keys", [("3", "c"), ("1", "z"), ("question_mark",), ("ctrl+p",), ("1", "n")])
async def test_no_color_and_any_screen_draw_together(
    monkeypatch: pytest.MonkeyPatch, fake_training: Fake, keys: tuple[str, ...]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = app_in(fake_training("training"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert app.screen._compositor.render_strips()


async def test_no_color_draws_a_segment_without_a_style(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unstyled(Widget):
        def render_line(self, y: int) -> Strip:
            return Strip([Segment("to be", None), Segment("", None)])

    monkeypatch.setenv("NO_COLOR", "1")
    app = app_in()
    async with app.run_test() as pilot:
        await app.screen.mount(Unstyled())
        await pilot.pause()
        assert "to be" in drawn(app)
