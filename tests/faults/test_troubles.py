"""Numbers that are not finite, memory that runs out, disks that fail: training goes on, with a warning."""

import errno
import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from shakegpt import config
from shakegpt.data.corpus import Corpus
from shakegpt.errors import ShakegptError
from shakegpt.events import Evaluation, Event, Failed, Finished, Saved, Step, Warning
from shakegpt.model.dropout import DropoutMasks
from shakegpt.runs import event_log as log
from shakegpt.runs.checkpoint import read_checkpoint
from shakegpt.runs.snapshot import replay
from shakegpt.runs.store import Store
from shakegpt.training.gradients import Gradients
from shakegpt.training.saver import Saver
from shakegpt.training.setup import TrainingRequest, build_trainer
from shakegpt.training.trainer import Trainer
from tests.faults import fault_work

Prepare = Callable[..., Trainer]
Spoil = Callable[..., None]


@pytest.fixture
def prepare(home: str, corpus: str, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """``prepare(steps=20)``: a trainer of the tiny preset, ready to run; ``resume="macbeth"`` goes on."""
    monkeypatch.setitem(config.PRESETS, "tiny", fault_work.TINY)

    def make(*, resume: str | None = None, save_patience: float = math.inf, **changes: Any) -> Trainer:
        request = TrainingRequest(
            preset="tiny",
            corpus=None if resume else corpus,
            run_name=None if resume else "macbeth",
            resume=resume,
            changes=changes if resume else {"sample_length": 0, **changes},
            save_patience=save_patience,
        )
        return build_trainer(Store(Path(home)), request)

    return make


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Spoil:
    """``spoil(lambda step: step > 5)``: the loss, or the gradient, of such steps is not a number."""

    def install(when: Callable[[int], bool], *, gradient_of: Trainer | None = None, value: float = math.nan) -> None:
        compute = Gradients.compute

        def spoiled(self: Gradients, *arguments: Any, masks: DropoutMasks, **options: Any) -> torch.Tensor:
            loss = compute(self, *arguments, masks=masks, **options)
            if not when(masks.step):
                return loss
            if gradient_of is None:
                return loss * value
            gradient_of.state.model.token_embedding.weight.grad[0, 0] = value
            return loss

        monkeypatch.setattr(Gradients, "compute", spoiled)

    return install


def warnings_of(events: Iterable[Event], kind: str) -> list[Warning]:
    return [event for event in events if isinstance(event, Warning) and event.kind == kind]


# Numbers that are not finite


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_step_that_is_not_finite_is_skipped_with_a_warning(
    prepare: Prepare, spoil: Spoil, what: str, value: float
) -> None:
    trainer = prepare(steps=9)
    spoil(lambda step: step in (3, 6), gradient_of=trainer if what == "gradient" else None, value=value)
    before: dict[int, bytes] = {}
    events = []
    for event in trainer:
        events.append(event)
        before[trainer.state.step] = _weights(trainer)
    assert before[3] == before[2] != before[4]
    assert [warning.step for warning in warnings_of(events, "non-finite")] == [3, 6]
    assert not warnings_of(events, "rollback")
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 4, 5, 7, 8, 9]
    assert isinstance(events[-1], Finished)


def _weights(trainer: Trainer) -> bytes:
    return b"".join(weight.detach().numpy().tobytes() for weight in trainer.state.model.state_dict().values())


def test_after_five_in_a_row_the_run_goes_back_and_lowers_the_learning_rate(prepare: Prepare, spoil: Spoil) -> None:
    trainer = prepare(steps=20)
    spoil(lambda step: 10 <= step <= 14 and trainer.state.learning_rate_scale == 1.0)
    events = list(trainer)
    (warning,) = warnings_of(events, "rollback")
    assert "went back to step 8" in warning.message
    assert "0.5" in warning.message
    assert isinstance(events[-1], Finished)
    rates = {point.step: point.learning_rate for point in replay(events).train.points()}
    assert list(rates) == list(range(1, 21))
    assert rates[9] == pytest.approx(rates[8] * 0.5, rel=0.1)


def test_it_goes_back_three_times_and_then_stops(prepare: Prepare, spoil: Spoil) -> None:
    spoil(lambda step: step > 6)
    trainer = prepare(steps=50)
    events = list(trainer)
    assert len(warnings_of(events, "rollback")) == 3
    assert isinstance(events[-1], Failed)
    assert "lower --learning-rate" in events[-1].message
    assert trainer.run.status() == "failed"
    for info in trainer.run.checkpoints():  # and what was good still is
        assert info.step <= 6
        read_checkpoint(info.path)
    assert trainer.run.best().val_loss is not None


def test_a_run_without_a_checkpoint_starts_over(prepare: Prepare, spoil: Spoil) -> None:
    trainer = prepare(steps=8, save_every=100, eval_every=100)
    spoil(lambda step: step >= 2 and trainer.state.learning_rate_scale == 1.0)
    events = list(trainer)
    assert "went back to step 0" in warnings_of(events, "rollback")[0].message
    assert isinstance(events[-1], Finished)


def test_a_second_time_it_goes_back_beyond_a_checkpoint_that_led_nowhere(prepare: Prepare, spoil: Spoil) -> None:
    trainer = prepare(steps=20, eval_every=3, save_every=4, keep=9)
    spoil(lambda step: step > 8 and trainer.state.learning_rate_scale > 0.25)
    events = list(trainer)
    assert [warning.message.split("step ")[1].split()[0] for warning in warnings_of(events, "rollback")] == ["8", "6"]
    assert isinstance(events[-1], Finished)
    assert [info.step for info in trainer.run.checkpoints()][-1] == 20


def test_nothing_is_saved_amid_steps_that_are_not_finite_but_at_a_stop(prepare: Prepare, spoil: Spoil) -> None:
    trainer = prepare(steps=50, save_every=1, eval_every=50, keep=9)

    def from_six_and_stopped_at_eight(step: int) -> bool:
        if step == 8:
            trainer.stop()
        return step >= 6

    spoil(from_six_and_stopped_at_eight)
    saved = [event.step for event in trainer if isinstance(event, Saved)]
    assert saved == [1, 2, 3, 4, 5, 8]
    resumed = prepare(resume="macbeth")
    warning = next(event for event in resumed if isinstance(event, Warning) and event.kind == "rollback")
    assert "went back to step 5" in warning.message
    assert "up to 10" in warning.message  # the three before the stop count


def test_a_validation_loss_that_is_not_a_number_is_never_the_best(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shakegpt.training import trainer as module

    evaluate = module.evaluate

    def spoiled(model: Any, *arguments: Any, **options: Any) -> Any:
        loss = evaluate(model, *arguments, **options)
        return type(loss)(nats=math.nan, characters=loss.characters) if trainer.state.step == 10 else loss

    monkeypatch.setattr(module, "evaluate", spoiled)
    trainer = prepare(steps=12, eval_every=5, save_every=5)
    events = list(trainer)
    assert isinstance(events[-1], Finished)
    assert [event.best for event in events if isinstance(event, Evaluation)] == [True, False, True]
    assert trainer.run.best().step == 12
    assert [info.val_loss is None for info in trainer.run.checkpoints()] == [False, True, False]


# Memory


def test_when_memory_runs_out_the_micro_batch_is_halved(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    compute = Gradients.compute

    def greedy(self: Gradients, inputs: torch.Tensor, *arguments: Any, accumulate: int, **options: Any) -> torch.Tensor:
        if len(inputs) // accumulate > 1:
            raise torch.OutOfMemoryError("CUDA out of memory (simulated)")
        return compute(self, inputs, *arguments, accumulate=accumulate, **options)

    monkeypatch.setattr(Gradients, "compute", greedy)
    trainer = prepare(steps=5, batch_size=4, accumulate=1)
    events = list(trainer)
    assert [warning.message.split(" parts")[0][-1] for warning in warnings_of(events, "memory")] == ["2", "4"]
    assert [event.step for event in events if isinstance(event, Step)] == [1, 2, 3, 4, 5]
    assert trainer.config.accumulate == 1
    resumed = prepare(resume="macbeth", steps=6)
    assert not warnings_of(list(resumed), "memory")  # it remembers


def test_when_not_even_one_sequence_fits_the_run_fails(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    def starving(self: Gradients, *arguments: Any, **options: Any) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Gradients, "compute", starving)
    trainer = prepare(steps=5)
    with pytest.raises(ShakegptError, match="smaller preset"):
        list(trainer)
    assert trainer.run.status() == "failed"


# Disks


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT], ids=errno.errorcode.get)
def test_training_goes_on_while_nothing_can_be_saved(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    trainer = prepare(steps=30, save_every=2, eval_every=30)
    broken = False
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if broken:
            raise OSError(error, os.strerror(error))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    clock = [0.0]
    monkeypatch.setattr("shakegpt.training.saver.time.monotonic", lambda: clock[0])
    events = []
    shown = {}
    for event in trainer:
        events.append(event)
        shown[trainer.state.step] = replay(events).warning
        if isinstance(event, Step):
            clock[0] += 1.0
            broken = 10 <= event.step < 20
    saves = [event.step for event in events if isinstance(event, Saved)]
    warnings = warnings_of(events, "save")
    # Tried again after 1 s, 2 s, 4 s; a step takes a second here.
    assert [warning.step for warning in warnings] == [10, 11, 13, 17]
    assert all(os.strerror(error) in warning.message for warning in warnings)
    assert saves == [2, 4, 6, 8, *saves[4:]]
    assert saves[4] == 25  # eight seconds after the last failure
    assert shown[15] is not None
    assert shown[saves[4]] is None
    assert [event.step for event in events if isinstance(event, Step)] == list(range(1, 31))
    assert [event.step for event in trainer.run.log.events() if isinstance(event, Step)] == list(range(1, 31))


def test_a_log_that_cannot_be_written_is_one_warning_and_is_completed_later(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = prepare(steps=12)
    write = os.write

    def torn(descriptor: int, data: bytes) -> int:
        full = 4 <= trainer.state.step <= 6 and descriptor == trainer.run.log._descriptor
        return write(descriptor, data[: len(data) // 2] if full else data)

    monkeypatch.setattr(log.os, "write", torn)
    events = list(trainer)
    assert [warning.step for warning in warnings_of(events, "save")] == [4]
    assert [event.step for event in trainer.run.log.events() if isinstance(event, Step)] == list(range(1, 13))
    lines = trainer.run.metrics_path.read_bytes().splitlines()
    assert len(lines) == len(list(trainer.run.log.events()))


def test_a_run_that_cannot_be_saved_at_its_stop_fails(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    trainer = prepare(steps=1000)
    monkeypatch.setattr(os, "fsync", broken)
    events = []
    for event in trainer:
        events.append(event)
        if trainer.state.step == 5:
            trainer.stop()
    assert isinstance(events[-1], Failed)
    assert "ended unsaved" in events[-1].message


@pytest.mark.parametrize(("patience", "tries"), [(0.0, 2), (10.0, 5)])  # after 1, 2, 4 and the last 3 seconds
def test_a_run_that_cannot_be_saved_at_its_end_is_given_up_when_patience_ends(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch, patience: float, tries: int
) -> None:
    clock = [0.0]

    def wait(seconds: float) -> bool:
        clock[0] += seconds
        return False

    def broken(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    trainer = prepare(steps=3, eval_every=1000, save_every=1000, save_patience=patience)
    monkeypatch.setattr("shakegpt.training.saver.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(trainer._stop, "wait", wait)
    monkeypatch.setattr(os, "fsync", broken)
    events = list(trainer)
    assert len(warnings_of(events, "save")) == tries
    assert isinstance(events[-1], Failed)
    assert events[-1].message.startswith("The run ended unsaved. Step 3 could not be saved")
    assert events[-1].message.endswith("(No space left on device); earlier checkpoints are whole.")
    assert clock[0] == patience


def test_runs_are_saved_by_the_clock_too(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("shakegpt.training.saver.time.monotonic", lambda: clock[0])
    trainer = prepare(steps=40, save_every=1000, eval_every=1000, save_seconds=60.0)
    saved = []
    for event in trainer:
        if isinstance(event, Saved):
            saved.append(event.step)
        if isinstance(event, Step):
            clock[0] += 7.0
    assert saved == [9, 18, 27, 36, 40]


# Going on with something else


def test_a_fork_warns_of_and_records_its_changes(prepare: Prepare) -> None:
    list(prepare(steps=8))
    fork = prepare(resume="macbeth@8", steps=12, learning_rate=2e-2)
    events = list(fork)
    (warning,) = warnings_of(events, "resume")
    assert "steps 8 -> 12" in warning.message
    assert "learning_rate 0.01 -> 0.02" in warning.message
    assert fork.run.name != "macbeth"
    assert fork.run.metadata.resumed_from == "macbeth@8"
    assert fork.run.metadata.changes == {"steps": "8 -> 12", "learning_rate": "0.01 -> 0.02"}
    assert next(event.step for event in events if isinstance(event, Saved)) == 8  # a copy of what it began from


def test_differences_that_break_exactness_are_one_warning(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = prepare(steps=100)
    for _ in trainer:
        if trainer.state.step == 5:
            trainer.stop()
    monkeypatch.setattr("shakegpt.system.device.available_cores", lambda: trainer.device_plan.threads + 3)
    monkeypatch.setattr("shakegpt.version.__version__", "99")
    resumed = prepare(resume="macbeth")
    (warning,) = resumed._resume.warnings
    assert "not to the bit" in warning
    assert "threads" in warning
    assert "shakegpt" in warning


def test_another_text_is_refused(prepare: Prepare, corpus: str, home: str, tmp_path: Path) -> None:
    list(prepare(steps=4))
    other = tmp_path / "other.txt"
    other.write_text(Path(corpus).read_text() + "!")
    request = TrainingRequest(resume="macbeth", corpus=str(other), changes={"steps": 9})
    with pytest.raises(ShakegptError, match="SHA-256 differs"):
        build_trainer(Store(Path(home)), request)


def test_the_text_of_a_file_is_found_again(prepare: Prepare, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    list(prepare(steps=4))
    monkeypatch.chdir(tmp_path)
    assert isinstance(prepare(resume="macbeth", steps=5).corpus, Corpus)


def test_the_saver_removes_no_more_than_it_should(prepare: Prepare) -> None:
    trainer = prepare(steps=30, save_every=2, eval_every=9, keep=2)
    list(trainer)
    kept = [info.step for info in trainer.run.checkpoints()]
    assert kept[-1] == 30
    assert trainer.run.best().step in kept
    assert len(kept) <= 4
    assert isinstance(trainer._saver, Saver)
