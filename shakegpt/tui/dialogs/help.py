"""The keys of a screen by what one wants to do, and the keys of the whole app."""

import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Static

import shakegpt.tui
from shakegpt.tui.dialogs.questions import Dialog

_KEY_WIDTH = 7
_ELSE = "Also"
"""The group of the screen's bindings that name none."""
_EVERYWHERE = "Everywhere"


@dataclass(frozen=True)
class HelpEntry:
    """One action: all of its keys as they are shown, and what it does."""

    keys: tuple[str, ...]
    text: str


HelpGroups = dict[str, list[HelpEntry]]
"""Actions by what one wants to do, the most wanted first."""


class HelpScreen(Dialog[None]):
    """Shows the keys of a screen, in two columns where there is room, scrolling where there are more than fit."""

    DEFAULT_CSS: ClassVar[str] = """
    HelpScreen {
        & > VerticalScroll { width: 78; }
        & #columns { height: auto; layout: vertical; }
        & #columns > Vertical { height: auto; width: 1fr; }
        & .group { margin-top: 1; color: $primary; text-style: bold; }
        &.-wide > VerticalScroll, &.-very-wide > VerticalScroll { width: 118; }
        &.-wide #columns, &.-very-wide #columns { layout: horizontal; }
        &.-wide #columns > #left, &.-very-wide #columns > #left { margin-right: 3; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter", "app.pop_screen", "Close", id="help.close", tooltip="Close this"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="help.up", tooltip="Scroll up"),
    ]

    def __init__(self, title: str, description: str, groups: HelpGroups) -> None:
        super().__init__()
        self._title = title
        self._description = description
        self._groups = groups

    def compose(self) -> ComposeResult:
        """Put the purpose of the screen above its keys."""
        with VerticalScroll(can_focus=True) as scroll:
            scroll.border_title, scroll.border_subtitle = self._title, "esc closes"
            if self._description:
                yield Static(self._description, markup=False)
            with Horizontal(id="columns"):
                for name, groups in zip(("left", "right"), _columns(self._groups), strict=True):
                    with Vertical(id=name):
                        for group, entries in groups.items():
                            yield Static(group, classes="group", markup=False)
                            yield Static(_key_table(entries))

    def on_mount(self) -> None:
        """Focus the box, so that the page keys scroll it."""
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, lines: int) -> None:
        """Scroll by some lines."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def _key_table(entries: list[HelpEntry]) -> Table:
    table = Table.grid(padding=(0, 2))
    keys = [" ".join(entry.keys) for entry in entries]
    table.add_column(min_width=max(_KEY_WIDTH, *map(cell_len, keys)), no_wrap=True)
    for key, entry in zip(keys, entries, strict=True):
        table.add_row(Text(key, style="bold"), Text(entry.text))
    return table


def _columns(groups: HelpGroups) -> tuple[HelpGroups, HelpGroups]:
    """Return the groups of the left and of the right column, about equally high and in their order."""
    heights = [len(entries) + 2 for entries in groups.values()]
    names = list(groups)
    best = min(range(1, len(names) + 1), key=lambda cut: abs(sum(heights[:cut]) - sum(heights[cut:])), default=0)
    return {name: groups[name] for name in names[:best]}, {name: groups[name] for name in names[best:]}


def help_for(screen: Screen[Any]) -> HelpScreen:
    """Return the help of a screen: its own keys by their groups, then those of its widgets and of the app.

    Bindings without an id, such as the arrow keys of a list, are left out.
    """
    app = screen.app
    entries: dict[str, dict[str, HelpEntry]] = {}
    active = [active for active in screen.active_bindings.values() if active.binding.id is not None]
    order = {screen: 0, app: 2}
    for _, binding, *_ in sorted(
        active, key=lambda active: (order.get(active.node, 1), active.binding.id == "app.quit")
    ):
        is_app = binding.id is not None and binding.id.startswith("app.")
        name = _EVERYWHERE if is_app else binding.group.description if binding.group else _ELSE
        group = entries.setdefault(name, {})
        known = group.get(binding.action, HelpEntry((), binding.tooltip or binding.description))
        key = app.get_key_display(binding)
        if key not in known.keys:
            known = replace(known, keys=(*known.keys, key))
        group[binding.action] = known
    ordered = sorted(entries, key=lambda name: (name == _ELSE) + 2 * (name == _EVERYWHERE))
    title = getattr(screen, "HELP_TITLE", None) or screen.title or "Keys"
    groups = {name: list(entries[name].values()) for name in ordered}
    return HelpScreen(title, getattr(screen, "HELP", "") or "", groups)


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
