"""The learning rate at its corners: the first step, the end of the warm-up, the middle, the end, and past it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.config import TrainingConfig
from shakegpt.training.schedule import learning_rate_at

PLAN = TrainingConfig(steps=1100, warmup=100, learning_rate=1e-3, min_learning_rate=1e-4)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (1, 1e-5),  # the first step already learns
        (50, 5e-4),
        (100, 1e-3),  # the last step of the warm-up reaches the peak
        (600, 5.5e-4),  # half way down: the mean of peak and floor
        (350, 1e-4 + 9e-4 * 0.8535533905932737),  # a quarter of the way: (1 + cos 45°) / 2
        (1100, 1e-4),
        (5000, 1e-4),
    ],
)
def test_corners(step: int, rate: float) -> None:
    assert learning_rate_at(step, PLAN) == pytest.approx(rate, rel=1e-12)


def test_without_warm_up_the_first_step_is_nearly_at_the_peak() -> None:
    plan = TrainingConfig(steps=1000, warmup=0, learning_rate=1e-3, min_learning_rate=0.0)
    assert learning_rate_at(1, plan) == pytest.approx(1e-3, rel=1e-5)


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (9, 0), (50, 5), (999, 99), (1000, 100), (5000, 100)])
def test_a_short_run_spends_a_tenth_of_its_steps_on_the_warm_up(steps: int, warmup: int) -> None:
    plan = TrainingConfig(steps=steps, warmup=100)
    rates = [learning_rate_at(step, plan) for step in range(1, steps + 1)]
    if warmup:
        assert rates.index(max(rates)) == warmup - 1
        assert max(rates) == plan.learning_rate
    assert rates[-1] == plan.min_learning_rate


@given(st.integers(1, 400), st.integers(0, 400), st.floats(1e-6, 1.0), st.floats(0.0, 1.0))
def test_the_rate_rises_then_falls_between_floor_and_peak(steps: int, warmup: int, peak: float, share: float) -> None:
    plan = TrainingConfig(steps=steps, warmup=warmup, learning_rate=peak, min_learning_rate=peak * share)
    rates = [learning_rate_at(step, plan) for step in range(1, steps + 1)]
    top = rates.index(max(rates))
    assert all(plan.min_learning_rate <= rate <= peak * (1 + 1e-12) for rate in rates[top:])
    assert rates[0] > 0 or steps == 1
    assert rates[: top + 1] == sorted(rates[: top + 1])
    # Rounding may move the peak, and neighbours at the flat ends of the cosine, by an ulp.
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in zip(rates[top:], rates[top + 1 :], strict=False))
