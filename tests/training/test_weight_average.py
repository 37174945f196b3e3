"""The moving average of the weights: a plain loop's, measured beside the weights, saved and resumed to the byte."""

import json
import math
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from shakegpt.data.corpus import Corpus
from shakegpt.errors import CheckpointError
from shakegpt.evaluation.loss import Loss, evaluate
from shakegpt.events import Evaluation, Event, Saved, Step
from shakegpt.runs.checkpoint import Checkpoint, read_checkpoint
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.runs.tensor_file import read_header
from shakegpt.training.setup import TrainingRequest, build_trainer
from tests.training.test_setup import cut_after
from tests.training.test_step import Setup

TrainNano = Callable[..., tuple[Run, list[Event]]]
STEPS = {"steps": 8, "eval_every": 2, "save_every": 1, "keep": 20, "save_seconds": 0.0, "dropout": 0.1}
ROUGH = {"learning_rate": 0.01, "min_learning_rate": 0.01, "warmup": 0}
"""A rate so high that the average does better than the weights at some evaluations."""


def files_of(checkpoint: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in checkpoint.iterdir() if path.suffix == ".safetensors"}


def tensors_of(checkpoint: Checkpoint, prefix: str) -> dict[str, torch.Tensor]:
    saved = checkpoint.read_training_state().tensors
    return {name.removeprefix(prefix): tensor for name, tensor in saved.items() if name.startswith(prefix)}


def equal(some: object, others: object) -> bool:
    assert isinstance(some, dict)
    assert isinstance(others, dict)
    return some.keys() == others.keys() and all(torch.equal(tensor, others[name]) for name, tensor in some.items())


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_it_is_that_of_a_plain_loop(demo: Corpus, decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    setup, taken = Setup(demo, ema=decay), 0
    assert setup.optimizer.average is not None
    expected = setup.parameters.weights.double().numpy().copy()
    for step in range(1, 21):
        with monkeypatch.context() as spoil:
            if step == 7:
                spoil.setattr(functional, "cross_entropy", lambda logits, *_, **__: logits.sum() * math.nan)
            setup.take(step, 1)
        if step != 7:
            taken += 1
            kept = min(decay, (1 + taken) / (10 + taken))
            expected = kept * expected + (1 - kept) * setup.parameters.weights.double().numpy()
        np.testing.assert_allclose(setup.optimizer.average.vector.numpy(), expected, rtol=0, atol=1e-6)
    assert np.abs(setup.parameters.weights.numpy() - expected).max() > 1e-3


def test_the_training_is_the_same_with_one_and_without(demo: Corpus) -> None:
    with_one, without = Setup(demo, ema=0.9), Setup(demo)
    assert with_one.take(1, 10) == without.take(1, 10)
    assert torch.equal(with_one.parameters.weights, without.parameters.weights)


def test_using_it_gives_the_weights_back_whatever_happens(demo: Corpus) -> None:
    setup = Setup(demo, ema=0.9)
    setup.take(1, 5)
    average, weights = setup.optimizer.average, setup.parameters.weights.clone()
    assert average is not None
    with suppress(KeyboardInterrupt), average.in_use():
        assert torch.equal(setup.parameters.weights, average.vector)
        raise KeyboardInterrupt
    assert torch.equal(setup.parameters.weights, weights)
    assert not torch.equal(average.vector, weights)


def test_an_evaluation_measures_both_and_the_checkpoint_has_the_better(train_nano: TrainNano, demo: Corpus) -> None:
    run, events = train_nano(ema=0.5, **STEPS, **ROUGH)
    best, winners = math.inf, set()
    for event in events:
        if not isinstance(event, Evaluation):
            continue
        checkpoint = read_checkpoint(run.checkpoint_path(event.step))
        losses = {True: event.ema_val_loss, False: event.live_val_loss}
        assert event.val_loss == min(losses.values()) == losses[bool(event.ema)] == checkpoint.manifest.val_loss
        assert event.best == (event.val_loss < best)
        assert event.val_loss == pytest.approx(evaluate(checkpoint.model(), demo.validation).nats, rel=1e-6)
        average, live = tensors_of(checkpoint, "ema."), tensors_of(checkpoint, "weights.")
        assert checkpoint.manifest.ema == event.ema == equal(checkpoint.weights, average) == bool(live)
        best = min(best, event.val_loss)
        winners.add(event.ema)
        (saved,) = (other for other in events if isinstance(other, Saved) and other.step == event.step)
        assert (saved.ema, saved.val_loss) == (event.ema, event.val_loss)
    assert winners == {True, False}
    assert run.best().val_loss == run.snapshot().best.val_loss == best  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("live", "average", "wins"), [(2.0, 2.0, False), (math.nan, 2.0, True), (2.0, math.nan, False)]
)
def test_the_better_is_lower_and_finite(
    train_nano: TrainNano, monkeypatch: pytest.MonkeyPatch, live: float, average: float, wins: bool
) -> None:
    losses = iter([live, average])
    monkeypatch.setattr("shakegpt.training.trainer.evaluate", lambda *_, **__: Loss(nats=next(losses), characters=1))
    run, events = train_nano(steps=1, ema=0.5)
    (evaluation,) = (event for event in events if isinstance(event, Evaluation))
    assert (evaluation.val_loss, evaluation.ema, evaluation.best) == (2.0, wins, True)
    assert run.last().manifest.ema == wins  # type: ignore[union-attr]


def test_a_run_cut_after_any_checkpoint_ends_as_an_uncut_one(train_nano: TrainNano, store: Store) -> None:
    run, _ = train_nano(run_name="uncut", ema=0.5, **STEPS, **ROUGH)
    infos = run.checkpoints()
    assert {info.ema for info in infos if info.val_loss} == {True, False}
    for info in infos[1:-1]:
        cut = Run(store.runs_folder / f"cut-{info.step}")
        shutil.copytree(run.path, cut.path)
        cut_after(cut, info.step)
        list(build_trainer(store, TrainingRequest(resume=cut.name)))
        assert [other.manifest.files for other in cut.checkpoints()] == [other.manifest.files for other in infos]
        assert [other.ema for other in cut.checkpoints()] == [other.ema for other in infos]


def test_going_back_restores_it_and_beginning_again_restarts_it(train_nano: TrainNano, store: Store) -> None:
    run, _ = train_nano(run_name="lear", ema=0.5, **STEPS, **ROUGH)
    info = next(info for info in run.checkpoints() if info.ema)
    checkpoint = read_checkpoint(info.path)
    state = build_trainer(store, TrainingRequest(resume="lear@last", changes={"steps": 20})).state
    assert not equal(state.optimizer.averaged_weights(), tensors_of(checkpoint, "ema."))
    state.restore(checkpoint, checkpoint.read_training_state())
    assert (state.val_loss, state.average_is_better) == (info.val_loss, True)
    assert equal(state.optimizer.averaged_weights(), tensors_of(checkpoint, "ema."))
    assert equal(dict(state.model.state_dict()), tensors_of(checkpoint, "weights."))
    state.reset()
    assert not state.average_is_better
    assert equal(state.optimizer.averaged_weights(), dict(state.model.state_dict()))


def test_another_decay_is_a_fork_which_trains_on_with_its_own_weights(train_nano: TrainNano, store: Store) -> None:
    run, whole = train_nano(run_name="lear", ema=0.5, **STEPS, **ROUGH)
    info = next(info for info in run.checkpoints() if info.ema)
    fork, events = train_nano(resume=info.reference, ema=0.0)
    assert fork.name != "lear"
    assert fork.metadata.changes == {"ema": "0.5 -> 0.0"}
    losses = [event.loss for event in whole if isinstance(event, Step) and event.step > info.step]
    assert [event.loss for event in events if isinstance(event, Step)] == losses
    own = next(event for event in events if isinstance(event, Evaluation))
    there = next(event for event in whole if isinstance(event, Evaluation) and event.step == info.step)
    assert (own.step, own.val_loss, own.ema) == (info.step, there.live_val_loss, None)  # measured anew
    assert not any(other.ema for other in fork.checkpoints())

    averaged, _ = train_nano(resume=f"{fork.name}@{info.step + 1}", ema=0.9)
    begun = read_checkpoint(averaged.checkpoints()[0].path)
    assert equal(tensors_of(begun, "ema."), begun.weights)


def test_without_one_a_checkpoint_is_as_it_was_before_there_was_any(macbeth: Run) -> None:
    path = macbeth.last().path  # type: ignore[union-attr]
    manifest = json.loads((path / "manifest.json").read_text())
    assert set(manifest) == {"schema", "step", "val_loss", "seconds", "parameters", "files"}
    text, shapes = read_header((path / "training.safetensors").read_bytes(), path)
    assert "ema" not in json.loads(text)["training"]
    prefixes = ("optimizer.exp_avg.", "optimizer.exp_avg_sq.", "optimizer.step")
    assert all(name.startswith(prefixes) for name in shapes)
    assert len(shapes) == 2 * len(read_checkpoint(path).weights) + 1


@pytest.mark.parametrize("claims", [True, False])
def test_a_manifest_that_is_wrong_about_it_is_refused(train_nano: TrainNano, claims: bool) -> None:
    run, _ = train_nano(ema=0.5, **STEPS, **ROUGH)
    path = next(info.path for info in run.checkpoints() if info.ema != claims)
    checkpoint = read_checkpoint(path)
    with pytest.raises(CheckpointError, match="do not fit the model"):
        replace(checkpoint, manifest=replace(checkpoint.manifest, ema=claims)).read_training_state()


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_is_a_share(train_nano: TrainNano, decay: float) -> None:
    with pytest.raises(Exception, match="decay of the average"):
        train_nano(ema=decay)
