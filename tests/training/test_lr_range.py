"""The range test: it trains at rising rates, writes nothing, and reads its curve."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.runs.store import Store
from shakegpt.training.lr_range import RangePoint, RangeTest, read_range_test
from shakegpt.training.setup import PreparedTraining, TrainingRequest, prepare_training
from tests.conftest import NANO_CHANGES


@pytest.fixture
def prepared(private_surroundings: Path) -> PreparedTraining:
    request = TrainingRequest(preset="nano", corpus="demo", changes=NANO_CHANGES)
    return prepare_training(Store(private_surroundings), request)


def curve(points: int = 200, *, bottom: float = -2.6, rise: float = -1.5) -> list[RangePoint]:
    """A curve that falls in a straight line up to a logarithm of the rate, is flat, and then rises without end."""
    logs = [-5 + 5 * index / (points - 1) for index in range(points)]
    losses = [4.0 + (max(-4.5, min(log, bottom)) + 4.5) * -0.8 + 40 * max(0.0, log - rise) for log in logs]
    return [RangePoint(10**log, loss) for log, loss in zip(logs, losses, strict=True)]


def test_it_trains_at_rising_rates_until_the_loss_diverges_and_writes_nothing(
    prepared: PreparedTraining, private_surroundings: Path
) -> None:
    points = list(RangeTest(prepared))
    rates = [point.learning_rate for point in points]
    assert rates[0] == pytest.approx(1e-5)
    assert rates == sorted(rates)
    assert points[0].loss == pytest.approx(math.log(len(prepared.corpus.vocabulary)), abs=0.3)
    result = read_range_test(points)
    assert min(point.loss for point in points) < 3
    assert result.falls_at < result.bottom
    assert not private_surroundings.exists()


def test_equal_tests_give_equal_curves(prepared: PreparedTraining) -> None:
    first, second = ([point for point, _ in zip(RangeTest(prepared), range(3), strict=False)] for _ in range(2))
    assert first == second


def test_a_slow_step_makes_for_fewer_of_them(prepared: PreparedTraining) -> None:
    test = RangeTest(prepared, highest=1e-4, seconds=0.0)
    assert (len(list(test)), test.steps) == (60, 60)


def test_it_makes_haste_where_the_steps_become_slow_and_still_covers_the_range(
    prepared: PreparedTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("shakegpt.training.lr_range.time", SimpleNamespace(perf_counter=lambda: now))
    test = RangeTest(prepared, highest=1e-3, seconds=200.0)
    rates = []
    for point in test:
        rates.append(point.learning_rate)
        now += 1.0 if len(rates) < 40 else 10.0
    assert len(rates) == 60
    assert rates == sorted(rates)
    assert rates[39] == pytest.approx(1e-5 * 100 ** (39 / 199))  # as if there were time for 200
    assert rates[-1] == pytest.approx(1e-3)


def test_stop_ends_it(prepared: PreparedTraining) -> None:
    test = RangeTest(prepared)
    for _ in test:
        test.stop()
    assert len(list(test)) == 0


@pytest.mark.parametrize("points", [60, 200])
def test_the_marks_are_where_the_curve_turns(points: int) -> None:
    result = read_range_test(curve(points))
    assert 10**-4.6 < result.falls_at < 10**-3.9
    assert 10**-4.5 < result.steepest < 10**-2.6
    assert 10**-2.8 < result.bottom < 10**-2.2
    assert result.bottom <= result.lowest <= result.rises_at < 10**-1.4
    assert result.diverges_at is not None
    assert 10**-1.8 < result.diverges_at < 10**-1.3
    assert result.suggestion == pytest.approx(0.01 * result.diverges_at, rel=0.25)


def test_a_curve_that_never_rises_does_not_diverge() -> None:
    result = read_range_test(curve(rise=1.0))
    assert result.diverges_at is None
    assert result.suggestion == pytest.approx((result.bottom * result.rises_at) ** 0.5, rel=0.25)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (curve()[:19], "diverged after 19 steps"),
        ([RangePoint(point.learning_rate, 1 + point.learning_rate) for point in curve()], "The loss never fell"),
    ],
)
def test_a_test_that_says_nothing_is_an_error(points: list[RangePoint], message: str) -> None:
    with pytest.raises(ShakegptError, match=message):
        read_range_test(points)
