"""``e`` explains what has the focus; the arrows go on."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.widgets import Static

from shakegpt.tui.app import ShakegptApp
from shakegpt.tui.dialogs.explain import ExplainScreen
from shakegpt.tui.training.training_screen import TrainingScreen


def shown(screen: Any) -> str:
    assert isinstance(screen, ExplainScreen)
    return str(screen.query_one("#explanation", Static).render())


@pytest.mark.parametrize(("focus", "begins"), [(None, "The model gives"), ("#perplexity", "Perplexity is")])
async def test_the_key_explains_what_has_the_focus(
    fake_training: Callable[[str], Any], focus: str | None, begins: str
) -> None:
    app = ShakegptApp(training=fake_training("training"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, TrainingScreen)
        if focus:
            app.screen.query_one(focus).focus()
        await pilot.press("e")
        await pilot.pause()
        assert shown(app.screen).startswith(begins)
        first = shown(app.screen)
        await pilot.press("right")
        assert shown(app.screen) != first
        await pilot.press("left")
        assert shown(app.screen) == first
        await pilot.press("e")
        assert isinstance(app.screen, TrainingScreen)


async def test_without_a_run_there_is_nothing_to_explain() -> None:
    app = ShakegptApp(mode="training")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("e")
        await pilot.pause()
        assert isinstance(app.screen, TrainingScreen)
