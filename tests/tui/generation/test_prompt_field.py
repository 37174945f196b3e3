"""The prompt as one line, and its history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.app import App, ComposeResult

from shakegpt.tui.generation.prompt_field import PromptField, from_field, to_field


@given(st.text(max_size=40))
def test_any_text_survives_the_field(text: str) -> None:
    assert from_field(to_field(text)) == text
    assert "\n" not in to_field(text)


@pytest.mark.parametrize(
    ("line", "text"), [("ROMEO:\\n", "ROMEO:\n"), ("\\\\n", "\\n"), ("\\q", "\\q"), ("end\\", "end\\")]
)
def test_a_backslash_means_what_it_says(line: str, text: str) -> None:
    assert from_field(line) == text


class Desk(App[None]):
    def compose(self) -> ComposeResult:
        yield PromptField("draft", history=["newest", "oldest"])


async def test_the_history_goes_back_and_forth_and_keeps_the_draft() -> None:
    async with (app := Desk()).run_test() as pilot:
        field = app.query_one(PromptField)
        field.focus()
        seen = []
        for key in ("up", "up", "up", "down", "down", "down"):
            await pilot.press(key)
            seen.append(field.text)
        assert seen == ["newest", "oldest", "oldest", "newest", "draft", "draft"]


async def test_what_is_sent_again_moves_to_the_head_of_the_history() -> None:
    async with (app := Desk()).run_test():
        field = app.query_one(PromptField)
        field.remember("oldest")
        assert field.history == ("oldest", "newest")


async def test_a_paste_of_many_lines_loses_none() -> None:
    async with (app := Desk()).run_test() as pilot:
        field = app.query_one(PromptField)
        field.text = ""
        field.focus()
        await pilot.pause()
        app.post_message(events.Paste("ROMEO:\r\nAy me!\x1b\n"))
        await pilot.pause()
        assert field.text == "ROMEO:\nAy me!"
