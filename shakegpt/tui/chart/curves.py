"""What can be drawn of a run, and its curves made ready for a chart: against an axis, smoothed and thinned."""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

from shakegpt.events import perplexity
from shakegpt.runs.downsampling import extremes
from shakegpt.runs.snapshot import Curve, Point
from shakegpt.tui import formatting
from shakegpt.tui.widgets.area_chart import AxisRule, Level

if TYPE_CHECKING:
    from shakegpt.evaluation.ngrams import TableLosses

Axis = Literal["step", "time", "tokens"]
AXES: tuple[Axis, ...] = ("step", "time", "tokens")
Smoothing = Literal["off", "light", "heavy"]
SMOOTHINGS: tuple[Smoothing, ...] = ("off", "light", "heavy")

LONGEST_TABLE = 5
"""Characters: longer tables are no better on a text of a million."""

_SMOOTHING_SPAN = {"off": 0.0, "light": 0.005, "heavy": 0.03}
"""The share of a curve's points that the moving average spans."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One of the curves of a run: how to read its value off a point, and how to format it."""

    key: str
    title: str
    value: Callable[[Point], float]
    format: Callable[[float | None], str]
    has_validation: bool
    """Whether evaluations measure it too."""
    axis: AxisRule
    """How the value axis of its small chart is chosen."""


LOSS = Quantity(
    key="loss",
    title="Loss",
    value=attrgetter("loss"),
    format=formatting.decimal,
    has_validation=True,
    axis=AxisRule(least_span=0.25),
)
PERPLEXITY = Quantity(
    key="perplexity",
    title="Perplexity",
    value=lambda point: perplexity(point.loss),
    format=formatting.decimal,
    has_validation=True,
    axis=AxisRule(least_span=0.25, cuts_peak=True),
)
LEARNING_RATE = Quantity(
    key="learning-rate",
    title="Learning rate",
    value=attrgetter("learning_rate"),
    format=formatting.scientific,
    has_validation=False,
    axis=AxisRule(from_zero=True),
)
QUANTITIES = (LOSS, PERPLEXITY, LEARNING_RATE)


@dataclass(frozen=True)
class Line:
    """The points of a line: finite values at ascending, finite places."""

    xs: list[float]
    ys: list[float]

    def nearest(self, x: float) -> int | None:
        """Return the index of the point nearest to ``x``; ``None`` where the line is empty."""
        if not self.xs:
            return None
        right = bisect_left(self.xs, x)
        candidates = [index for index in (right - 1, right) if 0 <= index < len(self.xs)]
        return min(candidates, key=lambda index: abs(self.xs[index] - x))

    def between(self, low: float, high: float) -> "Line":
        """Return the part from ``low`` to ``high``, and one point beyond each end, to reach the edges."""
        start = max(0, bisect_left(self.xs, low) - 1)
        end = bisect_left(self.xs, high) + 1
        return Line(self.xs[start:end], self.ys[start:end])


def levels_of(tables: "TableLosses", quantity: Quantity) -> list[Level]:
    """Return a level for each table of 1 to ``LONGEST_TABLE`` characters; none of what evaluations don't measure."""
    if not quantity.has_validation:
        return []
    values = [quantity.value(Point(0, 0.0, 0, loss)) for loss in tables.losses[:LONGEST_TABLE]]
    return [Level(value, f" table of {n} ", f" table {n} ") for n, value in enumerate(values, 1)]


def line_of(curve: Curve, axis: Axis, value: Callable[[Point], float]) -> Line:
    """Return a curve against an axis, without the values that are not finite."""
    place = attrgetter("seconds" if axis == "time" else axis)
    pairs = [(float(place(point)), value(point)) for point in curve.points()]
    finite = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
    return Line([x for x, _ in finite], [y for _, y in finite])


def smooth(line: Line, smoothing: Smoothing) -> Line:
    """Return the exponential moving average of a line, corrected for its bias towards the start."""
    span = _SMOOTHING_SPAN[smoothing] * len(line.ys)
    if span <= 1:
        return line
    decay = 1 - 1 / span
    total = weight = 0.0
    ys = []
    for y in line.ys:
        total = decay * total + (1 - decay) * y
        weight = decay * weight + (1 - decay)
        ys.append(total / weight)
    return Line(line.xs, ys)


def thin(line: Line, columns: int) -> Line:
    """Return at most about two values a column, the least and the greatest."""
    kept = extremes(line.ys, columns)
    return Line([line.xs[index] for index in kept], [line.ys[index] for index in kept])


def logarithm(line: Line) -> Line:
    """Return the decimal logarithm of the positive values of a line."""
    positive = [(x, math.log10(y)) for x, y in zip(line.xs, line.ys, strict=True) if y > 0]
    return Line([x for x, _ in positive], [y for _, y in positive])
