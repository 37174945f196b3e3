"""The generation screen by the mouse."""

import pytest
from textual.events import MouseScrollDown, MouseScrollUp

from shakegpt.runs.speed import Speed
from shakegpt.tui.generation.knobs_bar import KnobsBar
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.try_pane import TryPane
from tests.tui.fake_model_app import FakeModelApp, until
from tests.tui.fake_model_loader import FakeModelLoader


def temperature(app: FakeModelApp) -> float:
    return round(app.generation.left.settings.temperature, 6)


@pytest.mark.parametrize("width", [80, 120])
async def test_knobs_are_turned_by_click_and_wheel(width: int) -> None:
    async with (app := FakeModelApp()).run_test(size=(width, 40)) as pilot:
        bar = app.generation.query_one(KnobsBar)
        place = bar.render_line(0).text.index("top-k") + bar.content_region.x
        await pilot.click(bar, offset=(place + 1, 0))
        await until(pilot, lambda: app.generation.left.settings.top_k == 50)  # the left half turns down
        await pilot.click(bar, offset=(place - 3, 0))
        await until(pilot, lambda: temperature(app) == 0.85)  # the right half turns up
        for wheel, expected in ((MouseScrollDown, 0.8), (MouseScrollUp, 0.85)):
            await pilot._post_mouse_events([wheel], bar, offset=(2, 0), button=0)
            await until(pilot, lambda expected=expected: temperature(app) == expected)


async def test_a_slider_goes_to_where_it_is_clicked() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        bar = app.generation.query_one(KnobsBar)
        line = bar.render_line(0).text
        await pilot.click(bar, offset=(line.index("─") + 1, 0))
        await until(pilot, lambda: temperature(app) == 0)
        await pilot.click(bar, offset=(line.rindex("─") + 1, 0))
        await until(pilot, lambda: temperature(app) == 2)


async def test_gauges_are_sliders_too() -> None:
    async with (app := FakeModelApp()).run_test(size=(200, 60)) as pilot:
        bar = app.generation.query_one(KnobsBar)
        line = bar.render_line(1).text
        await pilot.click(bar, offset=(line.index("●") + 2, 2))
        await until(pilot, lambda: app.generation.left.settings.min_p == 0)
        await pilot.click(bar, offset=(line.index("─") + 2 + 22, 2))
        await until(pilot, lambda: app.generation.left.settings.min_p == 1)


async def test_odds_are_clicked_while_frozen() -> None:
    async with (app := FakeModelApp(FakeModelLoader("abc"))).run_test(size=(120, 40)) as pilot:
        await pilot.press("f")
        panel = app.generation.query_one(NextCharacter)
        await until(pilot, lambda: panel._view is not None)
        await pilot.click(panel, offset=(6, 3))
        await until(pilot, lambda: app.generation.left.generated == "t")


async def test_the_suggestions_can_be_clicked() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        await pilot.press("x")
        pane = app.generation.query_one(TryPane)
        await until(pilot, lambda: bool(pane.size) and "wilder" in str(pane.content))
        await pilot.click(TryPane, offset=(4, 1))
        await until(pilot, lambda: temperature(app) == 0.85)


async def test_the_suggestions_say_how_long_a_training_takes_here() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        pane = app.generation.query_one(TryPane)
        await until(pilot, lambda: "train your own: 20 seconds" in str(pane.content))
        pane.post_message(TryPane.SpeedsRead({"nano": Speed(58_000, 10_000.0)}))
        await until(pilot, lambda: "train your own: 51 s\n" in f"{pane.content}\n")


async def test_a_pane_is_chosen_by_a_click() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        await pilot.press("d")
        await pilot.click(app.generation.left, offset=(5, 5))
        await until(pilot, lambda: app.generation.pane.current is app.generation.left)
