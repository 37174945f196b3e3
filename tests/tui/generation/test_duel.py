"""Two texts side by side."""

import pytest

from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.knobs import preset_of
from tests.tui.fake_model_app import FakeModelApp, until, until_generated
from tests.tui.fake_model_loader import FakeModelLoader


async def test_two_texts_have_one_prompt_and_seed() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        await pilot.press("d", "enter")
        await until_generated(pilot, app)
        screen = app.generation
        assert screen.left.display
        assert screen.right.display
        assert app.fake_loader.opened == [("pretrained", "ROMEO:\n")] * 2
        assert app.fake_loader.seeds == [1337, 1337]
        assert len(screen.left.generated) == len(screen.right.generated) == 400


async def test_knobs_turn_the_settings_of_the_selected_text_and_the_seed_is_common() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        await pilot.press("d", "T", ">", "left", "o")
        screen = app.generation
        assert screen.right.settings.temperature == pytest.approx(1.35)
        assert screen.left.settings.temperature == pytest.approx(0.8)
        assert (screen.left.settings.top_k, screen.right.settings.top_k) == (50, None)
        assert screen.left.settings.seed == screen.right.settings.seed == 1338


async def test_each_text_has_a_model_of_its_own_and_names_it() -> None:
    async with (app := FakeModelApp(FakeModelLoader())).run_test(size=(120, 40)) as pilot:
        app.fake_loader.texts["macbeth@500"] = "Is this a dagger? "
        await pilot.press("d")
        app.generation.use_model("macbeth@500")
        await pilot.press("enter")
        await until_generated(pilot, app)
        screen = app.generation
        assert screen.right.generated.startswith("Is this a dagger?")
        assert screen.left.generated.startswith("O speak again")
        titles = [str(text.border_title) for text in (screen.left, screen.right)]
        assert titles == ["built-in model · balanced", "macbeth@500 · wild"]


async def test_one_text_failing_leaves_the_other_alone() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        app.fake_loader.missing.add("lear")
        await pilot.press("d")
        app.generation.use_model("lear")
        await pilot.press("enter")
        await until(pilot, lambda: app.generation.right.state is GenerationState.FAILED)
        await until_generated(pilot, app)
        assert len(app.generation.left.generated) == 400
        await until(pilot, lambda: "no run lear" in app.generation.notice.sentence)


async def test_a_pause_pauses_both_and_leaving_hides_the_second() -> None:
    loader = FakeModelLoader(gated=True)
    async with (app := FakeModelApp(loader)).run_test(size=(120, 40)) as pilot:
        await pilot.press("d", "enter")
        loader.let(6)
        await until(pilot, lambda: len(app.generation.left.generated) + len(app.generation.right.generated) == 6)
        await pilot.press("space")
        loader.let(10)
        await until_generated(pilot, app)
        assert {app.generation.left.state, app.generation.right.state} == {GenerationState.PAUSED}
        await pilot.press("d")
        assert not app.generation.right.display
        assert app.generation.pane.current is app.generation.left


async def test_a_scene_gives_way_to_the_duel_that_was_there_before() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        await pilot.press("d", "left", "s")
        await until(pilot, lambda: app.screen is not app.generation)
        await pilot.press("escape", "s")
        assert app.generation.pane is app.generation.duel
        assert app.generation.right.display
        assert app.generation.pane.current is app.generation.left


async def test_enter_starts_both_though_one_side_speaks() -> None:
    """Enter did nothing as long as one of the two was on its way."""
    loader = FakeModelLoader(gated=True)
    async with (app := FakeModelApp(loader)).run_test(size=(120, 40)) as pilot:
        loader.missing.add("lear")
        await pilot.press("d")
        app.generation.use_model("lear")
        await pilot.press("enter")
        await until(pilot, lambda: app.generation.right.state is GenerationState.FAILED)
        assert app.generation.left.busy
        loader.missing.clear()
        await pilot.press("enter")
        await until(pilot, lambda: len(loader.opened) == 4)
        loader.let(2_000)
        await until_generated(pilot, app)
        assert len(app.generation.left.generated) == len(app.generation.right.generated) == 400


async def test_a_duel_begins_at_once_while_the_first_text_speaks() -> None:
    async with (app := FakeModelApp(first_start=True)).run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.generation.left.count > 0)
        await pilot.press("d")
        await until(pilot, lambda: app.generation.right.count > 0 and app.generation.left.count > 0)
        assert app.generation.left.settings.seed == app.generation.right.settings.seed


async def test_both_sides_begin_at_the_top_whatever_was_there() -> None:
    """The first text began below an earlier one, and never stood beside the second."""
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("d", "enter")
        await until_generated(pilot, app)
        left, right = app.generation.left, app.generation.right
        assert left.transcript.text == right.transcript.text == "ROMEO:\n" + left.generated
        assert left.takes[0].text == left.generated, "the earlier text is still among the takes"


async def test_the_second_side_differs_from_the_first() -> None:
    """The two began with equal settings, and so said the same."""
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        await pilot.press("d")
        left, right = app.generation.left.settings, app.generation.right.settings
        assert (preset_of(left), preset_of(right)) == ("balanced", "wild")


async def test_where_the_texts_part_is_marked_in_both() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        app.fake_loader.texts["macbeth@500"] = "O speak once more. "
        await pilot.press("d")
        app.generation.use_model("macbeth@500")
        await pilot.press("enter")
        await until_generated(pilot, app)
        at = len("ROMEO:\nO speak ")
        for text in (app.generation.left, app.generation.right):
            await until(pilot, lambda text=text: text.transcript.parting == at)
            assert text.transcript.text[at] in "ao"
        await pilot.press("d")
        assert app.generation.left.transcript.parting is None
