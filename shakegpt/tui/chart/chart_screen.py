"""The full chart of a run, or of several laid over each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting
from shakegpt.tui.chart.cursor_line import CursorLine, Readout
from shakegpt.tui.chart.curve_plot import COLOURS, CurvePlot
from shakegpt.tui.chart.curves import (
    AXES,
    LOSS,
    QUANTITIES,
    SMOOTHINGS,
    Axis,
    Line,
    Quantity,
    Smoothing,
    line_of,
    logarithm,
    smooth,
    thin,
)

SECONDS_PER_REFRESH = 10.0
"""Of a live run: each takes tens of kilobytes, for every cell of the plot is drawn anew."""
_ZOOM = 1.5
_PAN = 0.2
_LEAP = 10

Choice = TypeVar("Choice")


@dataclass(frozen=True)
class NamedCurve:
    """A run to draw, under a name."""

    name: str
    snapshot: Snapshot


@dataclass(frozen=True)
class Drawn:
    """One line on the chart."""

    label: str
    line: Line
    """As it is read out; what is drawn of it may be its logarithm."""
    colour: str
    marked: bool = False
    read_out: bool = True


class ChartScreen(Screen[None]):
    """Curves with axes; everything about the view is turned by key.

    Args:
        curves: the runs, in the order of their colours.
        quantity: what to draw of them first.
        live: the first curve belongs to the run in training, and grows with ``show``.
    """

    DEFAULT_CSS = """
    ChartScreen {
        #title { height: 1; margin: 0 1; }
        #nothing { display: none; height: 1fr; content-align: center middle; color: $foreground 60%; }
        &.-nothing #nothing { display: block; }
        &.-nothing CurvePlot { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,z", "close", "Back", id="chart.close", key_display="esc", tooltip="Go back"),
        Binding("tab", "quantity", "Curve", id="chart.quantity", key_display="tab", tooltip="Loss, perplexity or rate"),
        Binding("x", "axis", "X axis", id="chart.axis", tooltip="Draw by step, time or tokens"),
        Binding("l", "logarithm", "Log", id="chart.logarithm", tooltip="Draw the values on a logarithmic axis"),
        Binding("m", "smoothing", "Smooth", id="chart.smoothing", tooltip="Smooth the curve: off, light, heavy"),
        Binding("left", "move(-1)", "Cursor", id="chart.left", key_display="←→", tooltip="Move the cursor left"),
        Binding("right", "move(1)", "Right", id="chart.right", show=False, tooltip="Move the cursor right"),
        Binding("pageup", f"move(-{_LEAP})", "Far left", id="chart.far-left", show=False, tooltip="Leap left"),
        Binding("pagedown", f"move({_LEAP})", "Far right", id="chart.far-right", show=False, tooltip="Leap right"),
        Binding("home", "move_to(0)", "Start", id="chart.start", show=False, tooltip="Move the cursor to the start"),
        Binding("end", "move_to(1)", "End", id="chart.end", show=False, tooltip="Move the cursor to the end"),
        Binding("plus,equals_sign", "zoom(1)", "Zoom", id="chart.in", key_display="+-", tooltip="Zoom in on it"),
        Binding("minus", "zoom(-1)", "Zoom out", id="chart.out", show=False, tooltip="Zoom out"),
        Binding("up", "zoom_values(1)", "Taller", id="chart.taller", show=False, tooltip="Zoom into the values"),
        Binding("down", "zoom_values(-1)", "Flatter", id="chart.flatter", show=False, tooltip="Zoom out of the values"),
        Binding("a", "pan(-1, 0)", "Pan", id="chart.pan-left", key_display="adws", tooltip="Pan left"),
        Binding("d", "pan(1, 0)", "Pan right", id="chart.pan-right", show=False, tooltip="Pan right"),
        Binding("w", "pan(0, 1)", "Pan up", id="chart.pan-up", show=False, tooltip="Pan up"),
        Binding("s", "pan(0, -1)", "Pan down", id="chart.pan-down", show=False, tooltip="Pan down"),
        Binding("0,f", "fit", "Fit", id="chart.fit", key_display="0", tooltip="Show everything again"),
    ]

    def __init__(self, curves: Sequence[NamedCurve], *, quantity: Quantity = LOSS, live: bool = False) -> None:
        super().__init__()
        self.curves = list(curves)
        self.quantity = quantity
        self.live = live
        self.axis: Axis = "step"
        self.logarithmic = False
        self.smoothing: Smoothing = "light"
        self.cursor: float | None = None
        """Where the cursor stands, on the x axis."""
        self.view: tuple[float, float] | None = None
        """What part of the x axis is shown; ``None`` for all."""
        self.values: tuple[float, float] | None = None
        """What part of the y axis is shown, in plotted units; ``None`` for all that the view holds."""
        self._drawn: list[Drawn] = []
        self._stale = False

    def compose(self) -> ComposeResult:
        """Put the cursor and what it reads under the plot."""
        yield Static(id="title", markup=False)
        yield CurvePlot()
        yield Static("There is nothing to draw yet: the first steps are still to come.", id="nothing", markup=False)
        yield CursorLine()
        yield Readout()
        yield Footer()

    def on_mount(self) -> None:
        """Draw once there is a size to draw for."""
        self.call_after_refresh(self._redraw)
        if self.live:
            self.set_interval(SECONDS_PER_REFRESH, self._redraw_if_stale)

    def on_resize(self) -> None:
        """Draw as finely as the new size allows."""
        self.call_after_refresh(self._redraw)

    def show(self, snapshot: Snapshot | None) -> None:
        """Let the live run grow; a screen full of dots is not redrawn at each step."""
        if not self.live or snapshot is None:
            return
        self.curves[0] = NamedCurve(self.curves[0].name, snapshot)
        self._stale = True

    def action_close(self) -> None:
        """Go back to where the chart was opened."""
        self.dismiss()

    def action_quantity(self) -> None:
        """Draw the next quantity."""
        self.quantity = _next(QUANTITIES, self.quantity)
        self.values = None
        self._redraw()

    def action_axis(self) -> None:
        """Draw against the next axis."""
        self.axis = _next(AXES, self.axis)
        self.view = self.values = self.cursor = None
        self._redraw()

    def action_logarithm(self) -> None:
        """Turn the logarithmic axis on or off."""
        self.logarithmic = not self.logarithmic
        self.values = None
        self._redraw()

    def action_smoothing(self) -> None:
        """Smooth more, or not at all."""
        self.smoothing = _next(SMOOTHINGS, self.smoothing)
        self._redraw()

    def action_fit(self) -> None:
        """Show everything."""
        self.view = self.values = None
        self._redraw()

    def action_move(self, columns: int) -> None:
        """Move the cursor by columns; the view follows it."""
        low, high = self._shown()
        self._move_to(self._at() + columns * (high - low) / self._columns())

    def action_move_to(self, end: int) -> None:
        """Move the cursor to the start (0) or the end (1) of the curves."""
        self._move_to(self._extent()[end])

    def action_zoom(self, direction: int) -> None:
        """Zoom into the x axis (1) or out of it (-1), around the cursor."""
        low, high = self._shown()
        centre = min(max(self._at(), low), high)
        factor = _ZOOM**-direction
        self._look_at(centre - (centre - low) * factor, centre + (high - centre) * factor)

    def action_zoom_values(self, direction: int) -> None:
        """Zoom into the values (1) or out of them (-1)."""
        low, high = self._values_shown()
        centre, reach = (low + high) / 2, (high - low) / 2 * _ZOOM**-direction
        self.values = (centre - reach, centre + reach)
        self._redraw()

    def action_pan(self, right: int, up: int) -> None:
        """Move the view by a fifth of it."""
        if right:
            low, high = self._shown()
            by = right * _PAN * (high - low)
            first, last = self._extent()
            by = max(first - low, min(by, last - high)) if self.view else 0.0
            self._look_at(low + by, high + by)
        if up:
            low, high = self._values_shown()
            by = up * _PAN * (high - low)
            self.values = (low + by, high + by)
            self._redraw()

    def on_plot_widget_scale_changed(self, message: CurvePlot.ScaleChanged) -> None:
        """Remember a view that the mouse has chosen."""
        message.stop()
        self.view, self.values = (message.x_min, message.x_max), (message.y_min, message.y_max)
        self._point()

    def _look_at(self, low: float, high: float) -> None:
        first, last = self._extent()
        narrowest = (last - first) / 1e5
        if high - low < narrowest:
            return
        low, high = max(first, low), min(last, high)
        self.view = None if (low, high) == (first, last) else (low, high)
        self._redraw()

    def _move_to(self, x: float) -> None:
        first, last = self._extent()
        self.cursor = min(max(x, first), last)
        low, high = self._shown()
        if not low <= self.cursor <= high:
            by = self.cursor - (low if self.cursor < low else high)
            self._look_at(low + by, high + by)
        self._point()

    def _extent(self) -> tuple[float, float]:
        """Return the first and the last place on the x axis that any curve has."""
        places = [x for drawn in self._drawn if drawn.line.xs for x in (drawn.line.xs[0], drawn.line.xs[-1])]
        if not places:
            return 0.0, 1.0
        return min(places), max(max(places), min(places) + 1e-6)

    def _at(self) -> float:
        """Return where the cursor stands: at the end, until it is moved."""
        return self._extent()[1] if self.cursor is None else self.cursor

    def _shown(self) -> tuple[float, float]:
        return self.view or self._extent()

    def _values_shown(self) -> tuple[float, float]:
        if self.values is not None:
            return self.values
        ys = [y for drawn in self._drawn for y in self._plotted(drawn).ys]
        if not ys:
            return 0.0, 1.0
        low, high = min(ys), max(ys)
        margin = 0.04 * (high - low) or 0.5 * abs(high) or 0.5
        return low - margin, high + margin

    def _columns(self) -> int:
        plot = self.query_one(CurvePlot)
        return max(1, plot.size.width - plot.margin_left - 2)

    def _plotted(self, drawn: Drawn) -> Line:
        """Return what is plotted of a line: the part in view, thinned to what the columns can tell apart."""
        line = thin(drawn.line.between(*self._shown()), 2 * self._columns())  # braille has two dots a column
        return logarithm(line) if self.logarithmic else line

    def _redraw_if_stale(self) -> None:
        if self._stale and self.is_active:
            self._redraw()

    def _redraw(self) -> None:
        if not self.is_mounted:
            return
        self._stale = False
        self._drawn = self._lines()
        plot = self.query_one(CurvePlot)
        self.set_class(not any(drawn.line.xs for drawn in self._drawn), "-nothing")
        plot.clear()
        plot.use_axes(self.axis, logarithmic=self.logarithmic)
        plot.set_xlimits(*self._shown())
        plot.set_ylimits(*self._values_shown())
        for drawn in self._drawn:
            plot.draw(self._plotted(drawn), drawn.colour, marked=drawn.marked)
        self._title()
        self.call_after_refresh(self._point)

    def _lines(self) -> list[Drawn]:
        alone = len(self.curves) == 1
        lines = []
        for number, curve in enumerate(self.curves):
            name = escape_line(curve.name)
            colour = str(number % COLOURS)
            raw = line_of(curve.snapshot.train, self.axis, self.quantity.of)
            smoothed = smooth(raw, self.smoothing if self.quantity.validated else "off")
            if alone and smoothed is not raw:
                lines.append(Drawn("raw", raw, "raw", read_out=False))
            lines.append(Drawn("train" if alone else name, smoothed, colour))
            if self.quantity.validated:
                validation = line_of(curve.snapshot.validation, self.axis, self.quantity.of)
                label = "validation" if alone else f"{name} validation"
                lines.append(Drawn(label, validation, "validation" if alone else colour, marked=True, read_out=alone))
        return lines

    def _point(self) -> None:
        """Put the caret under the cursor, and read the curves there."""
        plot, readout = self.query_one(CurvePlot), self.query_one(Readout)
        low, high = self._shown()
        at = self._at()
        visible = low <= at <= high and any(drawn.line.xs for drawn in self._drawn)
        self.query_one(CursorLine).move(min(plot.column_of(at), plot.size.width - 2) if visible else None)
        place = {"step": f"step {formatting.count(at)}", "time": formatting.duration(at), "tokens": _tokens(at)}
        values = [(f"▲ {place[self.axis]}", "")]
        for drawn in self._drawn:
            index = drawn.line.nearest(at)
            if drawn.read_out and index is not None:
                mark = "◆" if drawn.marked else "━"
                text = f"{mark} {drawn.label} {self.quantity.spell(drawn.line.ys[index])}"
                values.append((text, plot.colour(drawn.colour)))
        readout.show(values)

    def _title(self) -> None:
        names = ", ".join(escape_line(curve.name) for curve in self.curves)
        scale = "logarithmic" if self.logarithmic else "linear"
        smoothing = f", smoothing {self.smoothing}" if self.quantity.validated else ""
        parts = (
            (self.quantity.title, "bold $primary"),
            f" of {names}",
            (f"   by {self.axis}, {scale}{smoothing}", "$text-muted"),
        )
        self.query_one("#title", Static).update(Content.assemble(*parts))


def _next(choices: Sequence[Choice], now: Choice) -> Choice:
    return choices[(choices.index(now) + 1) % len(choices)]


def _tokens(number: float) -> str:
    return f"{formatting.magnitude(number)} tokens"
