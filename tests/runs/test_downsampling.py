import math
from operator import attrgetter

from hypothesis import given
from hypothesis import strategies as st

from shakegpt.runs.downsampling import Downsampler, extremes, mean_losses
from shakegpt.runs.snapshot import Curve, Point


def curve(losses: list[float], first: int = 1) -> Curve:
    return Curve(Point(first + index, 0.1 * index, 100 * index, loss) for index, loss in enumerate(losses))


def downsampling_to(columns: int) -> Downsampler:
    return Downsampler(attrgetter("loss"), columns)


def test_one_value_a_column_while_there_are_columns() -> None:
    downsampler = downsampling_to(4)
    downsampler.update(curve([4.0, 3.0, 2.0]))
    assert downsampler.means == [4.0, 3.0, 2.0]


def test_full_columns_never_change_while_the_span_stays() -> None:
    downsampler, growing = downsampling_to(10), Curve()
    before: list[float | None] = []
    span = 1
    for point in curve([float(step) for step in range(80)]).points():
        growing = growing.plus(point)
        downsampler.update(growing)
        if downsampler.steps_per_column == span:
            assert downsampler.means[: len(before) - 1] == before[:-1]
        before, span = downsampler.means, downsampler.steps_per_column
    assert span == 8


def test_the_whole_run_ends_at_the_last_column() -> None:
    downsampler = downsampling_to(22)
    downsampler.update(curve([1.0] * 500), last_step=500)
    assert len(downsampler.means) == 22


def test_values_that_are_not_finite_are_gaps() -> None:
    downsampler = downsampling_to(3)
    downsampler.update(curve([2.0, math.nan, math.inf]))
    assert downsampler.means == [2.0, None, None]


def test_a_curve_that_was_rolled_back_is_read_again() -> None:
    downsampler = downsampling_to(8)
    whole = curve([5.0, 4.0, 3.0, 2.0])
    downsampler.update(whole)
    again = whole.until(2).plus(Point(3, 0, 0, 9.0)).plus(Point(4, 0, 0, 8.0))
    downsampler.update(again)
    assert downsampler.means == [5.0, 4.0, 9.0, 8.0]


def test_a_run_whose_beginning_is_lost_starts_at_the_first_column() -> None:
    downsampler = downsampling_to(4)
    downsampler.update(curve([1.0, 2.0], first=1000))
    assert downsampler.means == [1.0, 2.0]
    assert (downsampler.column_of(1001), downsampler.column_of(999), downsampler.column_of(1002)) == (1, None, None)


def test_an_empty_curve_has_no_means() -> None:
    downsampler = downsampling_to(4)
    downsampler.update(Curve())
    assert downsampler.means == []


@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 1000), st.integers(1, 7))
def test_never_more_means_than_columns_however_it_grows(steps: int, columns: int, last: int, stride: int) -> None:
    downsampler, whole = downsampling_to(columns), curve([1.0] * steps)
    for end in (*range(1, steps, stride * 20), steps):
        downsampler.update(Curve(whole.points()[:end]), last)
        assert 0 < len(downsampler.means) <= columns
    assert downsampler.column_of(steps) == len(downsampler.means) - 1


def test_a_long_curve_is_the_mean_losses_of_equal_spans() -> None:
    steps, losses = mean_losses(curve([float(loss) for loss in range(9)]), 3)
    assert (steps, losses) == ([3, 6, 9], [1.0, 4.0, 7.0])


def test_mean_losses_name_the_steps_that_have_one() -> None:
    evaluations = Curve(Point(step, 0.0, 0, loss) for step, loss in ((50, 2.0), (100, math.nan), (150, 1.0)))
    assert mean_losses(evaluations, 40) == ([50, 150], [2.0, 1.0])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=500), st.integers(1, 50))
def test_the_extremes_and_the_last_value_stay(values: list[float], columns: int) -> None:
    indices = extremes(values, columns)
    shown = [values[index] for index in indices]
    assert (min(shown), max(shown)) == (min(values), max(values))
    assert indices[-1] == len(values) - 1
    assert indices == sorted(set(indices))
    assert len(indices) <= 2 * columns + 1
