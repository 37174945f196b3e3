"""A curve of any length as at most as many values as a sparkline has columns."""

import math
from collections.abc import Callable

from shakegpt.runs.snapshot import Curve, Point

Value = Callable[[Point], float]


class Downsampler:
    """The mean of each stretch of a growing curve, kept up to date by reading each point once.

    Every bucket spans the same number of steps, and the span doubles when the columns are used up: so a bucket that
    is full never changes again, and neither do the cells that show it. The last span is the one that lets the
    whole run fill the columns exactly. Values that are not finite are left out.

    Args:
        value: what is drawn of a point.
        columns: the most buckets.
    """

    def __init__(self, value: Value, columns: int) -> None:
        self._value = value
        self.columns = max(1, columns)
        self.span = 1
        """Steps to a bucket."""
        self._first_step = 0
        self._read = 0
        self._newest: Point | None = None
        self._sums: list[float] = []
        self._counts: list[int] = []

    def follow(self, curve: Curve, last_step: int = 0) -> None:
        """Take in what a curve has gained; one that was rolled back is read anew.

        Args:
            curve: the run's curve.
            last_step: where the run will end; 0 while unknown.
        """
        if len(curve) < self._read or (self._read and curve[self._read - 1] != self._newest):
            self._start_over(span=1)
        if not len(curve):
            return
        if not self._read:
            self._first_step = curve[0].step
        while (wanted := curve[-1].step - self._first_step) >= self.span * self.columns:
            steps = max(last_step - self._first_step + 1, wanted + 1)
            self._start_over(span=min(2 * self.span, math.ceil(steps / self.columns)), first_step=curve[0].step)
        for point in curve.points(self._read):
            self._add(point)
        self._read = len(curve)
        self._newest = curve[-1]

    def column(self, step: int) -> int | None:
        """Return the column that shows a step; ``None`` where it lies outside the curve so far."""
        column = (step - self._first_step) // self.span
        return column if 0 <= column < len(self._sums) else None

    @property
    def means(self) -> list[float | None]:
        """The buckets so far, oldest first; ``None`` for one without a finite value."""
        return [total / number if number else None for total, number in zip(self._sums, self._counts, strict=True)]

    def _start_over(self, *, span: int, first_step: int = 0) -> None:
        self.span = span
        self._first_step = first_step
        self._read = 0
        self._newest = None
        self._sums, self._counts = [], []

    def _add(self, point: Point) -> None:
        column = max(0, point.step - self._first_step) // self.span
        missing = column + 1 - len(self._sums)
        self._sums.extend([0.0] * missing)
        self._counts.extend([0] * missing)
        value = self._value(point)
        if math.isfinite(value):
            self._sums[column] += value
            self._counts[column] += 1


def scale(values: list[float], *, robust: bool = False) -> tuple[float, float]:
    """Return round bounds around finite values; round, so that they seldom move and cells stay as they are.

    Args:
        values: what is drawn.
        robust: let the largest tenth stand out at the top, where a first plunge would flatten the rest.
    """
    if not values:
        return 0.0, 1.0
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1 - len(ordered) // 10 if robust else -1]
    if high - low <= 1e-9 * max(abs(high), 1e-12):  # all the same, but for rounding
        return high - max(abs(high), 1e-12), high
    grain = 10 ** math.floor(math.log10((high - low) / 2))
    return math.floor(low / grain) * grain, math.ceil(high / grain) * grain
