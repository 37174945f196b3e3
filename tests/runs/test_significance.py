"""The t-test behind `runs compare`, against published tables and a simulation of luck."""

import random

import pytest

from shakegpt.runs.significance import difference_p, pooled_spread, two_sided_p


# Critical values from the usual tables of Student's distribution.
@pytest.mark.parametrize(
    ("t", "freedom", "p"), [(12.706, 1, 0.05), (4.303, 2, 0.05), (2.776, 4, 0.05), (9.925, 2, 0.01), (2.042, 30, 0.05)]
)
def test_it_agrees_with_the_tables(t: float, freedom: int, p: float) -> None:
    assert two_sided_p(t, freedom) == pytest.approx(p, rel=2e-3)
    assert two_sided_p(0.0, freedom) == 1.0


def test_one_value_in_each_group_tells_nothing() -> None:
    assert pooled_spread([[1.0], [2.0], []]) is None


def test_other_groups_tell_the_spread_of_a_group_of_one() -> None:
    spread = pooled_spread([[1.0, 1.2], [3.0]])
    assert spread is not None
    assert (spread.freedom, spread.deviation) == (1, pytest.approx(0.02**0.5))


def test_equal_values_differ_only_if_their_means_do() -> None:
    spread = pooled_spread([[1.0, 1.0], [1.0, 1.0]])
    assert spread is not None
    assert difference_p([1.0, 1.0], [1.0, 1.0], spread) == 1.0
    assert difference_p([1.0, 1.0], [2.0, 2.0], spread) == 0.0


def test_luck_alone_is_called_a_difference_as_rarely_as_it_says() -> None:
    draw = random.Random(5)
    trials, found = 400, 0
    for _ in range(trials):
        groups = [[draw.gauss(1.5, 0.003) for _ in range(3)] for _ in range(2)]
        spread = pooled_spread(groups)
        assert spread is not None
        found += difference_p(*groups, spread) < 0.05
    assert 0.02 < found / trials < 0.09
