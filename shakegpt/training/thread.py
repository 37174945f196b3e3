"""Training on its own thread: events come out, a few commands go in."""

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from shakegpt.errors import ShakegptError, describe_failure
from shakegpt.events import Failed
from shakegpt.runs.snapshot import ENDED, Snapshot, State, advance
from shakegpt.runs.source import SourceThread

if TYPE_CHECKING:
    from shakegpt.model.language_model import LanguageModel
    from shakegpt.training.trainer import Trainer

_REQUEST_POLL_SECONDS = 0.5
_LOADING_SECONDS = 3.0


class TrainingThread(SourceThread):
    """Trains a run on a thread, and publishes its snapshots; a ``TrainingSource``.

    The thread is no daemon: a process that ends waits for the run to be saved.

    Args:
        prepare: makes the trainer; called on the thread, since it imports torch and reads a corpus.
        begin: what to show until the trainer is made, such as the run that is to be resumed.
    """

    owned = True
    read_only = False

    def __init__(self, prepare: "Callable[[], Trainer]", *, begin: Snapshot | None = None) -> None:
        super().__init__("shakegpt-training", daemon=False)
        self._snapshot = begin or Snapshot()
        self._prepare = prepare
        self._trainer: Trainer | None = None
        self._commands = threading.Condition()
        self._pause_requested = self._stop_requested = self._save_requested = False
        self._model_requests: deque[Future[LanguageModel]] = deque()
        self.exit_code = 1
        """The exit code for a failed run: 2 where the request was invalid."""

    # Commands, from any thread

    def pause(self) -> None:
        """See ``TrainingSource``."""
        with self._commands:
            self._pause_requested = True
            self._commands.notify()

    def resume(self) -> None:
        """See ``TrainingSource``."""
        with self._commands:
            self._pause_requested = False
            self._commands.notify()

    def save(self) -> None:
        """See ``TrainingSource``."""
        with self._commands:
            self._save_requested = True
            self._commands.notify()

    def stop(self) -> None:
        """See ``TrainingSource``."""
        with self._commands:
            self._stop_requested = True
            if self._trainer is not None:
                self._trainer.stop()
            self._commands.notify()

    def copy_model(self) -> "Future[LanguageModel]":
        """See ``TrainingSource``."""
        future: Future[LanguageModel] = Future()
        with self._commands:
            self._model_requests.append(future)
            self._commands.notify()
        if not self.alive:
            self._reject_model_requests()
        return future

    def close(self) -> None:
        """Do nothing: the training goes on until it is stopped."""

    def await_end(self) -> int | None:
        """See ``TrainingSource``: a training that is still loading has nothing to lose."""
        if self.is_alive():  # not where a signal arrives before the thread was started, which join() refuses
            self.join(_LOADING_SECONDS)
        if self._trainer is not None:
            self.join()
        return self.exit_code if self._snapshot.state == "failed" else None

    # On the thread

    def run(self) -> None:
        """Train to the end. Whatever goes wrong becomes the run's last event."""
        try:
            self._trainer = self._prepare()
            if self._stop_requested:
                self._trainer.stop()
            self._snapshot = self._trainer.run.snapshot().continued()  # of a run that is resumed; a new one has none
            for event in self._trainer:
                self._publish(advance(self._snapshot, event), event)
                self._run_commands(self._trainer)
        except ShakegptError as error:
            self.exit_code = error.exit_code
            self._fail(str(error))
        except Exception as error:
            if os.environ.get("SHAKEGPT_DEBUG") == "1":
                raise
            self._fail(describe_failure(error))
        finally:
            if self.alive:
                self._fail("The training ended without saying how.")
            self._reject_model_requests()

    def _run_commands(self, trainer: "Trainer") -> None:
        """Carry out the commands that came since the last event; while paused, stay here."""
        while True:
            self._read_request(trainer)
            with self._commands:
                self._answer_model_requests(trainer)
                if self._save_requested:
                    self._save_requested = False
                    trainer.save()
                if self._pause_requested and trainer.save_pending():  # the trainer saves when its steps have ended
                    return
                if self._stop_requested or not self._pause_requested:
                    break
                self._set_state("paused")
                self._commands.wait(timeout=_REQUEST_POLL_SECONDS)
        if self._snapshot.state == "paused":
            self._set_state("training")

    def _read_request(self, trainer: "Trainer") -> None:
        """Carry out a request that ``shakegpt stop`` or ``shakegpt watch`` has written to the run's folder."""
        if (request := trainer.run.take_request()) is not None:
            {"pause": self.pause, "resume": self.resume, "save": self.save, "stop": self.stop}[request]()

    def _answer_model_requests(self, trainer: "Trainer") -> None:
        while self._model_requests:
            future = self._model_requests.popleft()
            if future.set_running_or_notify_cancel():
                future.set_result(trainer.copy_model())

    def _reject_model_requests(self) -> None:
        with self._commands:
            while self._model_requests:
                future = self._model_requests.popleft()
                if future.set_running_or_notify_cancel():
                    future.set_exception(ShakegptError("The training has ended; generate from its last checkpoint."))

    def _fail(self, message: str) -> None:
        failed = Failed(step=self._snapshot.current_step, message=message)
        self._publish(advance(self._snapshot, failed), failed)

    def _set_state(self, state: State) -> None:
        if self._snapshot.state != state and self._snapshot.state not in ENDED:
            self._publish(replace(self._snapshot, state=state), None)
