"""A snapshot accumulates a run's events, is frozen, and is right after going back."""

import math
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, replace
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.events import (
    Evaluation,
    Event,
    Failed,
    Finished,
    Inspection,
    Outcome,
    Sample,
    Saved,
    Started,
    Step,
    Warning,
)
from shakegpt.runs.snapshot import ENDED, Curve, Point, Snapshot, advance, replay


def started(step: int = 0, *, steps: int = 100) -> Started:
    return Started(
        step=step, run="macbeth", steps=steps, parameters=1, vocab_size=2, corpus="demo", device="cpu",
        precision="fp32", reason="", threads=1, batch_size=4, block_size=8, preset="nano",
    )  # fmt: skip


def stepped(step: int, loss: float = 2.0, *, tokens_per_second: float = 64.0) -> Step:
    return Step(
        step=step, loss=loss, perplexity=math.exp(loss), learning_rate=1e-3, grad_norm=1.0,
        tokens_per_second=tokens_per_second, seconds=step * 0.5, tokens=step * 32,
    )  # fmt: skip


def evaluated(step: int, val_loss: float, *, best: bool) -> Evaluation:
    return Evaluation(
        step=step, train_loss=2.0, val_loss=val_loss, perplexity=math.exp(val_loss), bits_per_character=1.0, best=best,
        seconds=1.0, tokens=32,
    )  # fmt: skip


def steps_of(curve: Curve) -> list[int]:
    return [point.step for point in curve.points()]


def test_before_anything_happens_the_run_is_loading() -> None:
    snapshot = Snapshot()
    assert (snapshot.state, snapshot.current_step, snapshot.steps, snapshot.seconds_left) == ("loading", 0, 0, None)
    assert len(snapshot.train) == 0


def test_a_snapshot_accumulates_events() -> None:
    events: list[Event] = [
        started(), stepped(1, 3.0), stepped(2, 2.5), evaluated(2, 2.4, best=True), Sample(step=2, prompt="", text="O"),
        Saved(step=2, path="p", best=True, val_loss=2.4), stepped(3, 2.2),
    ]  # fmt: skip
    snapshot = replay(events)
    assert (snapshot.state, snapshot.current_step, snapshot.steps) == ("training", 3, 100)
    assert snapshot.train.points() == [
        Point(1, 0.5, 32, 3.0, 1e-3), Point(2, 1.0, 64, 2.5, 1e-3), Point(3, 1.5, 96, 2.2, 1e-3),
    ]  # fmt: skip
    assert steps_of(snapshot.validation) == [2]
    assert [sample.text for sample in snapshot.samples] == ["O"]
    assert snapshot.best is snapshot.evaluation
    assert snapshot.saved is not None
    assert snapshot.seconds_left == pytest.approx(97 * 32 / 64)


def test_a_snapshot_never_changes() -> None:
    early = replay([started(), stepped(1)])
    late = advance(advance(early, stepped(2)), stepped(3))
    assert steps_of(early.train) == [1]
    assert steps_of(late.train) == [1, 2, 3]
    with pytest.raises(FrozenInstanceError):
        early.state = "failed"  # type: ignore[misc]


def test_the_best_evaluation_stays_when_a_worse_one_comes() -> None:
    snapshot = replay([started(), evaluated(1, 2.0, best=True), evaluated(2, 2.5, best=False)])
    assert snapshot.best is not None
    assert snapshot.evaluation is not None
    assert (snapshot.best.step, snapshot.evaluation.step) == (1, 2)


def test_resuming_drops_the_steps_after_the_checkpoint() -> None:
    events: Sequence[Event] = [
        started(), *(stepped(step) for step in range(1, 6)), evaluated(4, 2.0, best=True),
        Sample(step=4, prompt="", text="old"), Failed(step=5, message="cut"), started(3),
    ]  # fmt: skip
    snapshot = replay(events)
    assert snapshot.state == "training"
    assert snapshot.message == ""
    assert steps_of(snapshot.train) == [1, 2, 3]
    assert steps_of(snapshot.validation) == []
    assert snapshot.samples == ()
    assert steps_of(advance(snapshot, stepped(4)).train) == [1, 2, 3, 4]


def test_resuming_drops_what_is_known_of_later_weights() -> None:
    early, late = evaluated(2, 2.5, best=True), evaluated(4, 2.0, best=True)
    saved = [Saved(step=step, path="p", best=True, val_loss=None) for step in (2, 4)]
    events: Sequence[Event] = [started(), early, saved[0], late, saved[1]]
    snapshot = replay([*events, started(3)])
    assert (snapshot.evaluation, snapshot.best, snapshot.saved) == (None, None, None)
    snapshot = replay([*events, started(4)])
    assert (snapshot.evaluation, snapshot.best, snapshot.saved) == (late, late, saved[1])


def test_rolling_back_repeats_steps_once() -> None:
    snapshot = replay([started(), stepped(1), stepped(2, 9.0), stepped(2, 2.0), stepped(3)])
    assert [(point.step, point.loss) for point in snapshot.train.points()] == [(1, 2.0), (2, 2.0), (3, 2.0)]


def test_many_events_at_once_are_as_one_after_the_other() -> None:
    events: Sequence[Event] = [
        started(), stepped(1), stepped(2, 9.0), evaluated(2, 2.0, best=True), stepped(2, 2.0), stepped(3),
        started(1), stepped(2), stepped(3),
    ]  # fmt: skip
    for end in range(len(events) + 1):
        one_by_one = reduce(advance, events[:end], Snapshot())
        at_once = replay(events[1:end], replay(events[: min(end, 1)]))
        curves = [(snapshot.train.points(), snapshot.validation.points()) for snapshot in (one_by_one, at_once)]
        assert curves[0] == curves[1]
        assert (one_by_one.state, one_by_one.best, one_by_one.step) == (at_once.state, at_once.best, at_once.step)


def test_a_save_that_works_clears_a_warning_about_saving_and_no_other() -> None:
    saved = Saved(step=1, path="p", best=False, val_loss=None)
    for kind, left in (("save", None), ("memory", "memory")):
        snapshot = advance(replay([started(), Warning(step=1, kind=kind, message="!")]), saved)  # type: ignore[arg-type]
        assert (snapshot.warning.kind if snapshot.warning else None) == left


@pytest.mark.parametrize("outcome", ["finished", "stopped"])
def test_a_finished_event_sets_the_state(outcome: Outcome) -> None:
    end = Finished(step=1, outcome=outcome, best_val_loss=None, best_step=None, seconds=1.0)
    assert replay([started(), stepped(1), end]).state == outcome
    assert outcome in ENDED


def test_a_failed_run_says_why() -> None:
    snapshot = replay([started(), Failed(step=1, message="The GPU left.")])
    assert (snapshot.state, snapshot.message) == ("failed", "The GPU left.")


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_no_speed_means_no_time_left(speed: float) -> None:
    assert replay([started(), stepped(1, tokens_per_second=speed)]).seconds_left is None


@pytest.mark.parametrize(
    ("events", "step"),
    [
        ([], 25),
        ([stepped(24)], 25),
        ([stepped(25)], 25),  # under way
        ([stepped(25), evaluated(25, 2.0, best=True)], 50),
        ([stepped(76)], 90),
        ([stepped(90)], 90),
        ([stepped(90), evaluated(90, 2.0, best=True)], None),
        ([stepped(3), Failed(step=3, message="cut")], None),
    ],
)
def test_the_next_evaluation_is_at_a_multiple_of_the_interval_or_at_the_end(
    events: list[Event], step: int | None
) -> None:
    assert replay([replace(started(steps=90), eval_every=25), *events]).next_evaluation == step


def test_the_log_of_an_earlier_version_does_not_say_when_the_next_evaluation_is() -> None:
    snapshot = replay([started(), stepped(1)])
    assert (snapshot.next_evaluation, snapshot.seconds_until(11)) == (None, pytest.approx(10 * 32 / 64))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40))
def test_a_curve_that_branches_is_as_if_it_were_copied(moves: list[tuple[int, bool]]) -> None:
    """Whichever earlier curve is continued, each keeps exactly its own points."""
    curves, expected = [Curve()], [[]]
    for number, (back, cut) in enumerate(moves):
        curve, points = curves[-1 - back % len(curves)], expected[-1 - back % len(expected)]
        if cut:
            curves.append(curve.until(number // 2))
            expected.append([point for point in points if point.step <= number // 2])
        else:
            point = Point(number, 0.0, 0, 1.0)
            curves.append(curve.plus(point))
            expected.append([*points, point])
        assert [curve.points() for curve in curves] == expected


def test_a_curve_is_indexed_like_a_list() -> None:
    curve = Curve(Point(step, 0.0, 0, 1.0) for step in range(4))
    assert (len(curve), curve[0].step, curve[-1].step, curve[3].step) == (4, 0, 3, 3)
    assert [point.step for point in curve.points(2)] == [2, 3]
    for index in (4, -5):
        with pytest.raises(IndexError):
            curve[index]


def test_what_the_heads_did_goes_back_with_the_run() -> None:
    seen = [Inspection(step=step, previous_character=((step / 10,),), characters=8) for step in (2, 4, 6)]
    snapshot = replay([started(), *seen])
    assert snapshot.inspections == tuple(seen)
    assert replay([started(4), seen[2]], snapshot).inspections == tuple(seen)
    assert snapshot.until(4).inspections == tuple(seen[:2])
