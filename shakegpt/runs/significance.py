"""Whether the means of groups differ by more than chance: t-tests with the spread of all groups pooled.

With two or three values in a group, its own spread says little. So the groups are taken to have one spread in common,
as in an analysis of variance, which all of them together tell far better.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

LEVEL = 0.05
"""The p-value below which a difference counts."""
_INTERVALS = 2_000


@dataclass(frozen=True)
class PooledSpread:
    """The standard deviation that groups have in common, and how many independent values told it."""

    deviation: float
    freedom: int


def pooled_spread(groups: Sequence[Sequence[float]]) -> PooledSpread | None:
    """Return the spread of values around the means of their groups; ``None`` where no group has two values."""
    freedom = sum(len(group) - 1 for group in groups if group)
    if freedom < 1:
        return None
    squares = sum((value - fmean(group)) ** 2 for group in groups if group for value in group)
    return PooledSpread(math.sqrt(squares / freedom), freedom)


def difference_p(first: Sequence[float], second: Sequence[float], spread: PooledSpread) -> float:
    """Return how often chance alone makes two means differ this much, on either side: Student's t-test."""
    difference = abs(fmean(second) - fmean(first))
    error = spread.deviation * math.sqrt(1 / len(first) + 1 / len(second))
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return two_sided_p(difference / error, spread.freedom)


def two_sided_p(t: float, freedom: float) -> float:
    """Return how likely a value beyond ``-t`` or ``t`` is under Student's distribution.

    With ``x = sqrt(freedom) tan u``, its density becomes ``cos(u) ** (freedom - 1)``, which Simpson's rule integrates.
    """
    end = math.atan(t / math.sqrt(freedom))
    width = end / _INTERVALS
    inside = sum(
        (1 if index in (0, _INTERVALS) else 4 if index % 2 else 2) * math.cos(index * width) ** (freedom - 1)
        for index in range(_INTERVALS + 1)
    )
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    return min(1.0, max(0.0, 1 - 2 * scale * float(inside) * width / 3))
