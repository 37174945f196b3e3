"""What the fault tests do in processes of their own: the command line as it is, cut where a test says.

A process is forked from a server that has imported torch and nothing else has happened in, so it is as fresh as a
new one, some seconds sooner.
"""

import json
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shakegpt import config
from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import ShakegptError
from shakegpt.model.gpt import GPT
from shakegpt.runs.checkpoint import (
    CheckpointData,
    ModelMetadata,
    SavedTrainingState,
    TrainingMetadata,
    read_checkpoint,
)
from shakegpt.runs.event_log import EventLog
from shakegpt.runs.manifest import Manifest
from shakegpt.runs.run import RunMetadata
from shakegpt.runs.store import Store
from shakegpt.system.json_records import _adapter
from shakegpt.training import gradients, optimizer, trainer
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.saver import Saver
from shakegpt.training.state import TrainingState
from tests.faults.small_disk import fill

for kind in (ModelMetadata, TrainingMetadata, Manifest, RunMetadata):  # once in the server, not in every process
    _adapter(kind)

TINY = config.Preset(
    summary="for faults: a step takes a millisecond",
    model={"n_layer": 1, "n_head": 2, "d_model": 16, "d_ff": 32, "block_size": 16, "dropout": 0.2},
    training={
        "steps": 12,
        "batch_size": 4,
        "accumulate": 2,
        "learning_rate": 1e-2,
        "min_learning_rate": 1e-3,
        "warmup": 4,
        "eval_every": 5,
        "save_every": 4,
        "save_seconds": 0.0,
        "keep": 2,
        "sample_length": 4,
        "device": "cpu",
        "precision": "fp32",
    },
)
TEXT = "".join(f"SPEAKER {n % 7}:\nTo be, or not: {n * 7919 % 1009}, that is the question.\n\n" for n in range(70))
CUT_EXCEPTION, CUT_TERM, CUT_KILL = "exception", "SIGTERM", "kill -9"


class CutError(Exception):
    """The fault that a test asked for."""


def command(home: str, *arguments: str, output: str | None = None, threads: int = 1, **faults: Any) -> None:
    """Run ``shakegpt`` in this process, with faults, and end it with the command's exit code.

    Args:
        home: the store.
        arguments: the command line.
        output: a file for standard output and error.
        threads: that compute.
        faults: ``name=argument`` of a function of ``FAULTS``.
    """
    os.environ |= {"SHAKEGPT_HOME": home, "OMP_NUM_THREADS": str(threads), "XDG_CACHE_HOME": f"{home}/cache"}
    if output is not None:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, 1)
        os.dup2(file, 2)
    config.PRESETS["tiny"] = TINY
    for name, argument in faults.items():
        FAULTS[name](argument)
    _open_streams()
    sys.argv = ["shakegpt", *arguments]
    from shakegpt.cli import main

    main()


def on_terminal(terminal: str, home: str, *arguments: str, **faults: Any) -> None:
    """Run ``shakegpt`` as the leader of a session on a terminal of its own."""
    _take_terminal(terminal)
    command(home, *arguments, **faults)


def app_on_terminal(terminal: str, home: str, corpus: str, on_hangup: Any) -> None:
    """Run the app on a terminal of its own, with a training under way that never ends by itself."""
    _take_terminal(terminal)
    _open_streams()
    os.environ |= {"SHAKEGPT_HOME": home, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": f"{home}/cache"}
    config.PRESETS["tiny"] = TINY
    from shakegpt.system.signals import end_process
    from shakegpt.training.setup import TrainingRequest, build_trainer
    from shakegpt.training.thread import TrainingThread
    from shakegpt.tui.app import ShakegptApp
    from shakegpt.tui.terminal import run_app

    store = Store(Path(home))
    changes = {"steps": 10**6, "save_every": 1000, "eval_every": 1000}
    request = TrainingRequest(preset="tiny", corpus=corpus, run_name="macbeth", changes=changes)
    thread = TrainingThread(lambda: build_trainer(store, request))
    thread.start()
    end_process(run_app(ShakegptApp(store, training=thread, on_hangup=on_hangup)))


def _open_streams() -> None:
    """Open the standard streams on what their descriptors have become; those of the server knew another thing."""
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, closefd=False)


def _take_terminal(terminal: str) -> None:
    os.setsid()
    opened = os.open(terminal, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(opened, number)
    os.close(opened)
    os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "LC_ALL": "C.UTF-8"}


# Faults


def cut_at(wish: tuple[str, int]) -> None:
    """Cut the process at the nth of the moments that ``moments`` counts."""
    manner, number = wish
    seen = 0

    def moment() -> None:
        nonlocal seen
        seen += 1
        if seen != number:
            return
        if manner == CUT_EXCEPTION:
            raise CutError
        os.kill(os.getpid(), signal.SIGKILL if manner == CUT_KILL else signal.SIGTERM)

    _at_every_moment(moment)


def count_moments(path: str) -> None:
    """Write how many moments there were where a cut is possible."""
    seen = 0

    def moment() -> None:
        nonlocal seen
        seen += 1
        Path(path).write_text(str(seen))

    _at_every_moment(moment)


def _at_every_moment(moment: Callable[[], None]) -> None:
    """Call ``moment`` before and after each micro-batch, optimizer step, evaluation, save and line of the log."""
    for owner, name in (
        (gradients.Gradients, "_add_micro_batch"),
        (optimizer.Optimizer, "step"),
        (trainer, "evaluate"),
        (Saver, "save"),
        (EventLog, "append"),
    ):
        setattr(owner, name, _between(getattr(owner, name), moment))


def _between(function: Callable[..., Any], moment: Callable[[], None]) -> Callable[..., Any]:
    def wrapped(*arguments: Any, **options: Any) -> Any:
        moment()
        result = function(*arguments, **options)
        moment()
        return result

    return wrapped


def stop_after(step: int) -> None:
    """Send this process SIGTERM when a step has been taken."""
    take_step = trainer.Trainer._take_steps

    def stopping(self: Any) -> Iterator[Any]:
        yield from take_step(self)
        if self.state.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
            self._stop.wait()

    trainer.Trainer._take_steps = stopping


def hold_at(wish: tuple[int, str]) -> None:
    """When a step has been taken, wait until somebody opens a pipe."""
    step, path = wish
    take_step = trainer.Trainer._take_steps

    def holding(self: Any) -> Iterator[Any]:
        yield from take_step(self)
        if self.state.step == step:
            Path(path).read_bytes()

    trainer.Trainer._take_steps = holding


def leave_out(piece: str) -> None:
    """Forget one piece of the state that a checkpoint keeps when it is restored."""
    from dataclasses import replace

    restore = TrainingState.restore

    def forgetful(self: Any, checkpoint: Any, saved: Any, **options: Any) -> None:
        fresh = {
            "weights": lambda name, tensor: _initial(self, name),
            "scaler.scale": lambda name, tensor: tensor.new_tensor(optimizer._INITIAL_SCALE),
        }
        forget = fresh.get(piece, lambda name, tensor: tensor * 0)
        if piece == "weights":
            weights = {name: forget(name, tensor) for name, tensor in checkpoint.weights.items()}
            checkpoint = replace(checkpoint, weights=weights)
        elif "." in piece:
            assert any(name.startswith(piece) for name in saved.tensors), piece
            tensors = {
                name: forget(name, tensor) if name.startswith(piece) else tensor
                for name, tensor in saved.tensors.items()
            }
            saved = replace(saved, tensors=tensors)
        elif piece == "val_loss":
            checkpoint = replace(checkpoint, manifest=replace(checkpoint.manifest, val_loss=None))
        elif piece == "best":
            saved = replace(saved, metadata=replace(saved.metadata, best_step=None, best_val_loss=None))
        else:
            initial = {"learning_rate_scale": 1.0, "accumulate": self._config.accumulate}.get(piece, 0)
            saved = replace(saved, metadata=replace(saved.metadata, **{piece: initial}))
        restore(self, checkpoint, saved, **options)

    TrainingState.restore = forgetful


def _initial(self: Any, name: str) -> Any:
    return self._initial_model(self.model.config).state_dict()[name]


def diverge(_: object) -> None:
    """Memory runs out at the second step, and steps 6 to 10 are not finite until the learning rate is lowered."""
    import torch

    compute = gradients.Gradients.compute
    take_step = trainer.Trainer._take_steps
    rate_scale = 1.0

    def note(self: Any) -> Iterator[Any]:
        nonlocal rate_scale
        rate_scale = self.state.learning_rate_scale
        return take_step(self)

    def troubled(self: Any, *arguments: Any, masks: Any, accumulate: int, **options: Any) -> Any:
        if masks.step == 2 and accumulate == 2:
            raise torch.OutOfMemoryError("simulated")
        loss = compute(self, *arguments, masks=masks, accumulate=accumulate, **options)
        return loss * float("nan") if 6 <= masks.step <= 10 and rate_scale == 1.0 else loss

    trainer.Trainer._take_steps = note
    gradients.Gradients.compute = troubled


def scale_grows_after(steps: int) -> None:
    """Let the fp16 loss scale grow so often that a short run sees it."""
    optimizer._GROWTH_INTERVAL = steps


def first_scale(scale: float) -> None:
    """Begin with this fp16 loss scale."""
    optimizer._INITIAL_SCALE = scale


def acknowledge(path: str) -> None:
    """Append the step of each checkpoint to a file as soon as it is reported saved."""
    save = Saver.save

    def saving(self: Saver, contents: CheckpointData) -> Any:
        info = save(self, contents)
        with open(path, "a") as file:
            file.write(f"{info.step}\n")
        return info

    Saver.save = saving


def block_saves(path: str) -> None:
    """Let every save after the first say so in a pipe and never end."""
    save = Saver.save
    saves = 0

    def blocking(self: Saver, contents: CheckpointData) -> Any:
        nonlocal saves
        saves += 1
        if saves > 1:
            with open(path, "wb") as pipe:
                pipe.write(b"!")
            threading.Event().wait()
        return save(self, contents)

    Saver.save = blocking


def save_in_background(_: object) -> None:
    """Let training go on while a checkpoint is written, as on a GPU."""
    trainer.Saver = lambda run, **options: Saver(run, **options | {"in_background": True})


def stdout(path: str) -> None:
    """Have standard output go to a file."""
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), 1)


def closed_pipe(_: object) -> None:
    """Have standard output go to a pipe without a reader."""
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)


def listening(path: str) -> None:
    """Create a file when the signal handlers are installed."""
    from shakegpt.system.signals import ShutdownHandler

    install = ShutdownHandler.install

    def noting(self: Any) -> None:
        install(self)
        Path(path).touch()

    ShutdownHandler.install = noting


def report_stop(path: str) -> None:
    """Create a file when the training is asked to stop."""
    from shakegpt.training.thread import TrainingThread

    stop = TrainingThread.stop

    def noting(self: Any) -> None:
        stop(self)
        Path(path).touch()

    TrainingThread.stop = noting


def ignore(number: int) -> None:
    """Be started with a signal ignored, as under nohup."""
    signal.signal(number, signal.SIG_IGN)


FAULTS: dict[str, Callable[[Any], None]] = {
    "cut_at": cut_at,
    "count_moments": count_moments,
    "stop_after": stop_after,
    "hold_at": hold_at,
    "leave_out": leave_out,
    "diverge": diverge,
    "scale_grows_after": scale_grows_after,
    "first_scale": first_scale,
    "acknowledge": acknowledge,
    "block_saves": block_saves,
    "save_in_background": save_in_background,
    "report_stop": report_stop,
    "ignore": ignore,
    "umask": os.umask,
    "stdout": stdout,
    "closed_pipe": closed_pipe,
    "listening": listening,
}


# Saving under a fault


class Bench:
    """A run of an untrained model that can be saved at any step.

    Args:
        home: the store; the run is made where it is not there yet.
    """

    def __init__(self, home: str) -> None:
        store = Store(Path(home))
        self._training = TrainingConfig(steps=100, device="cpu", precision="fp32")
        vocabulary = Vocabulary("\n abc")
        self._model_config = ModelConfig(vocab_size=5, n_layer=1, n_head=1, d_model=4, d_ff=4, block_size=4)
        record = RunMetadata(
            preset="tiny",
            model=self._model_config,
            training=self._training,
            corpus="made-up",
            corpus_sha256="0" * 64,
            created="2026-01-01T00:00:00+00:00",
            versions={},
        )
        try:
            self.run = store.create(record, "bench")
        except ShakegptError:
            self.run = store.run("bench")
        self.saver = Saver(self.run, keep=3, every_seconds=0.0)
        self._vocabulary = vocabulary

    def save(self, step: int, val_loss: float | None = None) -> None:
        """Save weights that depend on the step alone."""
        model = GPT(self._model_config, seed=step)
        record = TrainingMetadata(
            schema=1,
            step=step,
            tokens=step,
            training=self._training,
            preset="tiny",
            corpus="made-up",
            corpus_sha256="0" * 64,
            precision="fp32",
            device="cpu",
            threads=1,
            versions={},
            best_step=None,
            best_val_loss=None,
            train_loss_sum=0.0,
            train_loss_count=0,
            accumulate=1,
            non_finite=0,
            rollbacks=0,
            learning_rate_scale=1.0,
        )
        tensors = optimizer.Optimizer(FlatParameters(model), self._training, precision="fp32").state_dict()
        self.saver.save(
            CheckpointData(
                config=self._model_config,
                vocabulary=self._vocabulary,
                weights=model.state_dict(),
                step=step,
                val_loss=val_loss,
                seconds=float(step),
                training_state=SavedTrainingState(record, tensors),
            )
        )

    def readable(self) -> list[tuple[int, float | None]]:
        """Return the step and validation loss of the checkpoints there are, having read them to the last byte."""
        for info in self.run.checkpoints():
            read_checkpoint(info.path).read_training_state()
        return [(info.step, info.val_loss) for info in self.run.checkpoints()]


def save_and_die(home: str, number: int, step: int, val_loss: float | None) -> None:
    """Save, and be killed at the nth system call."""
    bench = Bench(home)
    with failing(number, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        bench.save(step, val_loss)


@contextmanager
def failing(number: int, fail: Callable[[], None], *, ever_after: bool = False) -> Iterator[list[str]]:
    """Let the nth of the system calls that change a disk fail; yields the names of those made."""
    made: list[str] = []
    originals = {name: getattr(os, name) for name in ("open", "write", "fsync", "rename", "replace", "mkdir")}

    def wrap(name: str) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            made.append(name)
            if len(made) == number or (ever_after and len(made) > number):
                fail()
            return originals[name](*arguments, **options)

        return wrapped

    for name in originals:
        setattr(os, name, wrap(name))
    try:
        yield made
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def full_disk(folder: str) -> None:
    """Train in a folder on a small disk that fills up and is emptied again; print what was reported as JSON."""
    from shakegpt.events import Saved, Step, Warning
    from shakegpt.training.setup import TrainingRequest, build_trainer

    config.PRESETS["tiny"] = TINY
    corpus = Path(folder, "corpus.txt")
    corpus.write_text(TEXT)
    store = Store(Path(folder, "home"))
    changes = {"steps": 60, "save_every": 2, "eval_every": 60, "sample_length": 0}
    training = build_trainer(
        store, TrainingRequest(preset="tiny", corpus=str(corpus), run_name="full", changes=changes)
    )
    filler = Path(folder, "filler")
    reported: list[tuple[int, str]] = []
    for event in training:
        match event:
            case Step(step=10):
                fill(filler)
            case Step(step=30):
                filler.unlink()
                training._saver.wait_until_ready(_hurry(), math.inf)  # as if the back-off had passed
            case Saved() | Warning():
                reported.append((event.step, event.event if isinstance(event, Saved) else event.kind))
    run = store.run("full")
    for info in run.checkpoints():
        store.open(info.reference).read_training_state()
    steps = [point.step for point in run.snapshot().train.points()]
    print(json.dumps({"reported": reported, "status": run.status(), "last": run.last().step, "steps": steps}))


def _hurry() -> Any:
    event = threading.Event()
    event.set()
    return event


if __name__ == "__main__":
    full_disk(sys.argv[1])
