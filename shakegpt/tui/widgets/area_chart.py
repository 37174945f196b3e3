"""A small chart with axes that costs few bytes over a slow link: the area under a curve, and single values marked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from rich.color import Color as RichColor
from rich.style import Style

from shakegpt.tui import formatting
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

MARK = "◆"
_EDGES = "▁▂▃▄▅▆▇█"
_FILL, _LIGHT_FILL = "█", "░"
_ROWS_WITH_X_AXIS = 3
_ROWS_WITH_MIDDLE = 9
_ROWS_WITH_AVOIDING_MARKS = 6
"""In fewer, a mark stands on the curve's edge, in the colour of the area: the next row would be far off."""
_COLUMNS_WITH_Y_AXIS = 14
_LEVEL = "─"
_ROWS_A_LEVEL = 3
"""More levels than one in so many rows would crowd the curve."""
_FILL_SHARE = 0.55
"""How much of the curve's colour the area has, the rest being background: little enough for marks to stand out."""


@dataclass(frozen=True)
class AxisRule:
    """How the value axis of a chart is chosen."""

    least_span: float = 0.0
    """The least length of the axis, as a share of the greatest value, so that noise does not fill the height."""
    from_zero: bool = False
    """Whether the axis begins at zero."""
    cuts_peak: bool = False
    """Whether the largest tenth may stand out at the top, where a steep start would flatten the rest."""


class Level(NamedTuple):
    """A value to compare a curve with: a thin line across the chart."""

    value: float
    label: str
    short: str
    """The label where there is little room."""


class AreaChart(DiffWidget):
    """The area under a curve over the whole width, with the ends of both axes named and single values marked."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "area-chart--curve",
        "area-chart--mark",
        "area-chart--axis",
        "area-chart--level",
        "area-chart--label",
    }
    DEFAULT_CSS = """
    AreaChart {
        height: 1fr;
        min-height: 1;
        & > .area-chart--curve { color: $primary; }
        & > .area-chart--mark { color: $secondary; text-style: bold; }
        & > .area-chart--axis { color: $foreground 70%; }
        & > .area-chart--level { color: $foreground 60%; }
        & > .area-chart--label { color: $foreground; }
    }
    """

    def __init__(self, rule: AxisRule | None = None) -> None:
        super().__init__()
        self._rule = rule or AxisRule()
        self._values: Sequence[float | None] = ()
        self._steps = (0, 0)
        self._marks: Sequence[tuple[int, float]] = ()
        self._levels: Sequence[Level] = ()

    def show(
        self,
        values: Sequence[float | None],
        steps: tuple[int, int],
        marks: Sequence[tuple[int, float]] = (),
        levels: Sequence[Level] = (),
    ) -> None:
        """Show a curve.

        Args:
            values: any number of values of equal spans of steps, ``None`` for one that is not known; all finite.
            steps: the first step and the last.
            marks: steps and their values, finite.
            levels: values to compare with, of which as many are shown as there is room for, those nearest to the
                newest value first. The axis reaches to the next one below.
        """
        self._values, self._steps, self._marks, self._levels = values, steps, marks, levels
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the rows of the chart, top first."""
        if not any(value is not None for value in self._values):
            return []
        has_x_axis = height >= _ROWS_WITH_X_AXIS
        rows = height - has_x_axis
        known = [value for value in stretch(self._values, max(1, width)) if value is not None]
        drawn = [*known, *(value for _, value in self._marks)]
        below = [level.value for level in self._levels if level.value < min(drawn)]
        low, high = axis_bounds([*drawn, *sorted(below)[-1:]], self._rule)
        labels = self._y_labels(low, high, max(known), rows) if width >= _COLUMNS_WITH_Y_AXIS else {}
        margin = max(map(len, labels.values()), default=-1) + 1
        columns = width - margin
        values = stretch(self._values, columns)

        def eighths(value: float) -> int:
            return max(1, min(8 * rows, round(8 * rows * (value - low) / (high - low))))

        levels = [0 if value is None else eighths(value) for value in values]
        marks = {self._column_of(step, columns): eighths(value) for step, value in self._marks}
        grid = self._plot(levels, marks, rows)
        newest = self._marks[-1][1] if self._marks else known[-1]
        for level in sorted(self._levels, key=lambda level: abs(level.value - newest))[: max(1, rows // _ROWS_A_LEVEL)]:
            if low <= level.value <= high:
                self._draw_level(grid[(8 * rows - eighths(level.value)) // 8], level)
        plot = [_joined(cells) for cells in grid]
        axis = self.get_component_rich_style("area-chart--axis")
        if margin:
            plot = [
                [(f"{labels.get(row, ''):>{margin - 1}}{'┤' if row in labels else '│'}", axis), *cells]
                for row, cells in enumerate(plot)
            ]
        return [*plot, [(self._x_labels(margin, columns), axis)]] if has_x_axis else plot

    def _plot(self, levels: list[int], marks: dict[int, int], rows: int) -> list[Row]:
        """Return the cells of the curve and its marks, one by one."""
        fill_character, fill, edge = self._fill()
        mark = self.get_component_rich_style("area-chart--mark")
        mark_inside = mark + Style(color=self._mark_inside(), bgcolor=fill.color)
        solid = fill_character == _FILL
        avoids_edge = rows >= _ROWS_WITH_AVOIDING_MARKS or not solid
        marked = {
            column: _row_of_mark(level, levels[column], rows) if avoids_edge else (8 * rows - level) // 8
            for column, level in marks.items()
        }
        plot: list[Row] = []
        for row in range(rows):
            base = 8 * (rows - 1 - row)
            cells: Row = []
            for column, level in enumerate(levels):
                inside = level > base + 8
                if marked.get(column) == row:
                    cell = (MARK, mark_inside if level > base and solid else mark)
                elif inside:
                    cell = (fill_character, fill)
                elif level > base:
                    cell = (_EDGES[level - base - 1], edge)
                else:
                    cell = (" ", self.rich_style)
                cells.append(cell)
            plot.append(cells)
        return plot

    def _draw_level(self, cells: Row, level: Level) -> None:
        """Draw a level into the cells of its row: above the curve and, where the area is solid, across that.

        Edges and marks stay whole, and so does another level. Where there is no room for its label, it is left out.
        """
        fill_character, fill, _ = self._fill()
        line = self.get_component_rich_style("area-chart--level")
        styles: list[Style | None] = []
        for cell in cells:
            if cell[0] == " ":
                styles.append(line)
            else:
                inside = cell == (fill_character, fill) and fill_character == _FILL
                styles.append(line + Style(bgcolor=fill.color) if inside else None)
        if any(cell[0] == _LEVEL for cell in cells):
            return
        labels = [level.label] * (2 * len(level.label) < len(cells)) + [level.short]
        places = [(label, start) for label in labels for start in range(len(cells) - len(label) - 1, -1, -1)]
        for label, start in places:
            room = styles[start : start + len(label)]
            if room[0] is not None and all(other == room[0] for other in room):
                break
        else:
            return  # a line without a label says nothing
        for column, style in enumerate(styles):
            if style is not None:
                cells[column] = (_LEVEL, style)
        style = room[0] + Style(color=self.get_component_rich_style("area-chart--label").color)
        cells[start : start + len(label)] = [(character, style) for character in label]

    def _fill(self) -> tuple[str, Style, Style]:
        """Return the character of the area and its style, and the style of its upper edge.

        The area is dimmer than its edge by its character where colours cannot be blended.
        """
        _, background = self.background_colors
        curve = self.get_component_styles("area-chart--curve").color
        if curve.ansi is not None or self.app.no_color:
            style = self.get_component_rich_style("area-chart--curve")
            return _LIGHT_FILL, style, style
        style = self.rich_style + Style.from_color(background.blend(curve, _FILL_SHARE).rich_color)
        return _FILL, style, style

    def _mark_inside(self) -> RichColor:
        """Return the colour of a mark on the area: nearer to the text's, to stand out."""
        return self.get_component_styles("area-chart--mark").color.blend(self.styles.color, 0.5).rich_color

    def _column_of(self, step: int, columns: int) -> int:
        first, last = self._steps
        share = (step - first) / (last - first) if last > first else 0.0
        return max(0, min(columns - 1, round(share * (columns - 1))))

    def _y_labels(self, low: float, high: float, greatest: float, rows: int) -> dict[int, str]:
        """Return the labels of the value axis by their rows."""
        labels = {rows - 1: _value_label(low), 0: ("≥" if greatest > high else "") + _value_label(high)}
        if rows >= _ROWS_WITH_MIDDLE and rows % 2:
            labels[rows // 2] = _value_label((low + high) / 2)
        return labels

    def _x_labels(self, margin: int, columns: int) -> str:
        first, last = (formatting.count(step) for step in self._steps)
        words = f"step {first}"
        left = words if len(words) + len(last) + 2 <= columns else first
        right = last if first != last else ""
        return " " * margin + left + right.rjust(columns - len(left))


def _joined(cells: Row) -> Row:
    """Return cells with neighbours of one style in one piece."""
    joined: Row = []
    for text, style in cells:
        if joined and joined[-1][1] == style:
            joined[-1] = (joined[-1][0] + text, style)
        else:
            joined.append((text, style))
    return joined


def _row_of_mark(level: int, curve_level: int, rows: int) -> int:
    """Return the row of a mark, counted from the top: where the curve's edge is, the next one, to leave that whole."""
    row, edge = ((8 * rows - at) // 8 for at in (level, curve_level))
    if row != edge or not curve_level or rows == 1:
        return row
    above = level >= curve_level
    return row - 1 if (above and row > 0) or row == rows - 1 else row + 1


def _value_label(value: float) -> str:
    if value and abs(value) < 0.01:
        return formatting.scientific(value)
    return f"{value:,.3g}" if abs(value) < 1000 else formatting.compact(value)


def stretch(values: Sequence[float | None], columns: int) -> list[float | None]:
    """Return as many values as there are columns: means of several values, or what lies between two of them.

    Gaps are bridged. ``None`` everywhere where no value is known.
    """
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if not known:
        return [None] * columns
    result: list[float | None] = []
    after = 0  # the index in ``known`` of the first value beyond the column's place
    for column in range(columns):
        start, end = (len(values) * edge // columns for edge in (column, column + 1))
        inside = [value for value in values[start:end] if value is not None]
        if inside and len(values) > columns:
            result.append(sum(inside) / len(inside))
            continue
        place = column * (len(values) - 1) / max(1, columns - 1)
        while after < len(known) and known[after][0] <= place:
            after += 1
        result.append(_between(known[max(0, after - 1)], known[min(after, len(known) - 1)], place))
    return result


def _between(before: tuple[int, float], after: tuple[int, float], place: float) -> float:
    """Return the value on the line through two points, and beyond its ends that of the nearer one."""
    if after[0] <= before[0]:
        return before[1]
    share = max(0.0, min(1.0, (place - before[0]) / (after[0] - before[0])))
    return before[1] + share * (after[1] - before[1])


def axis_bounds(values: Sequence[float], rule: AxisRule) -> tuple[float, float]:
    """Return round bounds around finite values; round, so that they seldom change and cells stay as they are."""
    if not values:
        return 0.0, 1.0
    ordered = sorted(values)
    low = 0.0 if rule.from_zero else ordered[0]
    high = ordered[-1 - len(ordered) // 10 if rule.cuts_peak else -1]
    least = max(rule.least_span * abs(high), 1e-9 * abs(high), 1e-12)  # never nothing, however alike the values are
    if high - low < least:
        middle = (low + high) / 2
        low, high = (low, low + least) if rule.from_zero else (middle - least / 2, middle + least / 2)
    grain = 10 ** math.floor(math.log10((high - low) / 4))
    return math.floor(low / grain) * grain, math.ceil(high / grain) * grain
