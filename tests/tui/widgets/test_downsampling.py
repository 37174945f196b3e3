import math
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.runs.snapshot import Curve, Point
from shakegpt.tui.widgets.downsampling import Downsampler, scale


def curve(losses: list[float], first: int = 1) -> Curve:
    return Curve(Point(first + index, 0.1 * index, 100 * index, loss) for index, loss in enumerate(losses))


def buckets(columns: int) -> Downsampler:
    return Downsampler(attrgetter("loss"), columns)


def test_one_value_a_column_while_there_are_columns() -> None:
    follower = buckets(4)
    follower.follow(curve([4.0, 3.0, 2.0]))
    assert follower.means == [4.0, 3.0, 2.0]


def test_full_buckets_never_change_while_the_span_stays() -> None:
    follower, growing = buckets(10), Curve()
    before: list[float | None] = []
    span = 1
    for point in curve([float(step) for step in range(80)]).points():
        growing = growing.plus(point)
        follower.follow(growing)
        if follower.span == span:
            assert follower.means[: len(before) - 1] == before[:-1]
        before, span = follower.means, follower.span
    assert span == 8


def test_the_whole_run_ends_at_the_last_column() -> None:
    follower = buckets(22)
    follower.follow(curve([1.0] * 500), last_step=500)
    assert len(follower.means) == 22


def test_values_that_are_not_finite_are_gaps() -> None:
    follower = buckets(3)
    follower.follow(curve([2.0, math.nan, math.inf]))
    assert follower.means == [2.0, None, None]


def test_a_curve_that_was_rolled_back_is_read_anew() -> None:
    follower = buckets(8)
    whole = curve([5.0, 4.0, 3.0, 2.0])
    follower.follow(whole)
    again = whole.until(2).plus(Point(3, 0, 0, 9.0)).plus(Point(4, 0, 0, 8.0))
    follower.follow(again)
    assert follower.means == [5.0, 4.0, 9.0, 8.0]


def test_a_run_whose_beginning_is_lost_starts_at_the_first_column() -> None:
    follower = buckets(4)
    follower.follow(curve([1.0, 2.0], first=1000))
    assert follower.means == [1.0, 2.0]
    assert (follower.column(1001), follower.column(999), follower.column(1002)) == (1, None, None)


def test_nothing_of_an_empty_curve() -> None:
    follower = buckets(4)
    follower.follow(Curve())
    assert follower.means == []


@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 1000), st.integers(1, 7))
def test_never_more_buckets_than_columns_however_it_grows(steps: int, columns: int, last: int, stride: int) -> None:
    follower, whole = buckets(columns), curve([1.0] * steps)
    for end in (*range(1, steps, stride * 20), steps):
        follower.follow(Curve(whole.points()[:end]), last)
        assert 0 < len(follower.means) <= columns
    assert follower.column(steps) == len(follower.means) - 1


@pytest.mark.parametrize(
    ("values", "robust", "bounds"),
    [
        ([], False, (0.0, 1.0)),
        ([1.52, 2.08], False, (1.5, 2.1)),
        ([2.0, 2.0], False, (0.0, 2.0)),
        ([66.0, *[2.0] * 9, 3.0], True, (2.0, 3.0)),
        ([0.0, 1e-3], False, (0.0, 1e-3)),
        ([0.0, 5e-324], False, (-1e-12, 0.0)),
    ],
)
def test_the_scale_is_round(values: list[float], robust: bool, bounds: tuple[float, float]) -> None:
    assert scale(values, robust=robust) == pytest.approx(bounds)


@given(st.lists(st.floats(-1e12, 1e12), max_size=50), st.booleans())
def test_a_scale_is_never_empty(values: list[float], robust: bool) -> None:
    low, high = scale(values, robust=robust)
    assert low < high
