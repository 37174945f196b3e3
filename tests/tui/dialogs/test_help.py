"""The help: every key once, by what one wants to do."""

from typing import Any, ClassVar

import pytest
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.screen import Screen

from shakegpt.tui.dialogs.help import HelpEntry, HelpScreen, HelpText, help_for, help_lines
from tests.tui.fake_model_app import FakeModelApp, until


class GroupedScreen(Screen[None]):
    HELP_TITLE: ClassVar[str] = "A screen"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "one", "One", id="one", tooltip="Do one thing", group=Binding.Group("Things")),
        Binding("b", "other", "Other", id="other", tooltip="Do something else"),
        Binding("c,d", "two", "Two", id="two", tooltip="Do two things", group=Binding.Group("Things")),
        Binding("e", "hidden", "Hidden", tooltip="A key of a list"),
    ]


async def test_actions_stand_in_their_groups_with_all_their_keys() -> None:
    app = FakeModelApp()
    async with app.run_test() as pilot:
        await app.push_screen(GroupedScreen())
        await pilot.pause()
        groups = help_for(app.screen).groups
        assert list(groups) == ["Things", "Also", "Everywhere"]
        assert [(entry.keys, entry.text) for entry in groups["Things"]] == [
            (("a",), "Do one thing"),
            (("c", "d"), "Do two things"),
        ]
        assert [entry.keys[0] for entry in groups["Everywhere"]] == ["1", "2", "3", "4", "?", "^p", "^q"]


async def help_text(pilot: Pilot[Any]) -> HelpText:
    """Wait for the help to be open, and return its text."""
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, HelpScreen) and bool(app.screen.query(HelpText)))
    text = app.screen.query_one(HelpText)
    await until(pilot, lambda: bool(text.size))
    return text


@pytest.mark.parametrize(("width", "columns"), [(80, 1), (120, 2), (200, 2)])
async def test_two_columns_where_there_is_room(width: int, columns: int) -> None:
    app = FakeModelApp()
    async with app.run_test(size=(width, 90)) as pilot:
        await pilot.press("3", "question_mark")
        text = await help_text(pilot)
        assert text.region.right <= width
        shown = [text.render_line(y).text.rstrip() for y in range(text.size.height)]
        entries = [entry for group in help_for(app.screen_stack[0]).groups.values() for entry in group]
        assert {word for entry in entries for word in entry.text.split()} <= set(" ".join(shown).split()), "none is cut"
        shown = [text.render_line(y).text.rstrip() for y in range(text.size.height)]
        assert "Train" in "".join(shown)
        assert any(line.startswith("Train ") and line.endswith("Also") for line in shown) == (columns == 2)
        assert ("Train" in shown) == (columns == 1)


def test_columns_are_about_equally_high_and_no_line_is_wider_than_its_column() -> None:
    words = "a sentence of some words that goes on for longer than there is room in one line of a column"
    groups = {name: [HelpEntry((name[0],), words)] * count for name, count in (("One", 1), ("Two", 6), ("Three", 4))}
    lines = ["".join(text for text, _ in line) for line in help_lines("What it is for.", groups, 111)]
    assert lines[:3] == ["What it is for.", " " * 57, f"{'One':<57}Three"]
    assert max(map(len, lines)) <= 111
    assert {line[54:57] for line in lines[1:]} == {"   "}, "there is a gap between the columns"
    one_column = ["".join(text for text, _ in line) for line in help_lines("What it is for.", groups, 60)]
    assert [line for line in one_column if line in groups] == ["One", "Two", "Three"]
    assert max(map(len, one_column)) <= 60


@pytest.mark.parametrize("keys", [["pagedown"], ["down", "j", "j"], ["end"]])
async def test_what_does_not_fit_is_scrolled_to(keys: list[str]) -> None:
    app = FakeModelApp()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("question_mark")
        text = await help_text(pilot)
        first = text.render_line(0).text
        for key in keys:
            await pilot.press(key)
        await until(pilot, lambda: text.render_line(0).text != first)
        if keys == ["end"]:
            await until(pilot, lambda: "Quit" in text.render_line(text.size.height - 1).text)


@pytest.mark.parametrize("key", ["escape", "question_mark", "f1", "q", "enter"])
async def test_help_closes(key: str) -> None:
    app = FakeModelApp()
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        await help_text(pilot)
        await pilot.press(key)
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen))
