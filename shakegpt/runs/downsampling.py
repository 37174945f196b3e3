"""A long curve reduced to as many values as a chart has columns."""

import math
from collections.abc import Callable, Sequence
from operator import attrgetter

from shakegpt.runs.snapshot import Curve, Point

Value = Callable[[Point], float]


class Downsampler:
    """The means of equal spans of a growing curve's steps, updated by reading each point once.

    The span doubles when the columns are used up, at most to the one that lets the whole run fill the columns. A
    full column therefore stays as it is, and so do the cells of a terminal that show it. Values that are not finite are
    left out.
    """

    def __init__(self, value: Value, columns: int) -> None:
        self._value = value
        self.columns = max(1, columns)
        self.steps_per_column = 1
        self._first_step = 0
        self._points_read = 0
        self._newest: Point | None = None
        self._sums: list[float] = []
        self._counts: list[int] = []
        self._last_steps: list[int] = []

    def update(self, curve: Curve, last_step: int = 0) -> None:
        """Read the new points of a curve; one that was rolled back is read again from its start.

        Args:
            curve: the run's curve.
            last_step: where the run will end; 0 while unknown.
        """
        if len(curve) < self._points_read or (self._points_read and curve[self._points_read - 1] != self._newest):
            self._restart(steps_per_column=1)
        if not len(curve):
            return
        if not self._points_read:
            self._first_step = curve[0].step
        while (wanted := curve[-1].step - self._first_step) >= self.steps_per_column * self.columns:
            steps = max(last_step - self._first_step + 1, wanted + 1)
            steps_per_column = min(2 * self.steps_per_column, math.ceil(steps / self.columns))
            self._restart(steps_per_column=steps_per_column, first_step=curve[0].step)
        for point in curve.points(self._points_read):
            self._add(point)
        self._points_read = len(curve)
        self._newest = curve[-1]

    def column_of(self, step: int) -> int | None:
        """Return the column that shows a step; ``None`` where it lies outside the curve so far."""
        column = (step - self._first_step) // self.steps_per_column
        return column if 0 <= column < len(self._sums) else None

    @property
    def means(self) -> list[float | None]:
        """The columns so far, oldest first; ``None`` for one without a finite value."""
        return [total / number if number else None for total, number in zip(self._sums, self._counts, strict=True)]

    @property
    def last_steps(self) -> list[int]:
        """The newest step with a finite value in each column."""
        return list(self._last_steps)

    def _restart(self, *, steps_per_column: int, first_step: int = 0) -> None:
        self.steps_per_column = steps_per_column
        self._first_step = first_step
        self._points_read = 0
        self._newest = None
        self._sums, self._counts, self._last_steps = [], [], []

    def _add(self, point: Point) -> None:
        column = max(0, point.step - self._first_step) // self.steps_per_column
        missing = column + 1 - len(self._sums)
        self._sums.extend([0.0] * missing)
        self._counts.extend([0] * missing)
        self._last_steps.extend([0] * missing)
        value = self._value(point)
        if math.isfinite(value):
            self._sums[column] += value
            self._counts[column] += 1
            self._last_steps[column] = point.step


def mean_losses(curve: Curve, columns: int) -> tuple[list[int], list[float]]:
    """Return at most ``columns`` steps of a curve and the mean loss of the steps up to each, all of them finite."""
    downsampler = Downsampler(attrgetter("loss"), columns)
    downsampler.update(curve)
    pairs = zip(downsampler.last_steps, downsampler.means, strict=True)
    finite = [(step, mean) for step, mean in pairs if mean is not None]
    return [step for step, _ in finite], [mean for _, mean in finite]


def extremes(values: Sequence[float], columns: int) -> list[int]:
    """Return the indices of each column's least and greatest value, so that no spike is lost, and of the last value."""
    size = math.ceil(len(values) / max(1, columns))
    if size <= 2:
        return list(range(len(values)))
    kept: list[int] = []
    for start in range(0, len(values), size):
        span = range(start, min(start + size, len(values)))
        kept += sorted({min(span, key=values.__getitem__), max(span, key=values.__getitem__)})
    return kept if kept[-1] == len(values) - 1 else [*kept, len(values) - 1]
