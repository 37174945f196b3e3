"""The full chart of one or several runs."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean
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
from shakegpt.tui.chart.colouring import Colouring, choose_colouring, next_setting
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
    logarithm,
    thin,
)
from shakegpt.tui.chart.lines import ChartLine, NamedRun, make_lines
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


class ChartScreen(Screen[None]):
    """Curves with axes, a cursor, zoom and pan.

    Args:
        runs: the runs, in the order of their colours.
        quantity: what to draw of them first.
        live: the first run is the one in training, and is updated by ``show``.
        colour_by: the setting that chooses the colours of several runs; ``None`` for one each.
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

    def __init__(
        self, runs: Sequence[NamedRun], *, quantity: Quantity = LOSS, live: bool = False, colour_by: str | None = None
    ) -> None:
        super().__init__()
        self.runs = list(runs)
        self.quantity = quantity
        self.live = live
        self.colour_by = colour_by
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
        self._colouring = Colouring.by_run([run.name for run in runs])
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

    def action_colour(self) -> None:
        """Colour the runs by the next setting in which they differ, or each its own."""
        self.colour_by = next_setting(self._colouring.setting, {run.name: run.metadata for run in self.runs})
        self._redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer another colouring only where several runs are drawn."""
        return action != "colour" or len(self.runs) > 1

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
        self._colouring = choose_colouring(self.colour_by, {run.name: run.metadata for run in self.runs})
        self._lines = make_lines(
            self.runs, self.quantity, self.axis, self.smoothing, self._colouring, name_width=self._name_width()
        )
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
                plot.add_marks(self._plotted(line), line.colour, line.mark)
        self.add_class("-drawn")
        self._update_title()
        self.call_after_refresh(self._update_cursor)

    def _levels(self) -> list[Level]:
        """Return what a run by itself is compared with, as plotted."""
        if len(self.runs) > 1 or (tables := self.runs[0].tables) is None:
            return []
        levels = levels_of(tables, self.quantity)
        return [level._replace(value=math.log10(level.value)) for level in levels] if self.logarithmic else levels

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
        if len(self.runs) == 1:
            values += [(text, plot.colour(line.colour)) for line in self._lines if (text := self._readout(line, x))]
        else:
            values += [(text, colour and plot.colour(colour)) for text, colour in self._readouts(x)]
        self.query_one(CursorValues).show(values)

    def _readout(self, line: ChartLine, x: float) -> str:
        """Return the value of a line of the only run at a place, or where it ended before that."""
        index = line.points.nearest(x)
        if not line.has_readout or index is None:
            return ""
        if not line.marked and self._ended(line, x):
            return f"━ {line.label} ends at {self._place(line.points.xs[-1])}"
        return f"{line.mark if line.marked else '━'} {line.label} {self.quantity.format(line.points.ys[index])}"

    def _readouts(self, x: float) -> Iterator[tuple[str, str]]:
        """Yield what each mark stands for with its value at a place, the mean of several runs, and its colour."""
        colouring = self._colouring
        if colouring.setting is not None:
            yield f"by {colouring.setting}:", ""
        for number, label in enumerate(colouring.labels):
            lines = [line for line in self._lines if line.group == number and not line.marked and line.points.xs]
            if not lines:
                continue
            shown = formatting.shortened(escape_line(label), self._name_width()) + ":" * (colouring.setting is not None)
            there = [line.points for line in lines if not self._ended(line, x)]
            if there:
                values = [points.ys[points.nearest(x) or 0] for points in there]
                some = "" if len(lines) == 1 else f" (mean of {len(there)})"
                value = f"{self.quantity.format(fmean(values))}{some}"
            else:
                value = f"ends at {self._place(max(line.points.xs[-1] for line in lines))}"
            mark = colouring.mark_of(number) if self.quantity.has_validation else "━"
            yield f"{mark} {shown} {value}", lines[0].colour
        if self.quantity.has_validation:
            yield f"lines: train {self.quantity.title.lower()}, marks: validation", ""

    def _ended(self, line: ChartLine, x: float) -> bool:
        """Return whether a line ended more than a column before a place."""
        low, high = self._visible_xs()
        return x - line.points.xs[-1] > (high - low) / self._columns()

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
        for mark in ("▲", "━", MARK, *map(Colouring.mark_of, range(len(self._colouring.labels)))):
            text = text.removeprefix(f"{mark} ").replace(f"   {mark} ", "   ")
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
