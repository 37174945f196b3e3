"""The full chart of one or several runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, TypeVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting
from shakegpt.tui.chart.bindings import BINDINGS
from shakegpt.tui.chart.cursor_line import CursorLine, CursorValues
from shakegpt.tui.chart.curve_plot import CurvePlot
from shakegpt.tui.chart.curves import (
    AXES,
    LOSS,
    QUANTITIES,
    SMOOTHINGS,
    Axis,
    Line,
    Quantity,
    Smoothing,
    levels_of,
    line_of,
    logarithm,
    smooth,
    thin,
)
from shakegpt.tui.themes import RUN_COLOURS
from shakegpt.tui.widgets.area_chart import MARK, Level
from shakegpt.tui.widgets.footer import Footer

if TYPE_CHECKING:
    from shakegpt.evaluation.ngrams import TableLosses

SECONDS_PER_REFRESH = 10.0
"""Of a run in training: each redraws every cell of the plot, tens of kilobytes."""
_ZOOM = 1.5
_PAN = 0.2

_NAME_WIDTH, _LEAST_NAME_WIDTH = 28, 10
"""Of a run's name under the chart, in wide terminals and in narrow ones."""

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class NamedRun:
    """A run to draw, and its name."""

    name: str
    snapshot: Snapshot
    tables: "TableLosses | None" = None
    """What tables reach on its text, to compare with; ``None`` where that is not known."""


@dataclass(frozen=True)
class ChartLine:
    """One line of the chart."""

    label: str
    points: Line
    """The values; what is plotted may be their logarithms."""
    colour: str
    marked: bool = False
    has_readout: bool = True


class ChartScreen(Screen[None]):
    """Curves with axes, a cursor, zoom and pan.

    Args:
        runs: the runs, in the order of their colours.
        quantity: what to draw of them first.
        live: the first run is the one in training, and is updated by ``show``.
    """

    DEFAULT_CSS = """
    ChartScreen {
        #title { height: 1; margin: 0 1; }
        #nothing { display: none; height: 1fr; content-align: center middle; color: $foreground 60%; }
        &.-nothing #nothing { display: block; }
        &.-nothing CurvePlot { display: none; }
        CurvePlot { visibility: hidden; }
        &.-drawn CurvePlot { visibility: visible; }
    }
    """
    HELP_TITLE: ClassVar[str] = "Chart"
    HELP = "The curves of a run, or of several: the values at the cursor stand below it."
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    def __init__(self, runs: Sequence[NamedRun], *, quantity: Quantity = LOSS, live: bool = False) -> None:
        super().__init__()
        self.runs = list(runs)
        self.quantity = quantity
        self.live = live
        self.axis: Axis = "step"
        self.logarithmic = False
        self.smoothing: Smoothing = "light"
        self.cursor: float | None = None
        """The place of the cursor on the x axis; ``None`` for the end of the curves."""
        self.x_range: tuple[float, float] | None = None
        """The part of the x axis on show; ``None`` for all."""
        self.y_range: tuple[float, float] | None = None
        """The part of the y axis on show, in plotted units; ``None`` for all values in ``x_range``."""
        self._lines: list[ChartLine] = []
        self._stale = False

    def compose(self) -> ComposeResult:
        """Put the cursor and its values under the plot."""
        yield Static(id="title", markup=False)
        yield CurvePlot()
        yield Static("There is nothing to draw before the first steps.", id="nothing", markup=False)
        yield CursorLine()
        yield CursorValues()
        yield Footer()

    def on_mount(self) -> None:
        """Draw once the size is known."""
        self.call_after_refresh(self._redraw)
        if self.live:
            self.set_interval(SECONDS_PER_REFRESH, self._redraw_if_stale)

    def on_resize(self) -> None:
        """Redraw for the new size."""
        self.call_after_refresh(self._redraw)

    def show(self, snapshot: Snapshot | None) -> None:
        """Update the run in training; the chart is redrawn only now and then."""
        if not self.live or snapshot is None:
            return
        self.runs[0] = replace(self.runs[0], snapshot=snapshot)
        self._stale = True

    def show_tables(self, tables: "TableLosses | None") -> None:
        """Compare the run with what tables reach."""
        self.runs[0] = replace(self.runs[0], tables=tables)
        self._redraw()

    def action_close(self) -> None:
        """Go back."""
        self.dismiss()

    def action_quantity(self) -> None:
        """Draw the next quantity."""
        self.quantity = _next(QUANTITIES, self.quantity)
        self.y_range = None
        self._redraw()

    def action_axis(self) -> None:
        """Draw against the next x axis."""
        self.axis = _next(AXES, self.axis)
        self.x_range = self.y_range = self.cursor = None
        self._redraw()

    def action_logarithm(self) -> None:
        """Switch between a logarithmic and a linear y axis."""
        self.logarithmic = not self.logarithmic
        self.y_range = None
        self._redraw()

    def action_smoothing(self) -> None:
        """Smooth by the next degree."""
        self.smoothing = _next(SMOOTHINGS, self.smoothing)
        self._redraw()

    def action_fit(self) -> None:
        """Show everything."""
        self.x_range = self.y_range = None
        self._redraw()

    def action_move(self, columns: int) -> None:
        """Move the cursor by columns; the view follows it."""
        low, high = self._visible_xs()
        self._move_to(self._cursor_x() + columns * (high - low) / self._columns())

    def action_move_to(self, end: int) -> None:
        """Move the cursor to the start (0) or the end (1) of the curves."""
        self._move_to(self._all_xs()[end])

    def action_zoom(self, direction: int) -> None:
        """Zoom into the x axis (1) or out of it (-1), around the cursor."""
        low, high = self._visible_xs()
        centre = min(max(self._cursor_x(), low), high)
        factor = _ZOOM**-direction
        self._set_x_range(centre - (centre - low) * factor, centre + (high - centre) * factor)

    def action_zoom_values(self, direction: int) -> None:
        """Zoom into the values (1) or out of them (-1)."""
        low, high = self._visible_ys()
        centre, reach = (low + high) / 2, (high - low) / 2 * _ZOOM**-direction
        self.y_range = (centre - reach, centre + reach)
        self._redraw()

    def action_pan(self, right: int, up: int) -> None:
        """Move the view by a fifth of it."""
        if right:
            low, high = self._visible_xs()
            by = right * _PAN * (high - low)
            first, last = self._all_xs()
            by = max(first - low, min(by, last - high)) if self.x_range else 0.0
            self._set_x_range(low + by, high + by)
        if up:
            low, high = self._visible_ys()
            by = up * _PAN * (high - low)
            self.y_range = (low + by, high + by)
            self._redraw()

    def on_plot_widget_scale_changed(self, message: CurvePlot.ScaleChanged) -> None:
        """Take over the ranges that the mouse has chosen."""
        message.stop()
        self.x_range, self.y_range = (message.x_min, message.x_max), (message.y_min, message.y_max)
        self._update_cursor()

    def _set_x_range(self, low: float, high: float) -> None:
        first, last = self._all_xs()
        narrowest = (last - first) / 1e5
        if high - low < narrowest:
            return
        low, high = max(first, low), min(last, high)
        self.x_range = None if (low, high) == (first, last) else (low, high)
        self._redraw()

    def _move_to(self, x: float) -> None:
        first, last = self._all_xs()
        self.cursor = min(max(x, first), last)
        low, high = self._visible_xs()
        if not low <= self.cursor <= high:
            by = self.cursor - (low if self.cursor < low else high)
            self._set_x_range(low + by, high + by)
        self._update_cursor()

    def _all_xs(self) -> tuple[float, float]:
        """Return the first and the last place of any curve on the x axis."""
        places = [x for line in self._lines if line.points.xs for x in (line.points.xs[0], line.points.xs[-1])]
        if not places:
            return 0.0, 1.0
        return min(places), max(max(places), min(places) + 1e-6)

    def _cursor_x(self) -> float:
        return self._all_xs()[1] if self.cursor is None else self.cursor

    def _visible_xs(self) -> tuple[float, float]:
        return self.x_range or self._all_xs()

    def _visible_ys(self) -> tuple[float, float]:
        if self.y_range is not None:
            return self.y_range
        ys = [y for line in self._lines for y in self._plotted(line).ys]
        if not ys:
            return 0.0, 1.0
        low, high = min(ys), max(ys)
        margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
        return low - margin, high + margin

    def _columns(self) -> int:
        """Return how many columns the curves have. The plot has no width before its first layout; the app has."""
        return max(1, self.app.size.width - self.query_one(CurvePlot).margin_left - 2)

    def _plotted(self, line: ChartLine) -> Line:
        """Return what is plotted of a line: the visible part, thinned to what the columns can show."""
        points = thin(line.points.between(*self._visible_xs()), 2 * self._columns())  # two dots a column
        return logarithm(points) if self.logarithmic else points

    def _redraw_if_stale(self) -> None:
        if self._stale and self.is_active:
            self._redraw()

    def _redraw(self) -> None:
        if not self.is_mounted:
            return
        self._stale = False
        self._lines = self._make_lines()
        plot = self.query_one(CurvePlot)
        self.set_class(not any(line.points.xs for line in self._lines), "-nothing")
        plot.clear()
        plot.set_axes(self.axis, logarithmic=self.logarithmic)
        plot.set_xlimits(*self._visible_xs())
        plot.set_ylimits(*self._visible_ys())
        plot.levels = self._levels()
        # A line hides those before it: the faint one first, then those of few points, and the marks above all.
        for line in sorted(self._lines, key=lambda line: (line.colour != "raw", not line.marked)):
            plot.add_line(self._plotted(line), line.colour)
        for line in self._lines:
            if line.marked:
                plot.add_marks(self._plotted(line), line.colour)
        self.add_class("-drawn")
        self._update_title()
        self.call_after_refresh(self._update_cursor)

    def _levels(self) -> list[Level]:
        """Return what a run by itself is compared with, as plotted."""
        if len(self.runs) > 1 or (tables := self.runs[0].tables) is None:
            return []
        levels = levels_of(tables, self.quantity)
        return [level._replace(value=math.log10(level.value)) for level in levels] if self.logarithmic else levels

    def _make_lines(self) -> list[ChartLine]:
        single = len(self.runs) == 1
        lines = []
        for number, run in enumerate(self.runs):
            name = formatting.shortened(escape_line(run.name), self._name_width())
            colour = str(number % len(RUN_COLOURS))
            raw = line_of(run.snapshot.train, self.axis, self.quantity.value)
            smoothed = smooth(raw, self.smoothing if self.quantity.has_validation else "off")
            if single and smoothed is not raw:
                lines.append(ChartLine("raw", raw, "raw", has_readout=False))
            quantity = self.quantity.title.lower()
            label = f"train {quantity}" if self.quantity.has_validation else quantity
            lines.append(ChartLine(label if single else name, smoothed, colour))
            if self.quantity.has_validation:
                validation = line_of(run.snapshot.validation, self.axis, self.quantity.value)
                label = f"validation {quantity}"
                lines.append(
                    ChartLine(label, validation, "validation" if single else colour, marked=True, has_readout=single)
                )
        return lines

    def _update_cursor(self) -> None:
        """Draw the cursor, and the values of the curves there."""
        if not self.query(CurvePlot):
            return  # the screen has been closed meanwhile
        plot = self.query_one(CurvePlot)
        low, high = self._visible_xs()
        x = self._cursor_x()
        visible = low <= x <= high and any(line.points.xs for line in self._lines)
        self.query_one(CursorLine).move(min(plot.column_of(x), plot.size.width - 2) if visible else None)
        values = [(f"▲ {self._place(x, named=True)}", "")]
        values += [(text, plot.colour(line.colour)) for line in self._lines if (text := self._readout(line, x))]
        if len(self.runs) > 1 and self.quantity.has_validation:
            quantity = self.quantity.title.lower()
            values += [(f"━ train {quantity}", ""), (f"{MARK} validation {quantity}", "")]
        self.query_one(CursorValues).show(values)

    def _readout(self, line: ChartLine, x: float) -> str:
        """Return the value of a line at a place, or where it ended before that; nothing for one without a readout."""
        index = line.points.nearest(x)
        if not line.has_readout or index is None:
            return ""
        if line.marked:
            return f"{MARK} {line.label} {self.quantity.format(line.points.ys[index])}"
        low, high = self._visible_xs()
        last = line.points.xs[-1]
        if x - last > (high - low) / self._columns():
            return f"━ {line.label} ends at {self._place(last)}"
        return f"━ {line.label} {self.quantity.format(line.points.ys[index])}"

    def _place(self, x: float, *, named: bool = False) -> str:
        """Return a place on the x axis in words."""
        if self.axis == "time":
            return formatting.duration(x)
        if self.axis == "tokens":
            return f"{formatting.compact(x)} characters"
        return f"step {formatting.count(x)}" if named else formatting.count(x)

    def _name_width(self) -> int:
        return min(_NAME_WIDTH, max(_LEAST_NAME_WIDTH, self.size.width // 3))

    def action_copy(self) -> None:
        """Copy the values at the cursor."""
        text = self.query_one(CursorValues).text
        for mark in ("▲ ", "━ ", f"{MARK} "):
            text = text.replace(mark, "")
        self.app.copy_to_clipboard(text)
        self.notify("Copied the values at the cursor.")

    def _update_title(self) -> None:
        names = ", ".join(escape_line(run.name) for run in self.runs)
        some = formatting.shortened(names, self._name_width()) if len(self.runs) == 1 else f"{len(self.runs)} runs"
        scale = "logarithmic" if self.logarithmic else "linear"
        smoothing = f", smoothing {self.smoothing}" if self.quantity.has_validation else ""
        by = f"   by {'characters' if self.axis == 'tokens' else self.axis}"
        room = self.size.width - 2 - len(f"{self.quantity.title} of ")
        whose, how = next(
            (
                (whose, how)
                for whose in (names, some)
                for how in (f"{by}, {scale}{smoothing}", f"{by}, {scale}", by)
                if cell_len(whose + how) <= room
            ),
            (some, ""),
        )
        parts = ((self.quantity.title, "bold $primary"), f" of {whose}", (how, "$text-muted"))
        self.query_one("#title", Static).update(Content.assemble(*parts))


def _next(choices: Sequence[Choice], current: Choice) -> Choice:
    return choices[(choices.index(current) + 1) % len(choices)]
