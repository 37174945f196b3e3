"""Runs beside each other: groups that differ but for the seed, the verdict, and the time to a loss."""

from collections.abc import Sequence

import pytest

from shakegpt.config import PRESETS
from shakegpt.events import Evaluation, Event, Finished, Sample, Step
from shakegpt.runs.comparison import compare
from shakegpt.runs.run import Run, RunMetadata
from shakegpt.runs.store import Store


def put_run(store: Store, name: str, rate: float, seed: int, losses: Sequence[float], *, finished: bool = True) -> Run:
    """A run that was evaluated after every ten steps, of a second and a hundred characters each."""
    run = store.create(
        RunMetadata(
            preset="nano",
            model=PRESETS["nano"].model_config(65),
            training=PRESETS["nano"].training_config(learning_rate=rate, seed=seed),
            corpus="demo",
            corpus_sha256="0" * 64,
            created="2026-11-01T20:00:00+00:00",
            versions={},
        ),
        name,
    )
    best = min(losses)
    events: list[Event] = []
    for number, loss in enumerate(losses, start=1):
        step, figures = 10 * number, {"perplexity": 1.0, "seconds": 10.0 * number, "tokens": 1_000 * number}
        events += [
            Step(step=step, loss=loss, learning_rate=rate, grad_norm=1.0, tokens_per_second=100.0, **figures),  # type: ignore[arg-type]
            Evaluation(
                step=step, train_loss=loss, val_loss=loss, bits_per_character=1.0, best=loss == best, **figures  # type: ignore[arg-type]
            ),
            Sample(step=step, prompt="\n", text=f"{name} at {step}"),
        ]  # fmt: skip
    if finished:
        events.append(Finished(step=events[-1].step, outcome="finished", best_val_loss=best, best_step=1, seconds=1.0))
    for event in events:
        run.log.append(event)
    return run


@pytest.fixture
def store(private_surroundings) -> Store:  # type: ignore[no-untyped-def]
    return Store(private_surroundings)


def test_runs_that_differ_only_in_their_seed_are_one_group_and_a_clear_difference_is_found(store: Store) -> None:
    runs = [
        put_run(store, "a-01", 1e-3, 1, [2.0, 1.80]),
        put_run(store, "a-02", 1e-3, 2, [2.0, 1.81]),
        put_run(store, "a-03", 3e-3, 1, [1.9, 1.60]),
        put_run(store, "a-04", 3e-3, 2, [1.9, 1.61]),
    ]
    comparison = compare(runs)
    assert [(group.settings["learning_rate"], [run.seed for run in group.runs]) for group in comparison.groups] == [
        (3e-3, [1, 2]),
        (1e-3, [1, 2]),
    ]
    assert comparison.groups[0].mean == pytest.approx(1.605)
    assert comparison.groups[0].spread == pytest.approx(0.00707, rel=1e-3)
    (contrast,) = comparison.contrasts
    assert (contrast.difference, contrast.verdict) == (pytest.approx(0.2), "better")
    assert comparison.verdict == "learning_rate 0.003 is best, beyond seeds."
    assert comparison.target == 1.81  # which all have reached
    assert [run.reached(1.81).tokens for run in comparison.runs] == [2_000] * 4  # type: ignore[union-attr]
    assert [run.reached(1.5) for run in comparison.runs] == [None] * 4
    assert comparison.common_seed == 1
    assert comparison.runs[0].sample == "\na-03 at 20"


def test_a_difference_within_the_spread_over_seeds_is_none(store: Store) -> None:
    runs = [
        put_run(store, f"b-0{number}", rate, seed, [loss])
        for number, (rate, seed, loss) in enumerate(
            [(1e-3, 1, 1.60), (1e-3, 2, 1.62), (2e-3, 1, 1.61), (2e-3, 2, 1.64)], start=1
        )
    ]
    assert compare(runs).verdict == "No difference beyond seeds."


def test_one_seed_each_cannot_tell(store: Store) -> None:
    runs = [put_run(store, "c-01", 1e-3, 1, [1.8]), put_run(store, "c-02", 3e-3, 1, [1.6])]
    comparison = compare(runs)
    assert comparison.contrasts[0].p_value is None
    assert comparison.verdict.startswith("Cannot tell")


def test_a_seed_that_was_run_twice_is_one_draw(store: Store) -> None:
    runs = [
        put_run(store, "d-01", 1e-3, 1, [1.8]),
        put_run(store, "d-02", 1e-3, 1, [1.8]),
        put_run(store, "d-03", 3e-3, 1, [1.6]),
    ]
    assert compare(runs).verdict.startswith("Cannot tell")


def test_a_run_that_was_cut_does_not_count_beside_finished_ones(store: Store) -> None:
    runs = [
        put_run(store, "e-01", 1e-3, 1, [1.8]),
        put_run(store, "e-02", 1e-3, 2, [3.0], finished=False),
        put_run(store, "e-03", 3e-3, 1, [1.6]),
    ]
    comparison = compare(runs)
    assert [group.losses for group in comparison.groups] == [[1.6], [1.8]]
    assert [run.name for run in comparison.unfinished] == ["e-02"]


def test_a_loss_that_not_all_reached_is_no_target_unless_asked_for(store: Store) -> None:
    empty = put_run(store, "f-02", 3e-3, 1, [1.6], finished=False)
    empty.metrics_path.unlink()
    comparison = compare([put_run(store, "f-01", 1e-3, 1, [1.8]), empty])
    assert comparison.target is None
    assert compare([empty], target=1.7).target == 1.7
