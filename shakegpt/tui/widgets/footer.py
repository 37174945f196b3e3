"""The line at the bottom of every screen: its keys in groups, and at the right those that work everywhere."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import ActiveBinding
from textual.keys import format_key
from textual.screen import Screen
from textual.strip import Strip

from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

EVERYWHERE = {"app.help": "Help", "app.palette": "All", "app.quit": "Quit"}
"""The bindings that stand at the right, and what they are called there."""
_GAP = "  "
_SEPARATOR = "│"


@dataclass(frozen=True)
class FooterKey:
    """A key, as it is shown and as it is pressed by a click."""

    shown: str
    label: str
    key: str

    @property
    def width(self) -> int:
        """How many cells it takes."""
        return cell_len(f"{self.shown} {self.label}")


def fit(groups: Sequence[Sequence[FooterKey]], everywhere: Sequence[FooterKey], width: int) -> list[list[FooterKey]]:
    """Return what fits into ``width`` cells: groups from the left, and last the keys that work everywhere.

    The keys at the end of the last group go first, for the most wanted come first. Of the keys that work everywhere,
    the one in the middle goes where there is hardly room for them; none is ever cut.
    """
    right = list(everywhere)
    while len(right) > 1 and (_width(right) + 2 > width or (len(right) > 2 and 2 * _width(right) > width)):
        right.pop(1 if len(right) > 2 else 0)
    room = width - 2 - (_width(right) + len(_GAP) + 1 if right else 0)
    kept: list[list[FooterKey]] = []
    for group in groups:
        fits: list[FooterKey] = []
        for key in group:
            needed = key.width + (0 if not (kept or fits) else len(_GAP) if fits else 3)
            if needed > room:
                return [*kept, fits, right] if fits else [*kept, right]
            room -= needed
            fits.append(key)
        if fits:
            kept.append(fits)
    return [*kept, right]


def _width(keys: Iterable[FooterKey]) -> int:
    widths = [key.width for key in keys]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


class Footer(DiffWidget):
    """Shows the bindings that are active, in the order and the groups (``Binding.group``) of their screen.

    A group that is compact is shown as one: its keys, then its description. A binding that the focused field would
    take as text is left out.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"footer--key", "footer--label", "footer--line"}
    DEFAULT_CSS: ClassVar[str] = """
    Footer {
        dock: bottom;
        height: 1;
        background: $footer-background;
        & > .footer--key { color: $footer-key-foreground; background: $footer-background; text-style: bold; }
        & > .footer--label { color: $footer-description-foreground; background: $footer-background; }
        & > .footer--line { color: $border; background: $footer-background; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._groups: list[list[FooterKey]] = []
        self._everywhere: list[FooterKey] = []
        self._spans: list[tuple[int, int, str]] = []
        """Where a key stands: from a column up to another, and the key."""

    def on_mount(self) -> None:
        """Follow the bindings of the screen."""
        self._read_bindings()
        self.screen.bindings_updated_signal.subscribe(self, self._on_bindings_updated)

    def _on_bindings_updated(self, screen: Screen[object]) -> None:
        if screen is self.screen and screen.app.app_focus:
            self._read_bindings()
            self.redraw()

    def _read_bindings(self) -> None:
        groups: dict[str, list[FooterKey]] = {}
        compact: dict[str, FooterKey] = {}
        everywhere: dict[str, FooterKey] = {}
        actions = set[str]()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if not active.enabled or binding.action in actions or self._is_text(active):
                continue
            shown = self.app.get_key_display(binding)
            if binding.id in EVERYWHERE:
                everywhere[binding.id] = FooterKey(shown, EVERYWHERE[binding.id], binding.key)
            elif binding.show:
                group = binding.group
                name = group.description if group else ""
                if group is not None and group.compact:
                    before = compact.get(name, FooterKey("", name, binding.key))
                    shown = before.shown if shown in before.shown.split() else f"{before.shown} {shown}".strip()
                    compact[name] = FooterKey(shown, name, before.key)
                    groups[name] = [compact[name]]
                else:
                    groups.setdefault(name, []).append(FooterKey(shown, binding.description, binding.key))
            else:
                continue
            actions.add(binding.action)
        self._groups = list(groups.values())
        self._everywhere = [everywhere[name] for name in EVERYWHERE if name in everywhere]

    def _is_text(self, active: ActiveBinding) -> bool:
        """Return whether the focused widget takes the key before its binding can."""
        focused, binding = self.screen.focused, active.binding
        if focused is None or binding.priority or active.node is focused:
            return False
        shown = format_key(binding.key)  # such as "/" for "slash"
        return focused.check_consume_key(binding.key, shown if len(shown) == 1 else None)

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (the line is one high)
        """Return the line: the groups at the left, and what works everywhere at the right."""
        line = self.get_component_rich_style("footer--line")
        *groups, right = fit(self._groups, self._everywhere, width)
        row: Row = []
        self._spans = []
        for group in groups:
            row.append((f" {_SEPARATOR} " if row else " ", line))
            self._draw_keys(row, group)
        gap = width - _row_width(row) - (_width(right) + 3 if right else 0)
        row.append((" " * max(0, gap), line))
        if right:
            row.append((f"{_SEPARATOR} " if groups else _GAP, line))
            self._draw_keys(row, right)
        return [row]

    def _draw_keys(self, row: Row, keys: Iterable[FooterKey]) -> None:
        key_style, label_style = (self.get_component_rich_style(f"footer--{part}") for part in ("key", "label"))
        for index, key in enumerate(keys):
            if index:
                row.append((_GAP, label_style))
            left = _row_width(row)
            row += [(key.shown, key_style), (f" {key.label}", label_style)]
            self._spans.append((left, left + key.width, key.key))

    def on_click(self, event: events.Click) -> None:
        """Press the key under the pointer."""
        for left, right, key in self._spans:
            if left <= event.x < right:
                self.app.simulate_key(key)

    def on_resize(self, _: events.Resize) -> None:
        """Fit the keys to the new width."""
        self._strips: Sequence[Strip] = ()


def _row_width(row: Row) -> int:
    return sum(cell_len(text) for text, _ in row)
