"""What every head does in general, a row for each, for terminals that have the room."""

import math
from typing import TYPE_CHECKING, ClassVar

from textual import events

from shakegpt.inspection.head import Head, head_name
from shakegpt.tui.inspect.head_map import MOST_ROWS, first_row
from shakegpt.tui.inspect.head_strip import HeadStrip
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.tui.inspect.head_measurements import HeadFacts

_LABEL = 6
_WIDEST = 11
_HEADINGS = ("before", "itself", "newline", "name", "copies", "back", "over")
_SHORT_HEADINGS = ("prev", "self", "line", "name", "copy", "back", "over")
_SHARES = 5
"""How many of the columns are shares of the attention; the others are counts of letters."""


class HeadTable(DiffWidget):
    """A row for each head: the shares of its attention, how far back it looks and over how many letters.

    Its rows are those of the head map beside it.
    """

    ALLOW_SELECT = False
    _PARTS: ClassVar[tuple[str, ...]] = ("heading", "name", "marked", "muted", "figure", "greatest")
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
        & > .head-table--greatest { color: $secondary; background: $background; }
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
        column = min(_WIDEST, (width - _LABEL) // len(_HEADINGS))
        if not heads or column < 1:
            return []
        styles = {part: self.get_component_rich_style(f"head-table--{part}") for part in self._PARTS}
        measured = self._facts is not None and self._facts.scores is not None
        headings = _HEADINGS if column > max(map(len, _HEADINGS)) else _SHORT_HEADINGS
        rows: list[Row] = [
            [(" " * _LABEL, styles["heading"]), *((f"{text:>{column}}", styles["heading"]) for text in headings)]
            if measured
            else [(self._facts.note if self._facts and self._facts.note else "measuring…", styles["heading"])]
        ]
        self._top = first_row(self._shape, self._head, height - 1)
        for index in range(self._top, min(layers * heads, self._top + height - 1)):
            head = divmod(index, heads)
            part = "muted" if head in self._muted else "marked" if head == self._head else "name"
            figures = self._figures(head)
            greatest = max(figures[:_SHARES], default=math.nan)
            row: Row = [(f"{head_name(head):<{_LABEL}}", styles[part])]
            for place, figure in enumerate(figures):
                stands_out = place < _SHARES and figure == greatest and f"{figure:.0%}" != "0%"
                text = _share(figure) if place < _SHARES else f"{figure:.0f}"
                row.append((f"{text:>{column}}", styles["greatest" if stands_out else "figure"]))
            rows.append(row)
        return rows

    def _figures(self, head: Head) -> list[float]:
        """Return what stands in the columns of a head; nothing before it is measured."""
        facts = self._facts
        if facts is None or facts.scores is None:
            return []
        scores = facts.scores
        copies = math.nan if facts.induction is None else facts.induction[head]
        shares = (scores.previous[head], scores.itself[head], scores.newline[head], scores.speaker[head], copies)
        return [*(0.0 if math.isnan(share) else float(share) for share in shares), scores.distance[head],
                2 ** scores.entropy[head]]  # fmt: skip

    def on_click(self, event: events.Click) -> None:
        """Mark the head under the pointer."""
        offset = event.get_content_offset(self)
        layers, heads = self._shape
        if offset is not None and heads and offset.y >= 1 and self._top + offset.y - 1 < layers * heads:
            self.post_message(HeadStrip.Marked(divmod(self._top + offset.y - 1, heads)))


def _share(share: float) -> str:
    """Return a share in percent, and a dot for less than half of one."""
    return f"{100 * share:.0f} %" if share >= 0.005 else "·"
