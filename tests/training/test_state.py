"""The state of a training is saved and restored whole; its losses, its best and its clock add up."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.data.corpus import Corpus
from shakegpt.model.gpt import GPT
from shakegpt.runs.checkpoint import Checkpoint, CheckpointData, SavedTrainingState, read_checkpoint, write_checkpoint
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.system.device import DevicePlan
from shakegpt.training.setup import TrainingRequest, build_trainer
from shakegpt.training.state import TrainingClock, TrainingState

CPU = DevicePlan(device=torch.device("cpu"), name="CPU", precision="fp32", reason="tests", threads=1)
FP16 = DevicePlan(device=torch.device("cpu"), name="CPU", precision="fp16", reason="tests", threads=1)
CONFIG = TrainingConfig(batch_size=4, seed=3)
Save = Callable[[TrainingState], tuple[Checkpoint, SavedTrainingState]]


@pytest.fixture
def make_state(tiny_config: ModelConfig) -> Callable[..., TrainingState]:
    return lambda plan=CPU, config=CONFIG: TrainingState(config, tiny_config, plan)


@pytest.fixture
def save(tiny_config: ModelConfig, demo: Corpus, tiny_language_model: object, tmp_path: Path) -> Save:
    """Write a state to disk, and read back the checkpoint and what resuming needs."""

    def write(state: TrainingState) -> tuple[Checkpoint, SavedTrainingState]:
        data = CheckpointData(
            config=tiny_config,
            vocabulary=tiny_language_model.vocabulary,  # type: ignore[attr-defined]
            weights=state.model.state_dict(),
            step=state.step,
            val_loss=state.finite_val_loss,
            seconds=state.clock.seconds,
            training_state=state.save(demo, "nano"),
        )
        folder = tmp_path / f"step-{state.step:08}"
        write_checkpoint(folder, data)
        checkpoint = read_checkpoint(folder)
        return checkpoint, checkpoint.read_training_state()

    return write


def take_step(state: TrainingState, loss: float) -> None:
    state.begin_step()
    state.parameters.gradient.fill_(0.1)
    state.optimizer.step(0.01, torch.tensor(loss))
    state.end_step(loss if bool(state.optimizer.finite) else None, tokens=32)


def busy_state(state: TrainingState) -> TrainingState:
    """Change every part of a state."""
    take_step(state, 3.0)
    state.set_val_loss(2.5)
    for loss in (2.0, math.nan, 1.0):
        take_step(state, loss)
    state.set_val_loss(2.0)
    state.non_finite_steps, state.rollbacks, state.learning_rate_scale, state.accumulate = 1, 2, 0.25, 2
    state.clock.restore(12.5)
    return state


@pytest.mark.parametrize("plan", [CPU, FP16], ids=["fp32", "fp16"])
def test_a_state_is_saved_and_restored_whole(
    make_state: Callable[..., TrainingState], save: Save, demo: Corpus, plan: DevicePlan
) -> None:
    state = busy_state(make_state(plan))
    checkpoint, saved = save(state)
    restored = make_state(plan)
    restored.restore(checkpoint, saved)
    again = restored.save(demo, "nano")
    assert again.metadata == saved.metadata
    assert (again.metadata.train_loss_sum, again.metadata.train_loss_count) == (3.0, 2)
    assert again.tensors.keys() == saved.tensors.keys()
    assert all(torch.equal(tensor, saved.tensors[name]) for name, tensor in again.tensors.items())
    weights = state.model.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in restored.model.state_dict().items())
    assert (restored.val_loss, restored.best_val_loss, restored.best_step) == (2.0, 2.5, 1)
    assert restored.clock.seconds == 12.5
    assert restored.is_saved


def test_a_reset_state_is_a_new_one_but_for_the_clock_and_the_micro_batches(
    make_state: Callable[..., TrainingState], save: Save, demo: Corpus
) -> None:
    state, new = busy_state(make_state()), make_state()
    state.reset()
    assert (state.clock.seconds, state.accumulate) == (12.5, 2)
    new.accumulate = 2
    assert state.save(demo, "nano").metadata == new.save(demo, "nano").metadata
    assert not any(tensor.any() for tensor in state.optimizer.state_dict().values())
    weights = new.model.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in state.model.state_dict().items())


def test_another_batch_size_starts_with_the_micro_batches_asked_for(
    make_state: Callable[..., TrainingState], save: Save
) -> None:
    saved = save(busy_state(make_state()))
    other = make_state(config=TrainingConfig(batch_size=8, accumulate=4))
    other.restore(*saved)
    assert other.accumulate == 4


def test_the_best_is_counted_when_the_next_step_begins(make_state: Callable[..., TrainingState]) -> None:
    state = make_state()
    take_step(state, 3.0)
    assert (state.is_best, state.train_loss) == (False, 3.0)
    state.set_val_loss(2.5)
    assert (state.is_best, state.best_val_loss) == (True, None)
    take_step(state, 2.0)
    assert (state.best_val_loss, state.best_step, state.val_loss, state.train_loss) == (2.5, 1, None, 2.0)
    state.set_val_loss(math.nan)
    assert (state.is_best, state.finite_val_loss) == (False, None)
    take_step(state, math.nan)
    assert (state.best_val_loss, state.best_step) == (2.5, 1)
    assert math.isnan(state.train_loss)


@pytest.mark.parametrize(("val_loss", "is_saved"), [(2.0, False), (math.nan, True)])
def test_a_checkpoint_lacks_only_a_finite_validation_loss(
    make_state: Callable[..., TrainingState], val_loss: float, is_saved: bool
) -> None:
    state = make_state()
    state.is_saved = True
    state.set_val_loss(val_loss)
    assert state.is_saved == is_saved
    state.begin_step()
    assert not state.is_saved


def test_a_resumed_run_builds_its_model_once(
    macbeth: Run, private_surroundings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = []
    initialise = GPT.__init__

    def count(self: GPT, *arguments: object, **options: object) -> None:
        built.append(self)
        initialise(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(GPT, "__init__", count)
    trainer = build_trainer(Store(private_surroundings), TrainingRequest(resume="macbeth", changes={"steps": 31}))
    assert trainer.state.step == 30
    assert built == [trainer.state.model]


def test_the_clock_runs_inside_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("shakegpt.training.state.time.monotonic", lambda: now)
    clock = TrainingClock(tokens_per_step=50)
    assert (clock.seconds, clock.tokens_per_second) == (0.0, 0.0)
    with clock:
        now += 3.0
        assert clock.seconds == 3.0
    now += 1000.0
    assert clock.seconds == 3.0
    clock.restore(2.0)  # an earlier checkpoint
    assert clock.seconds == 3.0
    clock.restore(7.0)
    assert clock.seconds == 7.0
    clock.add_step(0.5)
    clock.add_step(1.5)
    assert clock.tokens_per_second == 50.0
