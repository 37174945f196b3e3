"""Where every head looks from the marked character, for terminals that have the room."""

from typing import TYPE_CHECKING, ClassVar

from textual import events

from shakegpt.inspection.head import Head, head_name
from shakegpt.tui.inspect.attention_text import LEVELS, tint_levels
from shakegpt.tui.inspect.head_strip import HeadStrip
from shakegpt.tui.inspect.lens_pane import letter
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.inspection.trace import Trace

MOST_ROWS = 24
SHADES = " ░▒▓█"
assert len(SHADES) == LEVELS + 1
LABEL = 6


def first_row(shape: tuple[int, int], head: Head, visible: int) -> int:
    """Return the index of the first head that is shown, of so many blocks and heads in each, with one in sight."""
    layers, heads = shape
    return max(0, min(head[0] * heads + head[1] - visible // 2, layers * heads - visible))


class HeadMap(DiffWidget):
    """A row for each head, a column for each of the last characters up to the marked one: the darker, the more.

    A column stays as far back from the mark when that moves, so what a head always looks at stays where it is.
    """

    ALLOW_SELECT = False
    _PARTS: ClassVar[tuple[str, ...]] = ("text", "name", "marked", "shade")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"head-map--{part}" for part in _PARTS}
    DEFAULT_CSS: ClassVar[str] = """
    HeadMap {
        height: 12;
        display: none;
        & > .head-map--text { color: $text-muted; background: $background; }
        & > .head-map--name { color: $foreground; background: $background; }
        & > .head-map--marked { color: $primary; background: $background; text-style: bold; }
        & > .head-map--shade { color: $secondary; background: $background; }
    }
    """

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.border_title = "Where every head looks from here"
        self._trace: Trace | None = None
        self._position = 0
        self._head: Head = (0, 0)
        self._top = 0

    def show(self, trace: "Trace", position: int, head: Head) -> None:
        """Show what each head attends to from a position of the trace's text; one head stands out."""
        rows = min(trace.attention.shape[0] * trace.attention.shape[1], MOST_ROWS) + 3
        if self.styles.height is None or self.styles.height.value != rows:
            self.styles.height = rows
        self._trace, self._position, self._head = trace, position, head
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the last characters, and a row for each head, those around the marked one."""
        trace = self._trace
        if trace is None or width <= LABEL:
            return []
        styles = {part: self.get_component_rich_style(f"head-map--{part}") for part in self._PARTS}
        layers, heads = trace.attention.shape[:2]
        room, end = width - LABEL, self._position + 1
        start = max(0, end - room)
        text = "".join(map(letter, trace.text[start:end])).rjust(room)
        rows: list[Row] = [[(" " * LABEL, styles["text"]), (text, styles["text"])]]
        visible = height - 1
        self._top = first_row((layers, heads), self._head, visible)
        for index in range(self._top, min(layers * heads, self._top + visible)):
            head = divmod(index, heads)
            levels = tint_levels(trace.attention[head[0], head[1], self._position, start:end])
            shades = "".join(SHADES[level] for level in levels).rjust(room)
            part = "marked" if head == self._head else "name"
            rows.append(
                [
                    (f"{head_name(head):<{LABEL}}", styles[part]),
                    (shades, styles["marked" if part == "marked" else "shade"]),
                ]
            )
        return rows

    def on_click(self, event: events.Click) -> None:
        """Mark the head under the pointer."""
        offset = event.get_content_offset(self)
        if offset is None or self._trace is None or offset.y < 1:
            return
        layers, heads = self._trace.attention.shape[:2]
        index = self._top + offset.y - 1
        if index < layers * heads:
            self.post_message(HeadStrip.Marked(divmod(index, heads)))
