"""What the screen at hand is for, and every key that works on it."""

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

import shakegpt.tui

_KEY_WIDTH = 7


class HelpScreen(ModalScreen[None]):
    """Shows the keys of a screen, scrolling where there are more than fit."""

    DEFAULT_CSS: ClassVar[str] = """
    HelpScreen {
        align: center middle;
        & > VerticalScroll {
            width: 76;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            padding: 1 2;
            border: round $primary;
            border-title-color: $primary;
            border-subtitle-color: $text-muted;
            background: $surface;
        }
        & .group { margin-top: 1; color: $primary; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "app.pop_screen", "Close", id="help.close", tooltip="Close this help"),
    ]

    def __init__(self, title: str, about: str, groups: Iterable[tuple[str, list[Binding]]]) -> None:
        super().__init__()
        self._title = title
        self._about = about
        self._groups = [(name, bindings) for name, bindings in groups if bindings]

    def compose(self) -> ComposeResult:
        """Put what the screen is for above its keys."""
        with VerticalScroll(can_focus=True) as scroll:
            scroll.border_title = self._title
            scroll.border_subtitle = "Esc closes"
            if self._about:
                yield Static(self._about, markup=False)
            for name, bindings in self._groups:
                yield Static(name, classes="group", markup=False)
                yield Static(self._listing(bindings))

    def on_mount(self) -> None:
        """Let the arrow keys scroll."""
        self.query_one(VerticalScroll).focus()

    def _listing(self, bindings: list[Binding]) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=_KEY_WIDTH, no_wrap=True)
        for binding in bindings:
            key = Text(self.app.get_key_display(binding), style="bold")
            table.add_row(key, Text(binding.tooltip or binding.description))
        return table


def help_for(screen: Screen[Any]) -> HelpScreen:
    """Return the help of a screen: its own keys, then those that work everywhere.

    A key counts when it has an id: those without are a widget's own, such as the arrow keys of a list.
    """
    own: dict[str, list[Binding]] = {}
    everywhere: list[Binding] = []
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.id is None:
            continue
        if active.node is screen.app:
            everywhere.append(binding)
        else:
            own.setdefault(binding.action, []).append(binding)
    title = getattr(screen, "HELP_TITLE", None) or screen.title or "Keys"
    first = [bindings[0] for bindings in own.values()]
    return HelpScreen(title, getattr(screen, "HELP", "") or "", [("Here", first), ("Everywhere", everywhere)])


def known_bindings() -> dict[str, Binding]:
    """Return the app's own bindings that have an id, those of every screen and widget, by id."""
    for module in pkgutil.walk_packages(shakegpt.tui.__path__, "shakegpt.tui."):
        import_module(module.name)
    found: dict[str, Binding] = {}
    for kind in _kinds(DOMNode):
        if kind.__module__.startswith("shakegpt.tui."):
            for binding in Binding.make_bindings(kind.__dict__.get("BINDINGS", ())):
                if binding.id is not None:
                    first = found.get(binding.id)
                    keys = binding.key if first is None or binding.key == first.key else f"{first.key},{binding.key}"
                    found[binding.id] = binding.with_key(keys)
    return dict(sorted(found.items()))


def _kinds(kind: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)
