"""Where one head looks from each of the last characters, for terminals that have the room."""

from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from textual import events

from shakegpt.inspection.head import Head, head_name
from shakegpt.tui.inspect.attention_text import AttentionText, tint_levels, weights_at
from shakegpt.tui.inspect.head_map import LABEL, SHADES
from shakegpt.tui.inspect.lens_pane import letter
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.inspection.trace import Trace


class AttentionMatrix(DiffWidget):
    """A row for each of the last characters up to the marked one, a column for each that it may look at.

    Both end at the marked character, so what a head always looks at is a line that stays where it is.
    """

    ALLOW_SELECT = False
    _PARTS: ClassVar[tuple[str, ...]] = ("text", "marked", "shade")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"attention-matrix--{part}" for part in _PARTS}
    DEFAULT_CSS: ClassVar[str] = """
    AttentionMatrix {
        height: 1fr;
        display: none;
        & > .attention-matrix--text { color: $text-muted; background: $background; }
        & > .attention-matrix--marked { color: $accent; background: $background; text-style: bold; }
        & > .attention-matrix--shade { color: $secondary; background: $background; }
    }
    """

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self._trace: Trace | None = None
        self._position = 0
        self._head: Head = (0, 0)
        self._mean = False

    def show(self, trace: "Trace", position: int, head: Head, *, mean: bool) -> None:
        """Show what a head, or the mean over those of its block, attends to from a position and those before it."""
        self._trace, self._position, self._head, self._mean = trace, position, head, mean
        whose = f"the mean of block {head[0] + 1}" if mean else f"head {head_name(head)}"
        title = f"Where {whose} looks from each letter"
        if str(self.border_title) != title:
            self.border_title = title
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the characters that may be looked at, and a row for each that looks."""
        trace = self._trace
        if trace is None or width <= LABEL:
            return []
        styles = {part: self.get_component_rich_style(f"attention-matrix--{part}") for part in self._PARTS}
        room, end = width - LABEL, self._position + 1
        columns = range(max(0, end - room), end)
        text = "".join(letter(trace.text[column]) for column in columns).rjust(room)
        positions = range(max(0, end - (height - 1)), end)
        heading: Row = [(" " * LABEL + text, styles["text"])]
        return [heading, *(self._row(trace, position, columns, room, styles) for position in positions)]

    def _row(self, trace: "Trace", position: int, columns: range, room: int, styles: dict[str, Style]) -> Row:
        weights = weights_at(trace, position, self._head, mean=self._mean)
        levels = tint_levels(weights)[columns.start : columns.stop]
        shades = "".join(SHADES[level] for level in levels).rjust(room)
        part = "marked" if position == self._position else "text"
        return [(f"{letter(trace.text[position]):<{LABEL}}", styles[part]), (shades, styles["shade"])]

    def on_click(self, event: events.Click) -> None:
        """Mark the character whose row is under the pointer."""
        offset = event.get_content_offset(self)
        if offset is None or self._trace is None or offset.y < 1:
            return
        first = max(0, self._position + 1 - (self.size.height - 1))
        if first + offset.y - 1 <= self._position:
            self.post_message(AttentionText.Marked(self._trace.skipped + first + offset.y - 1))
