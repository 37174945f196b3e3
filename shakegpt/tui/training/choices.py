"""A choice among a few options that are all on show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

LABEL_WIDTH = 14
"""Of the labels of a form, which stand at the left of its fields."""
_LEAST_HINT = 6
"""Columns below which a hint is left out: a letter and an ellipsis say nothing."""


@dataclass(frozen=True)
class Option:
    """Something to choose: its value, what it is called, and more about it."""

    value: str
    title: str
    hint: str = ""


class Choices(DiffWidget, can_focus=True):
    """Options under each other, or side by side; the arrow keys, a letter or a click choose one.

    Args:
        name: of the field.
        label: what stands before the options.
        options: what can be chosen.
        value: what is chosen at first.
        across: side by side.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "field--label",
        "field--focused",
        "field--hint",
        "choices--chosen",
        "choices--cursor",
    }
    DEFAULT_CSS: ClassVar[str] = """
    Choices {
        & > .field--label, & > .field--hint { color: $foreground 75%; }
        & > .choices--chosen { color: $primary; text-style: bold; }
        & > .field--focused { color: $primary; text-style: bold; }
        & > .choices--cursor { background: $primary 30%; color: $foreground; text-style: bold; }
        &:ansi > .choices--cursor { background: ansi_default; color: ansi_default; text-style: bold reverse; }
        &:nocolor > .choices--cursor { background: $surface; text-style: bold reverse; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1, True)", show=False),
        Binding("down,j", "move(1, True)", show=False),
        Binding("left,h", "move(-1, False)", show=False),
        Binding("right,l", "move(1, False)", show=False),
    ]

    @dataclass
    class Changed(Message):
        """Another option was chosen."""

    def __init__(self, name: str, label: str, options: Sequence[Option], value: str, *, across: bool = False) -> None:
        super().__init__(id=f"field-{name}", name=name)
        self.label = label
        self.error = ""
        """Nothing: every option can be chosen."""
        self._options = tuple(options)
        self._value = value
        self._across = across
        self._spans: list[tuple[int, int]] = []
        self.styles.height = 1 if across else len(self._options)

    @property
    def value(self) -> str:
        """What is chosen."""
        return self._value

    @value.setter
    def value(self, value: str) -> None:
        if value != self._value:
            self._value = value
            self.redraw()
            self.post_message(self.Changed())

    def add_options(self, options: Sequence[Option]) -> None:
        """Offer more, all of them under each other."""
        self._options, self._across = (*self._options, *options), False
        self.styles.height = len(self._options)
        self.redraw()

    def set_hints(self, hints: Sequence[str]) -> None:
        """Say more about the options, in their order."""
        self._options = tuple(
            Option(option.value, option.title, hint) for option, hint in zip(self._options, hints, strict=True)
        )
        self.redraw()

    def action_move(self, by: int, vertical: bool) -> None:
        """Choose the option before or after; across its direction and beyond its ends, go to the next field."""
        index = self._index + by
        if 0 <= index < len(self._options) and not (vertical and self._across):
            self.value = self._options[index].value
        elif vertical:
            self.screen.focus_next() if by > 0 else self.screen.focus_previous()

    def on_key(self, event: events.Key) -> None:
        """Choose the next option that begins with a letter."""
        letter = (event.character or "").lower()
        later = [*self._options[self._index + 1 :], *self._options[: self._index + 1]]
        found = next((option for option in later if letter and option.title.lower().startswith(letter)), None)
        if found is not None:
            event.stop()
            self.value = found.value

    def on_click(self, event: events.Click) -> None:
        """Choose the option under the pointer."""
        if not self._across:
            self.value = self._options[min(event.y, len(self._options) - 1)].value
            return
        for option, (left, right) in zip(self._options, self._spans, strict=True):
            if left <= event.x < right:
                self.value = option.value

    def on_focus(self) -> None:
        """Show that the keys act here."""
        self.redraw()

    def on_blur(self) -> None:
        """Show that they do so no more."""
        self.redraw()

    @property
    def _index(self) -> int:
        return next(index for index, option in enumerate(self._options) if option.value == self._value)

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the label and the options, each with its mark."""
        label_style = self.get_component_rich_style("field--focused" if self.has_focus else "field--label")
        label = (f"{self.label:<{LABEL_WIDTH}}", label_style)
        hint = self.get_component_rich_style("field--hint")
        indent = (" " * LABEL_WIDTH, self.rich_style)
        titles = max(len(option.title) for option in self._options)
        rows: list[Row] = []
        self._spans = []
        left = LABEL_WIDTH
        for option in self._options:
            chosen = option.value == self._value
            mark = ("● " if chosen else "○ ", self.get_component_rich_style("choices--chosen") if chosen else hint)
            cursor = "choices--cursor" if self.has_focus else "choices--chosen"
            style = self.get_component_rich_style(cursor) if chosen else self.rich_style
            title = option.title if self._across else f"{cut(option.title, width - LABEL_WIDTH - 2):<{titles}}"
            if self._across:
                rows = [[*(rows[0] if rows else [label]), mark, (title, style), ("   ", self.rich_style)]]
                self._spans.append((left, left + len(title) + 2))
                left += len(title) + 5
            else:
                room = width - LABEL_WIDTH - titles - 5
                more = cut(option.hint, room) if room >= _LEAST_HINT else ""
                rows.append([label if not rows else indent, mark, (title, style), (f"   {more}", hint)])
        return rows


def cut(text: str, width: int) -> str:
    """Return a text as far as it fits, with an ellipsis where it does not."""
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"[: max(0, width)]
