import math

import pytest

from shakegpt.tui import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (1.5234, "1.523"),
        (0.82, "0.820"),
        (12.345, "12.35"),
        (9.9999, "10.00"),
        (1234.5, "1,234"),
        (65_000.0, "6.5e4"),
        (math.nan, "not a number"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
    ],
)
def test_a_decimal_keeps_its_width_and_names_what_is_not_finite(value: float | None, text: str) -> None:
    assert formatting.decimal(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0"), (9.4e-4, "9.4e-4"), (3e-3, "3.0e-3"), (math.nan, "not a number")]
)
def test_a_learning_rate(value: float | None, text: str) -> None:
    assert formatting.scientific(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (math.inf, "–"),
        (0.4, "0s"),
        (48, "48s"),
        (59.7, "1m 00s"),
        (724, "12m 04s"),
        (7500, "2h 05m"),
        (273_600, "3d 04h"),
        (-3, "0s"),
    ],
)
def test_a_duration_in_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("byte_count", "text"), [(12, "12 B"), (4_096, "4 kB"), (612e6, "612 MB"), (3.1e9, "3.1 GB"), (128e9, "128 GB")]
)
def test_a_size(byte_count: float, text: str) -> None:
    assert formatting.size(byte_count) == text


@pytest.mark.parametrize(("value", "text"), [(999, "999"), (54_464, "54.5 k"), (1_630_000, "1.63 M"), (2e9, "2 G")])
def test_a_compact_number(value: float, text: str) -> None:
    assert formatting.compact(value) == text


@pytest.mark.parametrize(("value", "text"), [(1250, "1,250"), (math.nan, "not a number"), (math.inf, "∞")])
def test_a_count(value: float, text: str) -> None:
    assert formatting.count(value) == text
