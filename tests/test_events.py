"""Events survive the log: what is written as JSON is read back as it was, whatever version wrote it."""

import json
import math

import pytest

from shakegpt.events import (
    EVENTS,
    Evaluation,
    Event,
    Failed,
    Finished,
    Inspection,
    Sample,
    Saved,
    Started,
    Step,
    Warning,
    bits_per_character,
    event_from_json,
    perplexity,
)

STEP = Step(
    step=3, loss=2.0, perplexity=7.389, learning_rate=1e-3, grad_norm=0.5, tokens_per_second=1e4, seconds=1.5, tokens=99
)
ONE_OF_EACH: list[Event] = [
    Started(
        step=0, run="macbeth", steps=10, parameters=5, vocab_size=2, corpus="demo", device="cpu", precision="fp32",
        reason="no GPU", threads=2, batch_size=4, block_size=8, preset="nano",
    ),
    STEP,
    Evaluation(
        step=3, train_loss=2.1, val_loss=2.0, perplexity=7.4, bits_per_character=2.9, best=True, seconds=2.0, tokens=99
    ),
    Inspection(step=3, previous_character=((0.25, 0.95), (0.1, 0.0)), characters=512),
    Sample(step=3, prompt="\n", text='“Ay,” said he:\n\t\x1b[31m "no"'),
    Saved(step=3, path="runs/macbeth/checkpoints/step-00000003", best=False, val_loss=None),
    Warning(step=3, kind="save", message="The disk is full."),
    Finished(step=3, outcome="stopped", best_val_loss=2.0, best_step=3, seconds=2.5),
    Failed(step=3, message="Memory does not suffice."),
]  # fmt: skip


def test_the_list_above_has_one_of_each() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(EVENTS.values())
    assert sorted(EVENTS) == sorted(
        ["started", "step", "evaluation", "inspection", "sample", "saved", "warning", "finished", "failed"]
    )


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.event)
def test_an_event_reads_back_as_it_was(event: Event) -> None:
    line = json.dumps(event.to_json())
    assert "\n" not in line
    assert event_from_json(json.loads(line)) == event


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("step", {"step", "loss", "perplexity", "learning_rate", "grad_norm", "tokens_per_second"}),
        ("evaluation", {"step", "train_loss", "val_loss", "perplexity"}),
        ("saved", {"step", "path", "best"}),
    ],
)
def test_the_fields_that_other_programs_rely_on_are_there(kind: str, fields: set[str]) -> None:
    event = next(event for event in ONE_OF_EACH if event.event == kind)
    assert {"event", *fields} <= set(event.to_json())


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_becomes_null_and_reads_as_nan(loss: float) -> None:
    values = Step(**{**STEP.__dict__, "loss": loss}).to_json()
    assert values["loss"] is None
    json.dumps(values, allow_nan=False)
    back = event_from_json(values)
    assert isinstance(back, Step)
    assert math.isnan(back.loss)
    assert back.grad_norm == STEP.grad_norm


def test_fields_of_a_later_version_are_ignored() -> None:
    assert event_from_json(STEP.to_json() | {"moon": "full"}) == STEP


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"event": "eclipse", "step": 3},
        {"event": ["step"], "step": 3},
        {"event": "sample", "step": 3, "prompt": "\n"},  # a field is missing
        {"event": "sample", "step": "three", "prompt": "\n", "text": ""},
        {"event": "sample", "step": 3, "prompt": "\n", "text": 5},
        {"event": "warning", "step": 3, "kind": "eclipse", "message": ""},
        {"event": "finished", "step": 3, "outcome": "exploded", "best_val_loss": 1, "best_step": 1, "seconds": 1},
    ],
)
def test_an_unknown_or_invalid_event_reads_as_none(values: dict[str, object]) -> None:
    assert event_from_json(values) is None


def test_perplexity_and_bits() -> None:
    assert perplexity(math.log(65)) == pytest.approx(65)
    assert perplexity(1e6) == math.inf
    assert math.isnan(perplexity(math.nan))
    assert bits_per_character(math.log(2)) == pytest.approx(1)
