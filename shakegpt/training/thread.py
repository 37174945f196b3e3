"""A training off the thread that shows it: events come up, a few commands go down."""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

from shakegpt.errors import ShakegptError, describe_failure
from shakegpt.events import Event, Failed
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import ENDED, Snapshot, State, advance
from shakegpt.runs.source import Subscriber

if TYPE_CHECKING:
    from shakegpt.model.language_model import LanguageModel

_REQUEST_POLL_SECONDS = 0.5
_LOADING_PATIENCE_SECONDS = 3.0


class EventSource(Protocol):
    """What a ``TrainingThread`` drives: a ``Trainer``, or in tests anything that yields events."""

    def __iter__(self) -> Generator[Event, None, None]: ...
    def stop(self) -> None: ...  # noqa: D102
    def save(self) -> None: ...  # noqa: D102
    def copy_model(self) -> "LanguageModel": ...  # noqa: D102


class TrainingThread(threading.Thread):
    """Drives a trainer on a thread of its own, and keeps the run's newest snapshot.

    The thread is no daemon: a process that ends waits for the run to be saved.

    Args:
        prepare: makes the trainer; called on the thread, so that importing torch and reading a corpus hold nobody up.
    """

    def __init__(self, prepare: Callable[[], Iterable[Event]]) -> None:
        super().__init__(name="shakegpt-training", daemon=False)
        self._prepare = prepare
        self._trainer: EventSource | None = None
        self._snapshot = Snapshot()
        self._subscribers: list[Subscriber] = []
        self._commands = threading.Condition()
        self._paused = self._stopping = self._saving = False
        self._model_requests: deque[Future[LanguageModel]] = deque()
        self.exit_code = 1
        """What a process that did nothing else should end with where the run failed: 2 where the request was wrong."""

    owned = True
    read_only = False

    @property
    def latest(self) -> Snapshot:
        """The run so far; safe to read from any thread."""
        return self._snapshot

    @property
    def alive(self) -> bool:
        """Whether the training has not ended."""
        return self._snapshot.state not in ENDED

    @property
    def trained_run(self) -> Run | None:
        """The run being trained, once it is known."""
        return getattr(self._trainer, "run", None)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have a function called after each event; returns what ends that."""
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._subscribers.remove(subscriber)

        return unsubscribe

    # Commands, from any thread; each returns at once

    def pause(self) -> None:
        """Pause before the next step."""
        with self._commands:
            self._paused = True
            self._commands.notify()

    def resume(self) -> None:
        """Go on after a pause."""
        with self._commands:
            self._paused = False
            self._commands.notify()

    def save(self) -> None:
        """Save after the current step."""
        with self._commands:
            self._saving = True
            self._commands.notify()

    def stop(self) -> None:
        """Finish the step, save, and end."""
        with self._commands:
            self._stopping = True
            if self._trainer is not None:
                self._trainer.stop()
            self._commands.notify()

    def copy_model(self) -> "Future[LanguageModel]":
        """Return the live weights as they will be after the current step, ready to speak.

        The future fails with ``ShakegptError`` where the training ends before that.
        """
        future: Future[LanguageModel] = Future()
        with self._commands:
            if self.alive:
                self._model_requests.append(future)
            else:
                future.set_exception(ShakegptError("The training has ended; speak from its last checkpoint."))
            self._commands.notify()
        return future

    def close(self) -> None:
        """Do nothing: the training goes on until it is stopped."""

    def await_end(self) -> int | None:
        """See ``TrainingSource``: a training that is still loading has nothing to lose."""
        if self.is_alive():  # not where a signal arrives before the thread was started, which join() refuses
            self.join(_LOADING_PATIENCE_SECONDS)
        if self._trainer is not None:
            self.join()
        return self.exit_code if self._snapshot.state == "failed" else None

    # On the thread

    def run(self) -> None:
        """Train to the end. Whatever goes wrong becomes the run's last event."""
        try:
            self._trainer = cast(EventSource, self._prepare())
            if self._stopping:
                self._trainer.stop()
            for event in self._trainer:
                self._show(advance(self._snapshot, event), event)
                self._obey()
        except ShakegptError as error:
            self.exit_code = error.exit_code
            self._fail(str(error))
        except Exception as error:
            if os.environ.get("SHAKEGPT_DEBUG") == "1":
                raise
            self._fail(describe_failure(error))
        finally:
            if self.alive:
                self._fail("The training ended without a word.")
            self._refuse_models()

    def _obey(self) -> None:
        """Carry out what was asked for since the last event, staying here while paused."""
        while True:
            self._take_requests()
            with self._commands:
                self._hand_out_models()
                if self._saving and self._trainer is not None:
                    self._saving = False
                    self._trainer.save()
                    if self._paused:  # a save happens inside a step's turn; let one go by
                        return
                if self._stopping or not self._paused:
                    break
                self._set_state("paused")
                self._commands.wait(timeout=_REQUEST_POLL_SECONDS)
        if self._snapshot.state == "paused":
            self._set_state("training")

    def _take_requests(self) -> None:
        """Obey another process: ``shakegpt stop`` and ``shakegpt watch`` leave their wishes in the run's folder."""
        match self.trained_run.take_request() if self.trained_run is not None else None:
            case "pause":
                self.pause()
            case "resume":
                self.resume()
            case "save":
                self.save()
            case "stop":
                self.stop()

    def _hand_out_models(self) -> None:
        while self._model_requests and self._trainer is not None:
            future = self._model_requests.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(self._trainer.copy_model())

    def _refuse_models(self) -> None:
        with self._commands:
            while self._model_requests:
                future = self._model_requests.popleft()
                if future.set_running_or_notify_cancel():
                    future.set_exception(ShakegptError("The training ended; speak from its last checkpoint."))

    def _fail(self, message: str) -> None:
        failed = Failed(step=self._snapshot.current_step, message=message)
        self._show(advance(self._snapshot, failed), failed)

    def _set_state(self, state: State) -> None:
        if self._snapshot.state != state and self._snapshot.state not in ENDED:
            self._show(replace(self._snapshot, state=state), None)

    def _show(self, snapshot: Snapshot, event: Event | None) -> None:
        self._snapshot = snapshot
        for subscriber in tuple(self._subscribers):
            with suppress(Exception):  # a broken screen must not end a training
                subscriber(event, snapshot)
