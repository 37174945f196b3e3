"""A sparkline that costs few bytes over a slow link."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.style import Style

from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_BARS = "▁▂▃▄▅▆▇█"
MARK = "◆"


class Sparkline(DiffWidget):
    """Bars from the left, one a column, with single values marked among them.

    Args:
        falls_steeply: the first values are far above the later ones; the scale then leaves them out.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"sparkline--top", "sparkline--bottom", "sparkline--mark"}
    DEFAULT_CSS = """
    Sparkline {
        height: 1fr;
        min-height: 1;
        & > .sparkline--top { color: $primary; }
        & > .sparkline--bottom { color: $primary 55%; }
        & > .sparkline--mark { color: $secondary; text-style: bold; }
    }
    """

    def __init__(self, *, falls_steeply: bool = False) -> None:
        super().__init__()
        self._falls_steeply = falls_steeply
        self._bars: Sequence[float | None] = ()
        self._marks: Mapping[int, float] = {}

    def show(self, bars: Sequence[float | None], marks: Mapping[int, float]) -> None:
        """Show the values of the columns, ``None`` for a gap, and the marks in some of them."""
        self._bars, self._marks = bars, marks
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the bars, top row first."""
        values = [value for value in self._bars if value is not None]
        low, high = round_bounds([*values, *self._marks.values()], robust=self._falls_steeply)

        def eighths(value: float) -> int:
            return max(1, min(8 * height, round(8 * height * (value - low) / (high - low))))

        levels = [0 if value is None else eighths(value) for value in self._bars[:width]]
        marked = {column: (eighths(value) - 1) // 8 for column, value in self._marks.items() if column < width}
        style = self.get_component_rich_style("sparkline--mark")
        rows = []
        for row, bar_style in zip(reversed(range(height)), self._shades(height), strict=True):
            cells = "".join(_cell(level - 8 * row) for level in levels).rstrip()
            columns = sorted(column for column, at in marked.items() if at == row)
            rows.append(_with_marks(cells, columns, bar_style, style))
        return rows

    def _shades(self, height: int) -> list[Style]:
        """Return the style of each row, top first: the higher, the brighter."""
        _, base = self.background_colors
        top = self.get_component_styles("sparkline--top").color
        bottom = self.get_component_styles("sparkline--bottom").color
        if top.ansi is not None or bottom.ansi is not None:  # the terminal's own colours cannot be blended
            return [self.get_component_rich_style("sparkline--top")] * height
        shares = [row / max(1, height - 1) for row in range(height)]
        return [self.rich_style + Style.from_color((base + top.blend(bottom, share)).rich_color) for share in shares]


def _cell(eighths: int) -> str:
    return " " if eighths <= 0 else _BARS[min(eighths, 8) - 1]


def _with_marks(cells: str, columns: list[int], bar_style: Style, mark_style: Style) -> Row:
    row: Row = []
    done = 0
    for column in columns:
        row += [(cells[done:column].ljust(column - done), bar_style), (MARK, mark_style)]
        done = column + 1
    return [*row, (cells[done:], bar_style)]


def round_bounds(values: list[float], *, robust: bool = False) -> tuple[float, float]:
    """Return round bounds around finite values; round, so that they seldom change and cells stay as they are.

    Args:
        values: what is drawn.
        robust: let the largest tenth stand out at the top, where a steep start would flatten the rest.
    """
    if not values:
        return 0.0, 1.0
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1 - len(ordered) // 10 if robust else -1]
    if high - low <= 1e-9 * max(abs(high), 1e-12):  # all the same, but for rounding
        return high - max(abs(high), 1e-12), high
    grain = 10 ** math.floor(math.log10((high - low) / 2))
    return math.floor(low / grain) * grain, math.ceil(high / grain) * grain
