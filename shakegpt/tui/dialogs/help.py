"""The keys of a screen by what one wants to do, and the keys of the whole app."""

import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import chain, zip_longest
from textwrap import wrap
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.geometry import Size
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

import shakegpt.tui
from shakegpt.tui.dialogs.questions import Dialog

_KEY_WIDTH = 7
_TWO_COLUMNS = 100
"""The width from which on the keys stand in two columns."""
_GUTTER = 3
"""Cells between the two."""
_PARTS = ("group", "key")
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
HelpLine = Sequence[tuple[str, str]]
"""Texts, each with the part of the help that it is styled as; plain where that is empty."""


class HelpText(ScrollView, can_focus=True):
    """What a screen is for, and its keys below: in two columns where there is room.

    It draws single lines: as widgets, one a group, help took twice as long to open.

    Args:
        title: the name of the screen, which stands in the border.
        description: what the screen is for.
        groups: the keys.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"help-text--{part}" for part in _PARTS}
    DEFAULT_CSS: ClassVar[str] = """
    HelpText {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        & > .help-text--group { color: $primary; text-style: bold; }
        & > .help-text--key { text-style: bold; }
    }
    """

    def __init__(self, title: str, description: str, groups: HelpGroups) -> None:
        super().__init__()
        self.border_title, self.border_subtitle = title, "esc closes"
        self._description = description
        self._groups = groups
        self._laid_out: tuple[int, list[HelpLine]] = (0, [])

    def lines(self, width: int) -> list[HelpLine]:
        """Return the lines that are so many cells wide."""
        if self._laid_out[0] != width:
            self._laid_out = width, help_lines(self._description, self._groups, width)
        return self._laid_out[1]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """Return the number of lines; there is as much to scroll over."""
        width -= self.styles.scrollbar_size_vertical
        height = len(self.lines(width))
        self.set_reactive(Widget.virtual_size, Size(width, height))  # not as a change, which would lay out all again
        return height

    def render_line(self, y: int) -> Strip:
        """Return the line that is ``y`` lines below the first in sight."""
        width, background = self.scrollable_content_region.width, self.rich_style
        lines, line = self.lines(width), y + self.scroll_offset.y
        row = lines[line] if line < len(lines) else ()
        segments = [
            Segment(text, self.get_component_rich_style(f"help-text--{part}") if part else background)
            for text, part in row
        ]
        return Strip(segments).adjust_cell_length(width, background)


class HelpScreen(Dialog[None]):
    """Shows the keys of a screen, scrolling where there are more than fit."""

    DEFAULT_CSS: ClassVar[str] = """
    HelpScreen {
        & > HelpText { width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 1 1 1 2; }
        &.-short > HelpText { padding: 0 0 0 1; }
        &.-wide > HelpText, &.-very-wide > HelpText { width: 118; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter", "app.pop_screen", "Close", id="help.close", tooltip="Close this"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="help.down", tooltip="Scroll down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="help.up", tooltip="Scroll up"),
    ]

    def __init__(self, title: str, description: str, groups: HelpGroups) -> None:
        super().__init__()
        self.groups = groups
        self._text = HelpText(title, description, groups)

    def compose(self) -> ComposeResult:
        """Show the text, which has the focus, so that the page keys scroll it."""
        yield self._text

    def action_scroll(self, lines: int) -> None:
        """Scroll by some lines."""
        self._text.scroll_relative(y=lines, animate=False)


def help_lines(description: str, groups: HelpGroups, width: int) -> list[HelpLine]:
    """Return the lines of a help, ``width`` cells wide: what the screen is for, then each group under its name.

    In two columns the groups stand in their order, and the columns are about equally high.
    """
    lines: list[HelpLine] = [[(line, "")] for line in wrap(description, width)]
    room = width if width < _TWO_COLUMNS else (width - _GUTTER) // 2
    parts = [_group_lines(name, entries, room) for name, entries in groups.items()]
    if width < _TWO_COLUMNS:
        return [*lines, *chain.from_iterable(parts)]
    heights = [len(part) for part in parts]
    cut = min(range(1, len(parts) + 1), key=lambda cut: max(sum(heights[:cut]), sum(heights[cut:])), default=0)
    left, right = (chain.from_iterable(half) for half in (parts[:cut], parts[cut:]))
    for one, other in zip_longest(left, right, fillvalue=()):
        gap = width - room - sum(cell_len(text) for text, _ in one)
        lines.append([*one, (" " * gap, ""), *other])
    return lines


def _group_lines(name: str, entries: Sequence[HelpEntry], width: int) -> list[HelpLine]:
    """Return an empty line, the name of the group, and its keys, each beside what it does."""
    keys = [" ".join(entry.keys) for entry in entries]
    indent = max(_KEY_WIDTH, *map(cell_len, keys)) + 2
    lines: list[HelpLine] = [[], [(name, "group")]]
    for key, entry in zip(keys, entries, strict=True):
        first, *rest = wrap(entry.text, max(1, width - indent)) or [""]
        lines.append([(key, "key"), (" " * (indent - cell_len(key)), ""), (first, "")])
        lines += [[(" " * indent, ""), (line, "")] for line in rest]
    return lines


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
