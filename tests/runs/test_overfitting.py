"""A run overfits where validation rises three times in a row while training falls, and not otherwise."""

import math
from collections.abc import Sequence

import pytest

from shakegpt.runs.overfitting import overfitting
from shakegpt.runs.snapshot import Snapshot, replay
from tests.runs.test_snapshot import evaluated, started, stepped


def run_with(training: Sequence[float], validation: Sequence[float]) -> Snapshot:
    """Return a run with ten steps of each training loss before each evaluation."""
    events = [started()]
    for number, (train, val) in enumerate(zip(training, validation, strict=True)):
        events += [stepped(10 * number + step, train) for step in range(1, 11)]
        events.append(evaluated(10 * (number + 1), val, best=val == min(validation[: number + 1])))
    return replay(events)


@pytest.mark.parametrize(
    ("training", "validation", "expected"),
    [
        ([2.0, 1.8, 1.6, 1.4, 1.2], [1.9, 1.7, 1.75, 1.8, 1.9], True),
        ([2.0, 1.8, 1.6, 1.4], [1.7, 1.75, 1.8, 1.9], True),
        ([1.8, 1.6, 1.4], [1.75, 1.8, 1.9], False),
        ([2.0, 1.8, 1.6, 1.4, 1.2], [1.9, 1.7, 1.75, 1.75, 1.9], False),
        ([2.0, 1.8, 1.6, 1.4, 1.2], [1.9, 1.7, 1.75, 1.8, 1.7], False),
        ([2.0, 1.8, 1.8, 1.9, 1.9], [1.9, 1.7, 1.75, 1.8, 1.9], False),
        ([2.0, 1.8, 1.6, 1.4, 1.2], [1.9, 1.7, 1.75, math.nan, 1.9], False),
    ],
    ids=["since the second", "from the start", "two", "level", "falls again", "training rises", "not finite"],
)
def test_what_overfits(training: list[float], validation: list[float], expected: bool) -> None:
    assert (overfitting(run_with(training, validation)) is not None) == expected


def test_the_sentence_has_the_figures_of_the_run() -> None:
    found = overfitting(run_with([2.0, 1.8, 1.6, 1.4, 1.2], [1.9, 1.7, 1.75, 1.8, 1.9]))
    assert found is not None
    assert found.sentence == (
        "Overfitting: since step 20 the validation loss has risen from 1.700 to 1.900, while the training loss fell "
        "from 1.800 to 1.200. The model learns its text by heart. The best weights so far are those of step 20."
    )
