"""Curves as small charts in plain text, for pipes, logs and any terminal."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shakegpt.runs.downsampling import mean_losses
from shakegpt.runs.snapshot import Snapshot

_WIDTH, _HEIGHT = 60, 10
_TRAIN, _VALIDATION = ".", "o"


@dataclass(frozen=True)
class Line:
    """A curve of a chart: the character that draws it, and its points, all of them finite."""

    mark: str
    points: Sequence[tuple[float, float]]
    connected: bool = False
    """Whether straight lines between the points are drawn too."""


def draw_lines(
    lines: Sequence[Line],
    *,
    width: int = _WIDTH,
    height: int = _HEIGHT,
    start: float = 0.0,
    ends: tuple[str, str],
    title: str = "",
) -> list[str]:
    """Return a chart in ASCII, line by line; no lines without a point. Where curves meet, the later one is on top.

    Args:
        lines: the curves.
        width: columns of the plot, beside its scale.
        height: rows of the plot.
        start: where the left end is.
        ends: what stands below the left and the right end.
        title: what stands above the plot.
    """
    points = [point for line in lines for point in line.points]
    if not points:
        return []
    low, high = min(y for _, y in points), max(y for _, y in points)
    length = max(x for x, _ in points) - start
    rows = [[" "] * width for _ in range(height)]
    for line in lines:
        for x, y in _connect(line.points, length / width) if line.connected else line.points:
            fraction_down = (high - y) / (high - low) if high > low else 0.5
            column = int((x - start) * width / length) if length > 0 else 0
            rows[round(fraction_down * (height - 1))][min(width - 1, column)] = line.mark
    scale = {0: f"{high:.3f}", height - 1: f"{low:.3f}"}
    margin = max(len(text) for text in scale.values())
    return [
        f"{'loss':>{margin}}  {title}".rstrip(),
        *(f"{scale.get(number, ''):>{margin}} |{''.join(row)}".rstrip() for number, row in enumerate(rows)),
        f"{'':>{margin}} +{'-' * width}",
        f"{'':>{margin}}  {ends[0]}{ends[1]:>{width - len(ends[0])}}",
    ]


def _connect(points: Sequence[tuple[float, float]], spacing: float) -> Iterator[tuple[float, float]]:
    """Yield points in order of ``x``, and others between them, no further apart than the spacing."""
    for (x, y), (next_x, next_y) in pairwise(points):
        parts = max(1, math.ceil((next_x - x) / spacing)) if spacing > 0 else 1
        yield from ((x + (next_x - x) * part / parts, y + (next_y - y) * part / parts) for part in range(parts))
    yield from points[-1:]


def draw_chart(snapshot: Snapshot, *, width: int = _WIDTH, height: int = _HEIGHT) -> list[str]:
    """Return a chart of a run's losses against the step in ASCII, line by line; no lines without a finite loss."""
    train, validation = loss_points(snapshot, width), loss_points(snapshot, width, validation=True)
    last = max((step for step, _ in train + validation), default=0)
    return draw_lines(
        [Line(_TRAIN, train), Line(_VALIDATION, validation)],
        width=width,
        height=height,
        ends=("0", f"step {last:,.0f}"),
        title=f"{_TRAIN} train loss" + (f"   {_VALIDATION} validation loss" if validation else ""),
    )


def loss_points(snapshot: Snapshot, width: int, *, validation: bool = False) -> list[tuple[float, float]]:
    """Return at most ``width`` points of a run's training or validation losses: each a step and a mean loss."""
    return list(zip(*mean_losses(snapshot.validation if validation else snapshot.train, width), strict=True))
