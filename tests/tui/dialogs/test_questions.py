"""The small dialogs: letters, arrows and Enter answer; Esc goes back."""

from typing import Any

import pytest
from textual.app import App
from textual.screen import Screen

from shakegpt.tui.dialogs.choose_model import ChooseModelScreen
from shakegpt.tui.dialogs.questions import ConfirmScreen, PromptScreen, QuitScreen
from shakegpt.tui.themes import THEMES


class AskingApp(App[None]):
    """Shows one dialog, and keeps its answer."""

    def __init__(self, dialog: Screen[Any]) -> None:
        super().__init__()
        self.dialog = dialog
        self.answers: list[Any] = []
        for theme in THEMES:
            self.register_theme(theme)

    async def on_mount(self) -> None:
        await self.push_screen(self.dialog, self.answers.append)


async def answers(dialog: Screen[Any], *keys: str) -> list[Any]:
    app = AskingApp(dialog)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
    return app.answers


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["y"], True),
        (["n"], False),
        (["escape"], False),
        (["enter"], False),
        (["left", "enter"], True),
        (["h", "enter"], True),
        (["shift+tab", "enter"], True),
        (["left", "right", "enter"], False),
    ],
)
async def test_a_question_is_answered_with_no_unless_yes_is_chosen(keys: list[str], answer: bool) -> None:
    assert await answers(ConfirmScreen("Stop macbeth, which this process trains?", "stop it"), *keys) == [answer]


async def test_a_question_says_what_it_is_about_and_which_letters_answer() -> None:
    app = AskingApp(ConfirmScreen("Stop [macbeth], which this process trains?", "stop it"))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        drawn = "\n".join("".join(segment.text for segment in line) for line in app.screen._compositor.render_strips())
        for words in ("Stop it?", "Stop [macbeth], which this process trains?", "y yes, stop it", "n no, go back"):
            assert words in drawn


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["t"], "headless"),
        (["s"], "stop"),
        (["escape"], None),
        (["b"], None),
        (["enter"], "headless"),
        (["j", "enter"], "stop"),
        (["down", "down", "enter"], None),
    ],
)
async def test_quitting(keys: list[str], answer: str | None) -> None:
    assert await answers(QuitScreen("macbeth", "step 1 of 2"), *keys) == [answer]


def refuse(text: str) -> None:
    if " " in text:
        raise ValueError("A name has no spaces.")


async def test_a_text_that_is_refused_is_asked_for_again() -> None:
    dialog = PromptScreen("A new name for macbeth:", "macbeth", refuse)
    assert await answers(dialog, *"to", "space", *"be", "enter") == []
    assert dialog.has_class("-error")
    assert await answers(PromptScreen("A new name:", "macbeth", refuse), *"hamlet", "enter") == ["hamlet"]
    assert await answers(PromptScreen("A new name:", "macbeth", refuse), "escape") == [None]


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [(["enter"], "macbeth@1"), (["j", "enter"], "macbeth@2"), (["g", "enter"], "pretrained"), (["escape"], None)],
)
async def test_choosing_a_model(keys: list[str], chosen: str | None) -> None:
    choices = [("pretrained", "comes with shakegpt"), ("macbeth@1", "step 1"), ("macbeth@2", "step 2")]
    assert await answers(ChooseModelScreen(choices, "macbeth@1"), *keys) == [chosen]
