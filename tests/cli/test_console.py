"""Events in words, for people, logs and pipes."""

from dataclasses import replace

import pytest

from shakegpt.cli.console import PlainConsole, describe, format_duration
from shakegpt.events import Evaluation, Event, Failed, Finished, Inspection, Sample, Saved, Started, Step, Warning
from shakegpt.runs.snapshot import advance, replay
from tests.runs.test_overfitting import run_with
from tests.runs.test_snapshot import evaluated

STARTED = Started(
    step=0, run="macbeth", steps=100, parameters=1_000_000, vocab_size=65, corpus="demo", device="CPU",
    precision="fp32", reason="no GPU was found", threads=2, batch_size=4, block_size=8, preset="nano",
)  # fmt: skip
STEP = Step(
    step=10,
    loss=2.0,
    perplexity=7.39,
    learning_rate=1e-3,
    grad_norm=1.0,
    tokens_per_second=16.0,
    seconds=5.0,
    tokens=320,
)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (5.4, "0:05"), (125, "2:05"), (3725, "1:02:05"), (59.6, "1:00")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("event", "parts"),
    [
        (STARTED, ["macbeth: nano", "1,000,000 weights on demo", "100 steps of 4 x 8", "CPU, fp32 (no GPU was found)"]),
        (replace(STARTED, steps=9_000), ["9,000 steps"]),
        (replace(STARTED, resumed_from="lear@5"), ["resumed from lear@5"]),
        (STEP, ["step 10 / 100", "train loss 2.0000", "rate 1.0e-03", "16 characters/s", "3:00 left"]),
        (
            Evaluation(
                step=10, train_loss=2.1, val_loss=2.0, perplexity=7.39, bits_per_character=2.885, best=True,
                seconds=1.0, tokens=1,
            ),
            ["train loss 2.1000", "validation loss 2.0000", "perplexity 7.39", "best so far"],
        ),
        (
            Evaluation(
                step=10, train_loss=2.1, val_loss=2.0, perplexity=7.39, bits_per_character=2.885, best=True,
                seconds=1.0, tokens=1, windows=2048, all_windows=40_690,
            ),
            ["validation loss 2.0000", "over 2,048 of 40,690 windows", "best so far"],
        ),
        (Saved(step=10, path="runs/x", best=False, val_loss=None), ["saved runs/x"]),
        (Warning(step=10, kind="save", message="The disk is full."), ["warning: The disk is full."]),
        (Failed(step=10, message="Memory does not suffice."), ["shakegpt: Memory does not suffice."]),
    ],
    ids=lambda value: getattr(value, "event", None),
)  # fmt: skip
def test_an_event_is_one_line(event: Event, parts: list[str]) -> None:
    line = describe(event, replay([STARTED, STEP]))
    assert "\n" not in line
    assert [part for part in parts if part not in line] == []


def test_why_a_run_trains_on_its_text_stands_on_a_line_before_it() -> None:
    started = describe(replace(STARTED, corpus_note="Why this one."), replay([]))
    assert started.split("\n")[0] == "Why this one."
    assert started.split("\n")[1].startswith("macbeth: nano")


def test_a_sample_is_indented_and_escaped() -> None:
    sample = Sample(step=1, prompt="\n", text="ROMEO:\n\x1b[31mO\u202e!")
    assert describe(sample, replay([])) == "    ROMEO:\n    \\x1b[31mO\\u202e!"


def test_overfitting_is_said_once_and_again_after_it_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    console, snapshot = PlainConsole(50), run_with([2.0, 1.8, 1.6], [1.7, 1.75, 1.8])
    said = []
    for number, loss in enumerate([1.9, 2.0, 1.95, 1.96, 1.97, 1.98], 4):
        train = replace(STEP, step=10 * number, loss=1.5 - number / 100)
        evaluation = evaluated(10 * number, loss, best=False)
        snapshot = advance(advance(snapshot, train), evaluation)
        console.show(evaluation, snapshot)
        said.append("Overfitting: since step" in capsys.readouterr().err)
    assert said == [True, False, False, False, False, True]


def test_overfitting_is_said_at_the_end_too(capsys: pytest.CaptureFixture[str]) -> None:
    end = Finished(outcome="finished", step=40, seconds=60.0, best_val_loss=1.7, best_step=10)
    PlainConsole(50).show(end, advance(run_with([2.0, 1.8, 1.6, 1.4], [1.7, 1.75, 1.8, 1.9]), end))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Overfitting: from step 10 on the validation loss rose")
    assert len(lines) == 2


def test_what_the_heads_do_is_no_line_of_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    event = Inspection(step=50, previous_character=((0.5,),), characters=8)
    PlainConsole(50).show(event, replay([STARTED, event]))
    assert capsys.readouterr() == ("", "")
