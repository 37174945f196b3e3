"""The footer: what it shows, and what it leaves out where there is no room."""

from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from shakegpt.tui.themes import THEMES
from shakegpt.tui.widgets.footer import EVERYWHERE, Footer, FooterKey, fit
from tests.tui.fake_model_app import FakeModelApp

KEYS = [FooterKey("⏎", "Speak", "enter"), FooterKey("space", "Stop", "space"), FooterKey("i", "Prompt", "i")]
MORE = [FooterKey("x", "Odds", "x"), FooterKey("u", "Tint", "u")]
RIGHT = [FooterKey("?", "Help", "?"), FooterKey("^p", "All", "ctrl+p"), FooterKey("^q", "Quit", "ctrl+q")]


def labels(groups: list[list[FooterKey]]) -> list[list[str]]:
    return [[key.label for key in group] for group in groups]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (100, [["Speak", "Stop", "Prompt"], ["Odds", "Tint"], ["Help", "All", "Quit"]]),
        (67, [["Speak", "Stop", "Prompt"], ["Odds"], ["Help", "All", "Quit"]]),
        (55, [["Speak", "Stop"], ["Help", "All", "Quit"]]),
        (40, [["Speak", "Stop"], ["Help", "Quit"]]),
        (30, [["Speak"], ["Help", "Quit"]]),
        (18, [["Help", "Quit"]]),
        (10, [["Quit"]]),
    ],
)
def test_the_most_wanted_stay_and_help_and_quit_always(width: int, shown: list[list[str]]) -> None:
    assert labels(fit([KEYS, MORE], RIGHT, width)) == shown


def text(app: App[None]) -> str:
    return "".join(segment.text for segment in app.screen.query_one(Footer).render_line(0))


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("key", ["1", "2", "3"])
async def test_no_word_is_cut_on_any_screen(key: str, width: int) -> None:
    app = FakeModelApp()
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.press(key)
        await pilot.pause()
        line = text(app)
        known = {active.binding.description for active in app.screen.active_bindings.values()} | {*EVERYWHERE.values()}
        for entry in line.replace("│", "  ").strip().split("  "):
            if entry.strip():
                assert any(entry.endswith(f" {name}") for name in known), entry
        assert line.rstrip().endswith("^q Quit")
        assert "? Help" in line


class GroupedApp(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "first", "First", group=Binding.Group("One")),
        Binding("b", "second", "Second", group=Binding.Group("One")),
        Binding("left", "move(-1)", "Left", group=Binding.Group("Move", compact=True)),
        Binding("right", "move(1)", "Right", group=Binding.Group("Move", compact=True)),
        Binding("c", "third", "Third", show=False),
    ]
    AUTO_FOCUS = None
    pressed = ""

    def compose(self) -> ComposeResult:
        for theme in THEMES:
            self.register_theme(theme)
        yield Input()
        yield Footer()

    def action_second(self) -> None:
        self.pressed += "b"


async def test_groups_are_apart_and_a_compact_one_is_shown_as_one() -> None:
    app = GroupedApp()
    async with app.run_test(size=(80, 5)) as pilot:
        await pilot.pause()
        assert text(app).startswith(" a First  b Second │ ← → Move")


async def test_a_click_presses_the_key() -> None:
    app = GroupedApp()
    async with app.run_test(size=(80, 5)) as pilot:
        await pilot.pause()
        await pilot.click(Footer, offset=(12, 0))
        await pilot.pause()
        assert app.pressed == "b"


async def test_keys_that_a_field_takes_as_text_are_left_out() -> None:
    app = FakeModelApp()
    async with app.run_test(size=(120, 24)) as pilot:
        await pilot.press("3")
        await pilot.press("slash")
        await pilot.pause()
        assert "Filter" not in text(app)
        assert "Resume" not in text(app)
        assert "f1 Help" in text(app)
        assert "^q Quit" in text(app)
