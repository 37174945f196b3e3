import math
from operator import attrgetter

import pytest

from shakegpt.runs.snapshot import Curve, Point
from shakegpt.tui.chart.curve_plot import CountFormatter, LogarithmFormatter, ValueFormatter
from shakegpt.tui.chart.curves import Axis, Line, Smoothing, line_of, logarithm, smooth

CURVE = Curve([Point(1, 0.5, 64, 4.0), Point(2, 1.0, 128, math.nan), Point(3, 1.5, 192, 2.0)])


@pytest.mark.parametrize(("axis", "xs"), [("step", [1, 3]), ("time", [0.5, 1.5]), ("tokens", [64, 192])])
def test_a_line_against_each_axis_leaves_out_what_is_not_finite(axis: Axis, xs: list[float]) -> None:
    assert line_of(CURVE, axis, attrgetter("loss")) == Line(xs, [4.0, 2.0])


def test_smoothing_off_changes_nothing() -> None:
    line = Line([0.0, 1.0], [1.0, 5.0])
    assert smooth(line, "off") is line


@pytest.mark.parametrize("smoothing", ["light", "heavy"])
def test_smoothing_leaves_a_constant_alone_from_the_first_value_on(smoothing: Smoothing) -> None:
    line = Line([float(x) for x in range(1000)], [3.0] * 1000)
    assert smooth(line, smoothing).ys == pytest.approx(line.ys)


def test_heavy_smoothing_removes_more_noise_than_light() -> None:
    line = Line([float(x) for x in range(1000)], [2.0 + (-1) ** x for x in range(1000)])

    def noise(smoothing: Smoothing) -> float:
        ys = smooth(line, smoothing).ys[500:]
        return max(ys) - min(ys)

    assert noise("heavy") < noise("light") < noise("off")


def test_a_part_of_a_line_has_a_point_beyond_each_edge() -> None:
    line = Line([0.0, 1.0, 2.0, 3.0, 4.0], [0.0] * 5)
    assert line.between(1.5, 2.5).xs == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(("x", "index"), [(-5.0, 0), (0.4, 0), (0.6, 1), (99.0, 2)])
def test_the_nearest_point(x: float, index: int) -> None:
    assert Line([0.0, 1.0, 2.0], [0.0] * 3).nearest(x) == index


def test_an_empty_line_has_no_nearest_point() -> None:
    assert Line([], []).nearest(1.0) is None


def test_the_logarithm_leaves_out_what_is_not_positive() -> None:
    assert logarithm(Line([1.0, 2.0, 3.0], [100.0, 0.0, -1.0])) == Line([1.0], [2.0])


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.5, 66.0, ["1", "2", "5", "10", "20", "50"]),
        (1e-4, 1e-3, ["0.0001", "0.0002", "0.0005", "0.001"]),
        (1.45, 2.15, ["1.6", "1.8", "2"]),
    ],
)
def test_a_logarithmic_axis_has_round_ticks(low: float, high: float, labels: list[str]) -> None:
    formatter = LogarithmFormatter()
    ticks = formatter.get_ticks(math.log10(low), math.log10(high))
    inside = set(formatter.get_labels_for_ticks(ticks))
    assert len(ticks) >= 3
    assert set(labels) <= inside


def test_ticks_of_steps_and_of_small_values() -> None:
    assert CountFormatter().get_labels_for_ticks([0.0, 1500.0, 25e6]) == ["0", "1,500", "25 M"]
    assert ValueFormatter().get_labels_for_ticks([0.0, 0.0005, 0.001]) == ["0", "5.0e-4", "1.0e-3"]
