"""The plot of a chart: textual-plot's widget in the app's colours, with readable ticks."""

import math
from collections.abc import Sequence
from typing import ClassVar

from textual_hires_canvas import Canvas
from textual_plot import HiResMode, NumericAxisFormatter, PlotWidget
from textual_plot.axis_formatter import AxisFormatter, DurationFormatter

from shakegpt.tui import formatting
from shakegpt.tui.chart.curves import Axis, Line
from shakegpt.tui.themes import RUN_COLOURS, run_colour_rules
from shakegpt.tui.widgets.area_chart import Level


class CountFormatter(NumericAxisFormatter):
    """Short labels of steps or tokens."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return labels such as ``1,500`` and, for large numbers, ``25 M``."""
        return [formatting.count(tick) if abs(tick) < 100_000 else formatting.compact(tick) for tick in ticks]


class ValueFormatter(NumericAxisFormatter):
    """Labels of a loss, a perplexity or a learning rate."""

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return the values, with an exponent where they are small."""
        if ticks and max(map(abs, ticks)) < 0.01:
            return [f"{tick:.1e}".replace("e-0", "e-") if tick else "0" for tick in ticks]
        return super().get_labels_for_ticks(ticks)


class LogarithmFormatter(AxisFormatter):
    """Ticks at round values of a quantity of which the decimal logarithm is plotted."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        """Return the logarithms of 1, 2 and 5 in each decade, or of finer steps where those are fewer than three."""
        for digits in ((1,), (1, 2, 5), range(1, 10), [n / 5 for n in range(5, 50)]):
            decades = range(math.floor(min_), math.ceil(max_) + 1)
            ticks = [math.log10(digit) + decade for decade in decades for digit in digits]
            inside = [tick for tick in ticks if min_ <= tick <= max_]
            if len(inside) >= 3:
                break
        return inside[:: math.ceil(len(inside) / max_ticks) or 1]

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        """Return the values themselves."""
        return [f"{10**tick:.3g}".replace("e-0", "e-") for tick in ticks]


class CurvePlot(PlotWidget, can_focus=False, inherit_bindings=False):
    """A plot without keys of its own; the mouse may zoom and pan it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "plot--axis",
        "plot--tick",
        "plot--label",
        *(f"curve--{number}" for number in range(len(RUN_COLOURS))),
        "curve--validation",
        "curve--raw",
        "curve--level",
    }
    DEFAULT_CSS = """
    CurvePlot {
        height: 1fr;
        & > .plot--axis { color: $border; }
        & > .plot--tick { color: $foreground 70%; }
        & > .plot--label { color: $foreground 70%; }
        & > .curve--validation { color: $secondary; }
        & > .curve--level { color: $foreground 70%; }
        & > .curve--raw { color: $primary 40%; }
    }
    """ + run_colour_rules("CurvePlot > .curve--")

    def __init__(self) -> None:
        super().__init__(id="curve-plot")
        self.levels: Sequence[Level] = ()
        """Values to compare the curves with: thin lines across the plot."""

    def on_mount(self) -> None:
        """Leave no room for axis labels: the title and the cursor show the same."""
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 9

    def colour(self, name: str) -> str:
        """Return the colour of a component class in rich's notation."""
        colour = self.get_component_rich_style(f"curve--{name}").color
        return colour.name if colour else "default"

    def set_axes(self, axis: Axis, *, logarithmic: bool) -> None:
        """Choose the formats of the ticks."""
        self.set_x_formatter(DurationFormatter() if axis == "time" else CountFormatter())
        self.set_y_formatter(LogarithmFormatter() if logarithmic else ValueFormatter())

    def add_line(self, line: Line, colour: str) -> None:
        """Add a line."""
        self.plot(line.xs, line.ys, line_style=self.colour(colour), hires_mode=HiResMode.QUADRANT)

    def add_marks(self, line: Line, colour: str, mark: str) -> None:
        """Add a mark at each point of a line."""
        self.scatter(line.xs, line.ys, marker=mark, marker_style=self.colour(colour))

    def _render_plot(self) -> None:
        """Draw the levels last, into the cells that the curves leave blank, but for those whose label has no room."""
        super()._render_plot()
        canvas, inside = self.query_one("#plot", Canvas), self._scale_rectangle
        style = self.colour("level")
        for level in self.levels:
            _, row = self.get_pixel_from_coordinate(0.0, level.value)
            columns = range(inside.x, inside.right)
            if not self._y_min < level.value < self._y_max or row not in range(inside.y, inside.bottom):
                continue
            glyphs = {column: canvas.get_pixel(column, row)[0] for column in columns}
            blank = [column for column, glyph in glyphs.items() if glyph == " "]
            ends = (column for column in reversed(blank) if {*range(column - len(level.label), column)} <= {*blank})
            if (end := next(ends, None)) is None or "─" in glyphs.values():  # another level is in this row
                continue
            for column in blank:
                canvas.set_pixel(column, row, "─", style=style)
            for column, character in enumerate(level.label, end - len(level.label)):
                canvas.set_pixel(column, row, character, style=style)

    def column_of(self, x: float) -> int:
        """Return the column of this widget where ``x`` is drawn."""
        return self.get_pixel_from_coordinate(x, 0.0)[0] + self.margin_left
