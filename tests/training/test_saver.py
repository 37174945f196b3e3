"""Saving while training goes on: what is saved is the step's, each save is reported, and whoever must wait does.

How a save withstands faults is in ``tests/faults/test_save_faults.py``.
"""

import errno
import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from shakegpt.events import Event, Finished, Saved, Step, Warning
from shakegpt.runs.checkpoint import EncodedCheckpoint, write_encoded
from shakegpt.runs.store import Store
from shakegpt.training import saver
from shakegpt.training.gradients import Gradients
from shakegpt.training.saver import Saver
from shakegpt.training.setup import TrainingRequest, build_trainer
from shakegpt.training.trainer import Trainer

Prepare = Callable[..., Trainer]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """``prepare("lear", steps=5)``: a training of nano that saves after every third step."""

    def build(run: str = "lear", **changes: Any) -> Trainer:
        brief = {"steps": 8, "batch_size": 4, "eval_every": 1000, "save_every": 3, "keep": 9, "sample_length": 0}
        changes = brief | {"device": "cpu", "precision": "fp32", "dropout": 0.1} | changes
        return build_trainer(
            Store(tmp_path), TrainingRequest(preset="nano", corpus="demo", run_name=run, changes=changes)
        )

    return build


@pytest.fixture
def background(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let training go on while a checkpoint is written, as on a GPU."""
    monkeypatch.setattr(
        "shakegpt.training.trainer.Saver", lambda run, **options: Saver(run, **options | {"in_background": True})
    )


@pytest.fixture
def gate(background: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """What a checkpoint is written after."""
    opened = threading.Event()

    def write_later(folder: Path, encoded: EncodedCheckpoint) -> None:
        opened.wait()
        write_encoded(folder, encoded)

    monkeypatch.setattr(saver, "write_encoded", write_later)
    yield opened
    opened.set()


@pytest.fixture
def gate_for_waiting(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written until somebody waits for it."""
    take_report, close = Saver.take_report, Saver.close

    def taking(self: Saver, *, wait: bool) -> Saved | None:
        if self._begun is None or not wait:
            return take_report(self, wait=wait)
        gate.set()
        try:
            return take_report(self, wait=True)
        finally:
            gate.clear()

    def closing(self: Saver) -> None:
        gate.set()
        close(self)

    monkeypatch.setattr(Saver, "take_report", taking)
    monkeypatch.setattr(Saver, "close", closing)


def files(trainer: Trainer) -> dict[str, bytes]:
    folder = trainer.run.checkpoints_folder
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}


def saved_steps(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, Saved)]


@pytest.mark.parametrize("changes", [{}, {"precision": "fp16", "ema": 0.5, "eval_every": 3}])
def test_steps_go_on_while_a_checkpoint_is_written_and_it_is_that_of_its_own_step(
    prepare: Prepare, gate: threading.Event, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, events = prepare(**changes), []
    for event in trainer:
        events.append(event)
        if isinstance(event, Step) and event.step == 5:
            assert not saved_steps(events)
            gate.set()
    assert saved_steps(events) == [3, 6, 8]
    assert list(trainer.run.log.events()) == events
    monkeypatch.undo()
    waiting = prepare("hamlet", **changes)
    list(waiting)
    assert files(trainer) == files(waiting)


@pytest.mark.usefixtures("background")
def test_one_checkpoint_is_written_at_a_time(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = threading.Lock()

    def write(folder: Path, encoded: EncodedCheckpoint) -> None:
        assert writing.acquire(blocking=False)
        write_encoded(folder, encoded)
        writing.release()

    monkeypatch.setattr(saver, "write_encoded", write)
    assert saved_steps(list(prepare(save_every=1))) == list(range(1, 9))


@pytest.mark.usefixtures("background")
def test_a_save_that_failed_is_reported_once_and_tried_again(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(folder: Path, encoded: EncodedCheckpoint) -> None:
        if encoded.manifest.step == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_encoded(folder, encoded)

    monkeypatch.setattr(saver, "write_encoded", write)
    monkeypatch.setattr(saver, "FIRST_DELAY_SECONDS", 0.0)
    events = list(prepare())
    [warning] = [event for event in events if isinstance(event, Warning)]
    assert warning.kind == "save"
    assert warning.message.startswith("Step 3 could not be saved")
    assert "(No space left on device); earlier checkpoints are whole, and saving is tried again" in warning.message
    assert warning.step <= 6
    assert set(saved_steps(events)) >= {6, 8}
    assert isinstance(events[-1], Finished)


@pytest.mark.usefixtures("gate_for_waiting")
def test_a_save_that_is_asked_for_is_reported_before_the_next_step(prepare: Prepare) -> None:
    trainer, events = prepare(), []
    for event in trainer:
        events.append(event)
        if isinstance(event, Step) and event.step == 1:
            trainer.save()
    told = [(event.event, event.step) for event in events if isinstance(event, Step | Saved)]
    assert told[:3] == [("step", 1), ("saved", 1), ("step", 2)]
    assert saved_steps(events) == [1, 3, 6, 8]


@pytest.mark.parametrize("way", ["stop", "close", "error"])
@pytest.mark.usefixtures("gate_for_waiting")
def test_however_a_run_ends_it_stays_locked_until_all_is_written(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    locked = []
    save = Saver.save

    def saving(self: Saver, data: Any) -> Any:
        info = save(self, data)
        locked.append(trainer.run.is_locked())
        return info

    monkeypatch.setattr(Saver, "save", saving)
    trainer = prepare()
    iterator = iter(trainer)
    with pytest.raises(TypeError) if way == "error" else nullcontext():
        for event in iterator:
            if isinstance(event, Step) and event.step == 4:
                if way == "stop":
                    trainer.stop()
                elif way == "close":
                    iterator.close()  # type: ignore[attr-defined]
                else:
                    monkeypatch.setattr(Gradients, "compute", None)  # so the next step raises TypeError
    ends = {"stop": [3, 4], "close": [3, 4], "error": [3]}
    assert [info.step for info in trainer.run.checkpoints()] == ends[way]
    assert locked == [True] * len(ends[way])
    assert not trainer.run.is_locked()
    if way != "error":
        assert saved_steps(list(trainer.run.log.events())) == [3, 4]
        assert trainer.run.status() == "stopped"


@pytest.mark.usefixtures("gate_for_waiting")
def test_a_run_goes_back_to_the_checkpoint_that_was_being_written(
    prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = Gradients.compute

    def spoil(self: Gradients, *arguments: Any, masks: Any, **options: Any) -> Tensor:
        loss = compute(self, *arguments, masks=masks, **options)
        return loss * math.nan if masks.step > 3 and trainer.state.rollbacks == 0 else loss

    monkeypatch.setattr(Gradients, "compute", spoil)
    trainer = prepare(steps=10)
    events = list(trainer)
    warnings = [event for event in events if isinstance(event, Warning)]
    assert [warning.kind for warning in warnings] == ["non-finite", "rollback"]
    assert warnings[1].step == 3
    assert saved_steps(events) == [3, 3, 6, 9, 10]  # the second says that it went back
