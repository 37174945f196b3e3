"""Two voices side by side."""

import pytest
from fake_model_app import FakeModelApp, until, until_generated
from fake_model_loader import FakeModelLoader
from textual.widgets import Static


async def test_two_voices_speak_from_one_prompt_and_seed() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        await pilot.press("d", "enter")
        await until_generated(pilot, app)
        screen = app.generation
        assert screen.left.display
        assert screen.right.display
        assert app.fake_loader.opened == [("pretrained", "ROMEO:\n")] * 2
        assert app.fake_loader.seeds == [1337, 1337]
        assert len(screen.left.drawn) == len(screen.right.drawn) == 400


async def test_knobs_turn_the_marked_voice_and_the_seed_is_common() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        await pilot.press("d", "T", "E", "left", "k")
        screen = app.generation
        assert screen.right.settings.temperature == pytest.approx(0.85)
        assert screen.left.settings.temperature == pytest.approx(0.8)
        assert (screen.left.settings.top_k, screen.right.settings.top_k) == (50, None)
        assert screen.left.settings.seed == screen.right.settings.seed == 1338


async def test_each_voice_has_a_model_of_its_own_and_says_so() -> None:
    async with (app := FakeModelApp(FakeModelLoader())).run_test(size=(120, 40)) as pilot:
        app.fake_loader.says["macbeth@500"] = "Is this a dagger? "
        await pilot.press("d")
        app.generation.use("macbeth@500")
        await pilot.press("enter")
        await until_generated(pilot, app)
        screen = app.generation
        assert screen.right.drawn.startswith("Is this a dagger?")
        assert screen.left.drawn.startswith("O speak again")
        titles = [str(passage.query_one(".title", Static).render()) for passage in (screen.left, screen.right)]
        assert titles == ["pretrained", "macbeth@500"]


async def test_one_voice_failing_leaves_the_other_speaking() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        app.fake_loader.missing.add("lear")
        await pilot.press("d")
        app.generation.use("lear")
        await pilot.press("enter")
        await until(pilot, lambda: app.generation.right.state == "failed")
        await until_generated(pilot, app)
        assert len(app.generation.left.drawn) == 400
        assert "no run lear" in str(app.generation.query_one("#notice", Static).render())


async def test_a_stop_stops_both_and_leaving_hides_the_second() -> None:
    voices = FakeModelLoader(gated=True)
    async with (app := FakeModelApp(voices)).run_test(size=(120, 40)) as pilot:
        await pilot.press("d", "enter")
        voices.let(6)
        await until(pilot, lambda: len(app.generation.left.drawn) + len(app.generation.right.drawn) == 6)
        await pilot.press("space")
        voices.let(10)
        await until_generated(pilot, app)
        assert {app.generation.left.state, app.generation.right.state} == {"resting"}
        await pilot.press("d")
        assert not app.generation.right.display
        assert app.generation.active is app.generation.left
