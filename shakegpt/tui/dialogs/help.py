"""The keys of a screen and what it is for, and the keys of the whole app."""

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
from textual.screen import Screen
from textual.widgets import Static

import shakegpt.tui
from shakegpt.tui.dialogs.questions import Dialog

_KEY_WIDTH = 7


class HelpScreen(Dialog[None]):
    """Shows the keys of a screen, scrolling where there are more than fit."""

    DEFAULT_CSS: ClassVar[str] = """
    HelpScreen {
        & > VerticalScroll { width: 76; }
        & .group { margin-top: 1; color: $primary; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q,enter", "app.pop_screen", "Close", id="help.close", tooltip="Close this help"),
    ]

    def __init__(self, title: str, description: str, groups: Iterable[tuple[str, list[Binding]]]) -> None:
        super().__init__()
        self._title = title
        self._description = description
        self._groups = [(name, bindings) for name, bindings in groups if bindings]

    def compose(self) -> ComposeResult:
        """Put the purpose of the screen above its keys."""
        with VerticalScroll(can_focus=True) as scroll:
            scroll.border_title = self._title
            scroll.border_subtitle = "Esc closes"
            if self._description:
                yield Static(self._description, markup=False)
            for name, bindings in self._groups:
                yield Static(name, classes="group", markup=False)
                yield Static(self._key_table(bindings))

    def on_mount(self) -> None:
        """Focus the box, so that the arrow keys scroll it."""
        self.query_one(VerticalScroll).focus()

    def _key_table(self, bindings: list[Binding]) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=_KEY_WIDTH, no_wrap=True)
        for binding in bindings:
            key = Text(self.app.get_key_display(binding), style="bold")
            table.add_row(key, Text(binding.tooltip or binding.description))
        return table


def help_for(screen: Screen[Any]) -> HelpScreen:
    """Return the help of a screen: its own keys, then those of the app.

    Bindings without an id, such as the arrow keys of a list, are left out.
    """
    own: dict[str, Binding] = {}
    app_bindings: list[Binding] = []
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.id is None:
            continue
        if active.node is screen.app:
            app_bindings.append(binding)
        else:
            own.setdefault(binding.action, binding)
    title = getattr(screen, "HELP_TITLE", None) or screen.title or "Keys"
    return HelpScreen(
        title, getattr(screen, "HELP", "") or "", [("Here", list(own.values())), ("Everywhere", app_bindings)]
    )


def known_bindings() -> dict[str, Binding]:
    """Return the bindings of every screen and widget of the app by the id that ``config.toml`` rebinds them under."""
    for module in pkgutil.walk_packages(shakegpt.tui.__path__, "shakegpt.tui."):
        import_module(module.name)
    found: dict[str, Binding] = {}
    for kind in _subclasses(DOMNode):
        if kind.__module__.startswith("shakegpt.tui."):
            for binding in Binding.make_bindings(kind.__dict__.get("BINDINGS", ())):
                if binding.id is not None:
                    first = found.get(binding.id)
                    keys = binding.key if first is None or binding.key == first.key else f"{first.key},{binding.key}"
                    found[binding.id] = binding.with_key(keys)
    return dict(sorted(found.items()))


def _subclasses(kind: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
