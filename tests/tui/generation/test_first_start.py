"""The generation screen as it opens: at the first start, and later."""

from pathlib import Path

import pytest

from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.side_column import SideColumn
from shakegpt.tui.messages import GenerateFrom
from shakegpt.tui.preferences import ENDLESS, Preferences, load_preferences, save_preferences
from tests.processes import wait_for
from tests.tui.fake_model_app import FakeModelApp, until
from tests.tui.fake_model_loader import FakeModelLoader


@pytest.mark.parametrize(("size", "shown"), [((120, 40), True), ((119, 40), False), ((80, 24), False)])
async def test_the_first_start_speaks_unasked_and_shows_why_where_there_is_room(
    size: tuple[int, int], shown: bool
) -> None:
    loader = FakeModelLoader(gated=True)
    async with (app := FakeModelApp(loader, first_start=True)).run_test(size=size) as pilot:
        loader.let(5)
        await until(pilot, lambda: app.generation.left.count == 5)
        assert loader.opened == [("pretrained", "ROMEO:\n")]
        assert app.generation.options.characters_per_second == 40
        assert app.generation.left.settings.length == ENDLESS
        assert app.generation.left.transcript.tint is shown
        assert app.generation.query_one(SideColumn).display is shown
        loader.let(1_000)
        await pilot.press("space")
        await until(pilot, lambda: app.generation.left.state is GenerationState.PAUSED)


async def test_an_endless_text_goes_on_past_the_length_of_the_command_line() -> None:
    async with (app := FakeModelApp(first_start=True)).run_test() as pilot:
        app.generation.options.characters_per_second = 0
        await until(pilot, lambda: app.generation.left.count > 2_000)
        assert app.generation.left.state is GenerationState.GENERATING


@pytest.mark.parametrize(("keys", "speaks"), [(["space"], False), (["space", "space"], True), (["ctrl+l"], False)])
async def test_later_starts_are_as_it_was_left(home: Path, keys: list[str], speaks: bool) -> None:
    async with (app := FakeModelApp(first_start=True)).run_test() as pilot:
        await until(pilot, lambda: app.generation.left.count > 0)
        for key in keys:
            busy = app.generation.left.busy
            await pilot.press(key)
            await until(pilot, lambda busy=busy: app.generation.left.busy is not busy)
        await pilot.press("x", "u", "F")
    kept = load_preferences()
    assert (kept.speaking, kept.odds, kept.tint, kept.speed) == (speaks, True, True, 0)
    async with (app := FakeModelApp(first_start=True)).run_test() as pilot:
        await until(pilot, lambda: app.generation.is_mounted)
        await until(pilot, lambda: bool(app.fake_loader.opened) is speaks)
        assert app.generation.query_one(SideColumn).display
        assert app.generation.left.transcript.tint
        assert app.generation.options.characters_per_second == 0


async def test_a_model_that_another_screen_names_is_the_first_to_speak() -> None:
    app = FakeModelApp(first_start=True, mode="checkpoints")
    async with app.run_test() as pilot:
        app.post_message(GenerateFrom("macbeth@448", behind=11))
        await until(pilot, lambda: app.current_mode == "generation" and app.generation.left.model is not None)
        await until(pilot, lambda: app.generation.left.count > 0)
        left = app.generation.left
        assert left.transcript.text == f"ROMEO:\n{left.generated}", "of what began unasked, nothing is left"
        assert (left.number, left.model and left.model.name) == (1, "macbeth@448")
        assert str(app.generation.left.border_title) == "macbeth, checkpoint 448, 11 steps behind"


async def test_leaving_the_screen_pauses_the_text_and_coming_back_goes_on() -> None:
    async with (app := FakeModelApp(first_start=True)).run_test() as pilot:
        screen = app.generation
        await until(pilot, lambda: screen.left.count > 0)
        await pilot.press("3")
        await until(pilot, lambda: screen.left.state is GenerationState.PAUSED)
        await pilot.press("2")
        await until(pilot, lambda: screen.left.state is GenerationState.GENERATING)
        assert app.context.preferences.speaking


async def test_a_text_that_ends_just_as_the_screen_is_left_is_not_begun_again_on_coming_back() -> None:
    loader = FakeModelLoader(gated=True)
    async with (app := FakeModelApp(loader)).run_test() as pilot:
        left = app.generation.left
        await pilot.press("enter")
        loader.let(3)
        await until(pilot, lambda: left.count == 3)
        loader.let(10_000)
        thread = left._thread
        wait_for(lambda: thread is not None and thread._state is GenerationState.FINISHED)
        assert left.busy, "the screen does not know it yet"
        app.generation.speech.hold()
        app.generation.speech.let_go()
        assert (left.state, left.count) == (GenerationState.FINISHED, 400)


async def test_a_prompt_that_failed_is_not_remembered() -> None:
    """A prompt with a character that the model does not know failed again at the next start."""
    save_preferences(Preferences(prompts=("NURSE:\n",), speaking=False))
    async with (app := FakeModelApp(first_start=True)).run_test() as pilot:
        await pilot.press("i", "é", "enter")
        await until(pilot, lambda: app.generation.left.state is GenerationState.FAILED)
        assert app.generation.prompt.history == ("NURSE:\n",)
    assert load_preferences().prompts == ("NURSE:\n",)


async def test_a_model_chosen_while_it_speaks_speaks_at_once() -> None:
    async with (app := FakeModelApp(first_start=True)).run_test() as pilot:
        await until(pilot, lambda: app.generation.left.count > 0)
        app.generation.use_model("macbeth@500")
        await until(pilot, lambda: ("macbeth@500", "ROMEO:\n") in app.fake_loader.opened)
