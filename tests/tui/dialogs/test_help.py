"""The help: every key once, by what one wants to do."""

from typing import ClassVar

import pytest
from textual.binding import Binding, BindingType
from textual.screen import Screen

from shakegpt.tui.dialogs.help import HelpScreen, help_for
from tests.tui.fake_model_app import FakeModelApp


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
        groups = help_for(app.screen)._groups
        assert list(groups) == ["Things", "Also", "Everywhere"]
        assert [(entry.keys, entry.text) for entry in groups["Things"]] == [
            (("a",), "Do one thing"),
            (("c", "d"), "Do two things"),
        ]
        assert [entry.keys[0] for entry in groups["Everywhere"]] == ["1", "2", "3", "4", "?", "^p", "^q"]


@pytest.mark.parametrize(("width", "columns"), [(80, 1), (120, 2), (200, 2)])
async def test_two_columns_where_there_is_room(width: int, columns: int) -> None:
    app = FakeModelApp()
    async with app.run_test(size=(width, 40)) as pilot:
        await pilot.press("3", "question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        left, right = app.screen.query_one("#left").region, app.screen.query_one("#right").region
        assert (right.x > left.x) == (columns == 2)
        assert app.screen.query_one("VerticalScroll").region.right <= width


@pytest.mark.parametrize("key", ["escape", "question_mark", "f1", "q", "enter"])
async def test_help_closes(key: str) -> None:
    app = FakeModelApp()
    async with app.run_test() as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        await pilot.press(key)
        await pilot.pause()
        assert not isinstance(app.screen, HelpScreen)
