"""What can be drawn of a run, and its curves made ready for a chart: against an axis, smoothed and thinned."""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from shakegpt.events import perplexity
from shakegpt.runs.downsampling import extremes
from shakegpt.runs.snapshot import Curve, Point
from shakegpt.tui import formatting

Axis = Literal["step", "time", "tokens"]
AXES: tuple[Axis, ...] = ("step", "time", "tokens")
Smoothing = Literal["off", "light", "heavy"]
SMOOTHINGS: tuple[Smoothing, ...] = ("off", "light", "heavy")

_REACH = {"off": 0.0, "light": 0.005, "heavy": 0.03}
"""Over which share of a curve a value is spread by smoothing."""


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One of the curves that a run draws."""

    key: str
    title: str
    of: Callable[[Point], float]
    spell: Callable[[float | None], str]
    validated: bool
    """Whether evaluations give a value of it too."""
    plunges: bool
    """Whether its first values dwarf all later ones."""


LOSS = Quantity(key="loss", title="Loss", of=attrgetter("loss"), spell=formatting.decimal, validated=True, plunges=True)
PERPLEXITY = Quantity(
    key="perplexity",
    title="Perplexity",
    of=lambda point: perplexity(point.loss),
    spell=formatting.decimal,
    validated=True,
    plunges=True,
)
LEARNING_RATE = Quantity(
    key="learning-rate",
    title="Learning rate",
    of=attrgetter("learning_rate"),
    spell=formatting.scientific,
    validated=False,
    plunges=False,
)
QUANTITIES = (LOSS, PERPLEXITY, LEARNING_RATE)


@dataclass(frozen=True)
class Line:
    """Two lists of one length: where, in rising order, and how much. All finite."""

    xs: list[float]
    ys: list[float]

    def nearest(self, x: float) -> int | None:
        """Return the index of the value nearest to ``x``; ``None`` of an empty line."""
        if not self.xs:
            return None
        right = bisect_left(self.xs, x)
        candidates = [index for index in (right - 1, right) if 0 <= index < len(self.xs)]
        return min(candidates, key=lambda index: abs(self.xs[index] - x))

    def between(self, low: float, high: float) -> "Line":
        """Return the part from ``low`` to ``high``, and one value beyond each end so that the line runs on."""
        start = max(0, bisect_left(self.xs, low) - 1)
        end = bisect_left(self.xs, high) + 1
        return Line(self.xs[start:end], self.ys[start:end])


def line_of(curve: Curve, axis: Axis, value: Callable[[Point], float]) -> Line:
    """Return a curve against an axis, without the values that are not finite."""
    place: Callable[[Point], float] = {"step": _step, "time": _seconds, "tokens": _tokens}[axis]
    pairs = [(place(point), value(point)) for point in curve.points()]
    finite = [(x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)]
    return Line([x for x, _ in finite], [y for _, y in finite])


def smooth(line: Line, smoothing: Smoothing) -> Line:
    """Return a line without its noise: an exponential moving average, free of bias towards its start."""
    span = _REACH[smoothing] * len(line.ys)
    if span <= 1:
        return line
    keep = 1 - 1 / span
    total = weight = 0.0
    ys = []
    for y in line.ys:
        total = keep * total + (1 - keep) * y
        weight = keep * weight + (1 - keep)
        ys.append(total / weight)
    return Line(line.xs, ys)


def thin(line: Line, columns: int) -> Line:
    """Return at most about two values a column, the least and the greatest."""
    kept = extremes(line.ys, columns)
    return Line([line.xs[index] for index in kept], [line.ys[index] for index in kept])


def logarithm(line: Line) -> Line:
    """Return the decimal logarithm of a line, without what has none."""
    positive = [(x, math.log10(y)) for x, y in zip(line.xs, line.ys, strict=True) if y > 0]
    return Line([x for x, _ in positive], [y for _, y in positive])


def _step(point: Point) -> float:
    return point.step


def _seconds(point: Point) -> float:
    return point.seconds


def _tokens(point: Point) -> float:
    return point.tokens
