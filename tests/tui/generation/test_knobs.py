"""What the knobs turn through, and where they end."""

from dataclasses import replace

import pytest

from shakegpt.config import SamplingConfig
from shakegpt.tui.generation.knobs import (
    KNOBS,
    KNOBS_BY_FIELD,
    SAMPLING_PRESETS,
    SPEEDS,
    Knob,
    changed_settings,
    contrasting_preset,
    next_preset,
    next_speed,
    preset_of,
)
from shakegpt.tui.preferences import ENDLESS


@pytest.mark.parametrize(
    ("field", "start", "clicks", "expected"),
    [
        ("temperature", 0.8, 1, 0.85),
        ("temperature", 0.8, -1, 0.75),
        ("temperature", 0.83, 1, 0.85),
        ("temperature", 0.0, -1, 0.0),
        ("temperature", 2.0, 1, 2.0),
        ("top_k", None, -1, 50),
        ("top_k", 50, 1, None),
        ("top_k", None, 1, None),
        ("top_k", 1, -1, 1),
        ("top_k", 11, -1, 10),
        ("top_p", 1.0, -1, 0.98),
        ("top_p", 0.98, 1, 1.0),
        ("top_p", 0.01, -1, 0.01),
        ("min_p", 0.0, 1, 0.01),
        ("min_p", 0.0, -1, 0.0),
        ("seed", 1337, 1, 1338),
        ("seed", 0, -1, 0),
        ("seed", 2**31 - 1, 1, 2**31 - 1),
        ("length", 400, 1, 600),
        ("length", 400, -2, 200),
        ("length", 100_000, 1, ENDLESS),
        ("length", ENDLESS, 1, ENDLESS),
        ("length", ENDLESS, -1, 100_000),
        ("length", 1, -1, 1),
    ],
)
def test_a_click_goes_to_the_next_value_and_stops_at_the_end(
    field: str, start: float | None, clicks: int, expected: float | None
) -> None:
    settings = replace(SamplingConfig(), **{field: start})
    turned = KNOBS_BY_FIELD[field].turned(settings, clicks)
    assert getattr(turned, field) == expected
    assert turned == replace(settings, **{field: expected}), "the other knobs stay"


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.field)
def test_each_knob_has_two_keys_of_its_own(knob: Knob) -> None:
    keys = [key for other in KNOBS for key in (other.down_key, other.up_key)]
    assert keys.count(knob.down_key) == keys.count(knob.up_key) == 1
    assert not knob.down_key.isalpha() or knob.down_key.upper() == knob.up_key


@pytest.mark.parametrize("knob", [knob for knob in KNOBS if knob.steps], ids=lambda knob: knob.field)
def test_a_slider_goes_from_end_to_end(knob: Knob) -> None:
    settings = SamplingConfig()
    lowest, highest = knob.at(settings, 0.0), knob.at(settings, 1.0)
    assert (knob.fraction(lowest), knob.fraction(highest)) == (0.0, 1.0)
    assert knob.turned(lowest, -1) == lowest
    assert knob.turned(highest, 1) == highest
    assert knob.at(settings, knob.fraction(lowest) or 0.0) == lowest


def test_a_seed_has_no_slider() -> None:
    assert KNOBS_BY_FIELD["seed"].fraction(SamplingConfig()) is None
    assert KNOBS_BY_FIELD["seed"].at(SamplingConfig(), 0.5) == SamplingConfig()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (SamplingConfig(temperature=1.3, min_p=0.02), "wild"),
        (SamplingConfig(temperature=0.33, top_k=7), "temp 0.33 top-k 7"),
    ],
)
def test_settings_are_told_apart_in_words(settings: SamplingConfig, words: str) -> None:
    assert changed_settings(settings) == words


def test_the_second_text_of_a_duel_differs_from_the_first() -> None:
    for name, values in SAMPLING_PRESETS.items():
        assert contrasting_preset(replace(SamplingConfig(), **values)) != name


@pytest.mark.parametrize("clicks", [1, -1])
@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.field)
def test_every_value_on_the_way_is_one_that_the_engine_takes(knob: Knob, clicks: int) -> None:
    settings = SamplingConfig()
    for _ in range(60):
        settings = knob.turned(settings, clicks)
        assert knob.show(settings)


@pytest.mark.parametrize("name", SAMPLING_PRESETS)
def test_a_preset_is_known_by_its_settings(name: str) -> None:
    settings = replace(SamplingConfig(seed=7, length=99), **SAMPLING_PRESETS[name])
    assert preset_of(settings) == name
    assert preset_of(replace(settings, temperature=1.99)) is None


def test_presets_follow_each_other_in_a_circle() -> None:
    settings, names = SamplingConfig(temperature=0.33), []
    for _ in range(5):
        name = next_preset(settings)
        settings = replace(settings, **SAMPLING_PRESETS[name])
        names.append(name)
    assert names == ["balanced", "wild", "greedy", "careful", "balanced"]
    assert next_preset(settings, -1) == "careful"


def test_speeds_follow_each_other_in_a_circle() -> None:
    speeds = [40]
    for _ in SPEEDS:
        speeds.append(next_speed(speeds[-1]))
    assert speeds == [40, 0, 10, 40]
    assert next_speed(100) == 40, "a speed of an earlier version's file"
