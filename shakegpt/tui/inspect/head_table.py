"""What every head does in general, a row for each, for terminals that have the room."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.style import Style
from textual import events

from shakegpt.inspection.head import Head, head_name
from shakegpt.tui.inspect.attention_text import percent_or_dot
from shakegpt.tui.inspect.head_map import LABEL, MOST_ROWS, first_row
from shakegpt.tui.inspect.head_strip import HeadStrip
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.inspection.heads import HeadScores
    from shakegpt.tui.inspect.head_measurements import HeadFacts

_WIDEST = 10
_LARGE = 0.3
"""The share of a head's attention that stands out."""


class Column(NamedTuple):
    """A column of the table."""

    heading: str
    short: str
    """The heading of a narrow table."""
    figure: "Callable[[HeadFacts, HeadScores, Head], float]"
    is_share: bool = True
    """Whether its figures are shares of the attention; else they count letters."""


def _back(distance: int) -> "Callable[[HeadFacts, HeadScores, Head], float]":
    return lambda _facts, scores, head: float(scores.back[head][distance])


_ITSELF = Column("itself", "self", _back(0))
_NEAR = [Column(f"{distance} back", f"-{distance}", _back(distance)) for distance in range(1, 5)]
_TARGETS = [
    Column("newline", "line", lambda _facts, scores, head: float(scores.newline[head])),
    Column("name", "name", lambda _facts, scores, head: float(scores.speaker[head])),
]
_COPIES = Column(
    "copies", "copy", lambda facts, _scores, head: math.nan if facts.induction is None else float(facts.induction[head])
)
_COUNTS = [
    Column("away", "away", lambda _facts, scores, head: float(scores.distance[head]), is_share=False),
    Column("over", "over", lambda _facts, scores, head: float(2 ** scores.entropy[head]), is_share=False),
]
_COLUMNS = [_ITSELF, *_NEAR, *_TARGETS, _COPIES, *_COUNTS]
_FEWER_COLUMNS = [_ITSELF, *_NEAR[:3], _TARGETS[1], *_COUNTS]
"""Those for a narrow table."""


class HeadTable(DiffWidget):
    """A row for each head: the shares of its attention, how far back it looks on average, and over how many letters.

    What it copies is what followed the same letter before, on repeated random text: the score of an induction head. Its
    rows are those of the head map beside it.
    """

    ALLOW_SELECT = False
    _PARTS: ClassVar[tuple[str, ...]] = ("heading", "name", "marked", "muted", "figure", "large")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"head-table--{part}" for part in _PARTS}
    DEFAULT_CSS: ClassVar[str] = """
    HeadTable {
        height: 12;
        display: none;
        & > .head-table--heading { color: $text-muted; background: $background; }
        & > .head-table--name { color: $foreground; background: $background; }
        & > .head-table--marked { color: $primary; background: $background; text-style: bold; }
        & > .head-table--muted { color: $error; background: $background; text-style: bold; }
        & > .head-table--figure { color: $text-muted; background: $background; }
        & > .head-table--large { color: $secondary; background: $background; }
    }
    """

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.border_title = "What every head does on average"
        self._shape = (0, 0)
        self._head: Head = (0, 0)
        self._muted: frozenset[Head] = frozenset()
        self._facts: HeadFacts | None = None
        self._top = 0

    def show(self, shape: tuple[int, int], head: Head, muted: frozenset[Head], facts: "HeadFacts | None") -> None:
        """Show the heads of so many blocks and so many in each; one of them stands out."""
        rows = min(shape[0] * shape[1], MOST_ROWS) + 3
        if self.styles.height is None or self.styles.height.value != rows:
            self.styles.height = rows
        self._shape, self._head, self._muted, self._facts = shape, head, muted, facts
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the headings, and a row for each head, those around the marked one."""
        layers, heads = self._shape
        narrow = width < LABEL + 8 * len(_COLUMNS)
        columns = _FEWER_COLUMNS if narrow else _COLUMNS
        column = min(_WIDEST, (width - LABEL) // len(columns))
        if not heads or column < 1:
            return []
        styles = {part: self.get_component_rich_style(f"head-table--{part}") for part in self._PARTS}
        facts = self._facts
        scores = facts.scores if facts is not None else None
        headings = "".join(f"{one.short if narrow else one.heading:>{column}}" for one in columns)
        note = facts.note if facts is not None and facts.note else "measuring…"
        rows: list[Row] = [[(" " * LABEL + headings if scores is not None else note, styles["heading"])]]
        self._top = first_row(self._shape, self._head, height - 1)
        for index in range(self._top, min(layers * heads, self._top + height - 1)):
            head = divmod(index, heads)
            part = "muted" if head in self._muted else "marked" if head == self._head else "name"
            rows.append([(f"{head_name(head):<{LABEL}}", styles[part]), *self._figures(head, columns, column, styles)])
        return rows

    def _figures(self, head: Head, columns: Sequence[Column], width: int, styles: dict[str, Style]) -> Row:
        facts = self._facts
        if facts is None or facts.scores is None:
            return []
        row: Row = []
        for column in columns:
            figure = column.figure(facts, facts.scores, head)
            text = percent_or_dot(figure) if column.is_share else f"{figure:.0f}"
            row.append((f"{text:>{width}}", styles["large" if column.is_share and figure >= _LARGE else "figure"]))
        return row

    def on_click(self, event: events.Click) -> None:
        """Mark the head under the pointer."""
        offset = event.get_content_offset(self)
        layers, heads = self._shape
        if offset is not None and heads and offset.y >= 1 and self._top + offset.y - 1 < layers * heads:
            self.post_message(HeadStrip.Marked(divmod(self._top + offset.y - 1, heads)))
