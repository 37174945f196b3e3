import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.tui.training.sparkline import round_bounds


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
def test_bounds_are_round(values: list[float], robust: bool, bounds: tuple[float, float]) -> None:
    assert round_bounds(values, robust=robust) == pytest.approx(bounds)


@given(st.lists(st.floats(-1e12, 1e12), max_size=50), st.booleans())
def test_bounds_are_never_equal(values: list[float], robust: bool) -> None:
    low, high = round_bounds(values, robust=robust)
    assert low < high
