"""Every filter against a definition that needs no array."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.config import SamplingConfig
from shakegpt.generation.filters import (
    Logits,
    apply_filters,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
    scale_by_temperature,
    softmax,
)

# Quarters are exact in fp32 and often equal: ties are where filters go wrong.
logits_lists = st.lists(st.integers(-40, 40).map(lambda quarter: quarter / 4), min_size=1, max_size=12)
shares = st.floats(0.0, 1.0, exclude_min=True)


def exact_softmax(logits: list[float]) -> list[float]:
    largest = max(logits)
    exponentials = [math.exp(logit - largest) for logit in logits]
    return [exponential / math.fsum(exponentials) for exponential in exponentials]


def kept(logits: Logits) -> list[int]:
    return [index for index, logit in enumerate(logits.tolist()) if logit > -math.inf]


def likeliest_first(logits: list[float]) -> list[int]:
    return sorted(range(len(logits)), key=lambda index: (-logits[index], index))


@given(logits_lists, st.one_of(st.none(), st.integers(1, 15)))
def test_top_k_keeps_the_k_likeliest(logits: list[float], k: int | None) -> None:
    result = keep_top_k(np.array(logits), k)
    expected = sorted(likeliest_first(logits)[:k])
    assert kept(result) == expected
    assert [float(result[index]) for index in expected] == [logits[index] for index in expected]


@given(logits_lists, shares)
def test_top_p_keeps_the_smallest_set_that_reaches_p(logits: list[float], p: float) -> None:
    order, chances = likeliest_first(logits), exact_softmax(logits)
    result = kept(keep_top_p(np.array(logits), p))
    size = len(result)
    assert result == sorted(order[:size])  # a set of the likeliest, of equals those with the lower ids
    assert size >= 1
    reached = math.fsum(chances[index] for index in order[:size])
    one_less = math.fsum(chances[index] for index in order[: size - 1])
    assert reached >= p - 1e-12
    assert one_less < p + 1e-12 or size == 1
    if p == 1:
        assert size == len(logits)


@given(logits_lists, st.floats(0.0, 1.0))
def test_min_p_cuts_below_a_share_of_the_likeliest(logits: list[float], p: float) -> None:
    result = kept(keep_min_p(np.array(logits), p))
    chances = exact_softmax(logits)
    bar = p * max(chances)
    assert [index for index in result if chances[index] < bar * (1 - 1e-5)] == []
    assert [index for index in range(len(logits)) if index not in result and chances[index] > bar * (1 + 1e-5)] == []
    assert logits.index(max(logits)) in result


@given(logits_lists, st.floats(0.01, 50.0))
def test_temperature_divides_up_to_a_constant(logits: list[float], temperature: float) -> None:
    result = scale_by_temperature(np.array(logits), temperature)
    expected = exact_softmax([logit / temperature for logit in logits])
    assert softmax(result).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-9)


@given(logits_lists)
def test_temperature_zero_leaves_the_first_of_the_likeliest(logits: list[float]) -> None:
    assert kept(scale_by_temperature(np.array(logits), 0)) == [logits.index(max(logits))]


@given(logits_lists, st.data(), st.floats(0.1, 10.0))
def test_the_repetition_penalty_changes_only_what_was_seen(
    logits: list[float], data: st.DataObject, penalty: float
) -> None:
    seen = data.draw(st.lists(st.booleans(), min_size=len(logits), max_size=len(logits)))
    result = penalise_repetition(np.array(logits), np.array(seen), penalty).tolist()
    for was, now, hit in zip(logits, result, seen, strict=True):
        expected = (was / penalty if was > 0 else was * penalty) if hit else was
        assert now == pytest.approx(expected, rel=1e-6)


@given(logits_lists, shares, st.integers(1, 5))
def test_rows_are_filtered_one_by_one(logits: list[float], p: float, k: int) -> None:
    rows = np.array([logits, logits[::-1], [0.0] * len(logits)])
    for cut in (
        lambda x: keep_top_p(x, p),
        lambda x: keep_top_k(x, k),
        lambda x: keep_min_p(x, p),
        lambda x: scale_by_temperature(x, p),
    ):
        assert np.array_equal(cut(rows), np.stack([cut(row) for row in rows]))


@given(
    logits_lists,
    st.builds(
        SamplingConfig,
        # The last bits of the range too: what a knob or a script can say must not end in nothing.
        temperature=st.one_of(st.sampled_from([0.0, 1e-46, 1e-300, 1e300]), st.floats(0.0, 4.0)),
        top_k=st.one_of(st.none(), st.integers(1, 15)),
        top_p=shares,
        min_p=st.floats(0.0, 1.0),
        repetition_penalty=st.one_of(st.sampled_from([1e-300, 1e300]), st.floats(0.1, 10.0)),
    ),
    st.data(),
)
def test_some_character_is_left_under_any_settings(
    logits: list[float], settings: SamplingConfig, data: st.DataObject
) -> None:
    seen = np.array(data.draw(st.lists(st.booleans(), min_size=len(logits), max_size=len(logits))))
    before, after = apply_filters(np.array(logits), settings, seen)
    assert not np.isnan(before).any()
    assert softmax(after).sum() == pytest.approx(1)
    if settings.temperature == 0:
        assert len(kept(after)) == 1


def test_the_filters_are_applied_in_order() -> None:
    """Each neighbour swapped would leave other characters."""
    logits = np.array([4.0, 3.5, 3.0, 1.0, 0.0])
    seen = np.array([True, False, False, False, False])
    settings = SamplingConfig(temperature=2.0, repetition_penalty=4.0, top_k=3, top_p=0.75)
    before, after = apply_filters(logits, settings, seen)
    # Penalty, then temperature: 4 / 4 / 2 = 0.5. The other way round, the logits would be shifted below 0 first.
    assert exact_softmax(before.tolist()) == pytest.approx(exact_softmax([0.5, 1.75, 1.5, 0.5, 0.0]))
    # Top-k leaves shares of 0.48, 0.38 and 0.14, of which top-p takes two; without top-k it would have taken three.
    assert kept(after) == [1, 2]
    assert kept(apply_filters(logits, replace(settings, top_k=None), seen)[1]) == [0, 1, 2]
    # Top-p takes two, and min-p leaves both. Min-p first would have left two, of which top-p takes one.
    assert kept(apply_filters(logits, replace(settings, top_k=None, top_p=0.5, min_p=0.5), seen)[1]) == [1, 2]


def test_greedy_choice_leaves_the_uncut_logits_as_they_were() -> None:
    logits = np.array([1.0, 2.0])
    before, after = apply_filters(logits, SamplingConfig(temperature=0), np.array([False, False]))
    assert before.tolist() == [1.0, 2.0]
    assert kept(after) == [1]


def test_filters_leave_their_input_alone() -> None:
    logits = np.array([1.0, 2.0, 3.0])
    copy = logits.copy()
    apply_filters(
        logits,
        SamplingConfig(temperature=0.5, top_k=2, top_p=0.5, min_p=0.5, repetition_penalty=2.0),
        np.array([True, True, False]),
    )
    assert np.array_equal(logits, copy)
