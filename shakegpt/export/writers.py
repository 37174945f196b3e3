"""Writers of a training's events for other programs, each on a thread of its own that never holds the training up."""

import importlib.util
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Protocol

from shakegpt.errors import ShakegptError, error_reason
from shakegpt.events import Evaluation, Event, Sample, Started, Step, Warning
from shakegpt.runs.run import Run
from shakegpt.runs.run_settings import Setting, settings_of
from shakegpt.runs.snapshot import Snapshot

PROJECT = "shakegpt"
"""What the runs are filed under in programs that have projects."""
_MOST_WAITING = 10_000
"""Events that wait for a writer; then steps are left out, and with twice as many waiting, everything."""
_STALL_SECONDS = 30.0
_FINISH_SECONDS = 10.0


class EventWriter(Protocol):
    """Writes the events of a run for another program. All calls come from one thread; any may raise."""

    def begin(self, run: Run, event: Started) -> None:
        """Begin the log of a run, or go on with it where ``event`` resumes the run."""

    def write(self, event: Event) -> None:
        """Write an event that came after ``begin``; kinds that the program has no place for are left out."""

    def close(self) -> None:
        """Write what is still in memory; called once, also where ``begin`` never was."""


def scalars_of(event: Event) -> dict[str, float]:
    """Return the numbers of an event by the names that other programs show; those that are not finite are left out."""
    values: dict[str, float] = {}
    match event:
        case Step():
            values = {
                "loss/train": event.loss,
                "perplexity/train": event.perplexity,
                "learning_rate": event.learning_rate,
                "gradient_norm": event.grad_norm,
                "characters_per_second": event.tokens_per_second,
            }
        case Evaluation():
            values = {"loss/validation": event.val_loss, "perplexity/validation": event.perplexity}
            both = {"loss/validation_live": event.live_val_loss, "loss/validation_averaged": event.ema_val_loss}
            values |= {name: loss for name, loss in both.items() if loss is not None}
    return {name: value for name, value in values.items() if math.isfinite(value)}


def config_of(run: Run, event: Started) -> dict[str, Setting]:
    """Return the settings of a run, with the device that it trains on."""
    return {**settings_of(run.metadata), "device": event.device, "precision": event.precision, "threads": event.threads}


def verbatim(sample: Sample) -> str:
    """Return a sample as Markdown that shows it as it is: a code block by indentation."""
    lines = (sample.prompt + sample.text).strip("\n").split("\n")
    return "\n".join(f"    {line}" for line in lines)


def require_package(package: str, purpose: str, extra: str) -> None:
    """Raise ``ShakegptError`` where a package is not installed; it is not imported."""
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # of a module that was put in its place, or barred
        spec = None
    if spec is None or spec.origin is None:  # none for a mere folder of that name, such as W&B's own in this directory
        raise ShakegptError(f"{purpose} needs {package}: pip install 'shakegpt[{extra}]'.")


class WriterThread(threading.Thread):
    """Passes the events of a training on to a writer; a subscriber of a ``TrainingSource`` once it has started.

    A writer that fails is left alone. One that hangs or is slow loses steps; ``finish`` waits for it for some seconds.
    Either is said in a warning.

    Args:
        label: what the messages call it, such as ``TensorBoard``.
        writer: where the events go.
        find_run: returns a run by name.
    """

    def __init__(self, label: str, writer: EventWriter, find_run: Callable[[str], Run]) -> None:
        super().__init__(name=f"shakegpt-writer-{label}", daemon=True)
        self._label = label
        self._writer = writer
        self._find_run = find_run
        self.on_warning: Callable[[Warning], None] = lambda _: None
        """Called with what the user should know, from any thread."""
        self._waiting: SimpleQueue[Event | None] = SimpleQueue()
        self._left_out = 0
        self._behind = self._failed = False
        self._step = 0
        self._taken_at: float | None = None
        """When the writer was given the event that it is still writing."""
        self._finishing = threading.Lock()
        self._finished = False

    @property
    def ended(self) -> bool:
        """Whether the writer has closed its log, so that the process can end in the ordinary way."""
        return self._finished and not self.is_alive() and not self._failed

    def receive(self, event: Event | None, _: Snapshot) -> None:
        """Take an event; returns at once. Called on the training's thread."""
        if event is None or self._failed:
            return
        room = _MOST_WAITING if isinstance(event, Step) else 2 * _MOST_WAITING
        taken_at = self._taken_at
        full = self._waiting.qsize() >= room
        stalled = taken_at is not None and time.monotonic() - taken_at > _STALL_SECONDS
        if (full or stalled) and not self._behind:
            self._behind = True
            self._warn(
                event.step, f"{self._label} does not keep up; steps may be left out of its log. The training goes on."
            )
        if full:
            self._left_out += 1
        else:
            self._waiting.put(event)

    def finish(self, seconds: float = _FINISH_SECONDS) -> None:
        """Have the log closed, and wait for that for so many seconds; then warn of what it lacks."""
        with self._finishing:
            if self._finished:
                return
            self._finished = True
            self._waiting.put(None)
            self.join(seconds)
            if self._failed:
                return
            if self.is_alive():
                lost = self._left_out + max(0, self._waiting.qsize() - 1)  # the last is the sign to end
                self._warn(
                    self._step,
                    f"{self._label} did not end within {seconds:g} seconds; its log may lack the last events, and "
                    f"{lost:,} were not passed on.",
                )
            elif self._left_out:
                self._warn(self._step, f"The log for {self._label} lacks {self._left_out:,} steps: it did not keep up.")

    def run(self) -> None:
        """Write until ``finish`` is called or the writer fails."""
        try:
            while (event := self._waiting.get()) is not None:
                self._step, self._taken_at = event.step, time.monotonic()
                if isinstance(event, Started):
                    self._writer.begin(self._find_run(event.run), event)
                else:
                    self._writer.write(event)
                self._taken_at = None
            self._writer.close()
        except Exception as error:
            self._failed, self._taken_at = True, None
            reason = error_reason(error).rstrip(".") or type(error).__name__
            self._warn(self._step, f"The log for {self._label} ends at step {self._step}: {reason}.")
            with suppress(Exception):
                self._writer.close()

    def _warn(self, step: int, message: str) -> None:
        self.on_warning(Warning(step=step, kind="writer", message=message))
