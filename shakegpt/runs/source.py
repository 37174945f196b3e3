"""A run in training as a screen sees it, whether a thread of this process or another process does the work."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from shakegpt.events import Event
from shakegpt.runs.snapshot import ENDED, Snapshot

if TYPE_CHECKING:
    from shakegpt.model.language_model import LanguageModel

Subscriber = Callable[[Event | None, Snapshot], None]
"""Called on the source's thread after each event, and with ``None`` when only the state changed. Must be quick."""


class TrainingSource(Protocol):
    """A run in training: its newest snapshot, and the few commands that it takes, from any thread.

    ``TrainingThread`` trains it in this process; ``Follower`` reads the log of a run that another process trains.
    """

    @property
    def latest(self) -> Snapshot:
        """The run as of its newest event."""

    @property
    def alive(self) -> bool:
        """Whether the training has not ended."""

    @property
    def owned(self) -> bool:
        """Whether this process does the training, so that it ends with the process."""

    @property
    def read_only(self) -> bool:
        """Whether commands cannot reach the training."""

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Have a function called whenever the run has moved on; return the function that ends this."""

    def pause(self) -> None:
        """Pause before the next step. This and the other commands return at once.

        Raises:
            ShakegptError: of this and the other commands: the run is another process's, and that has ended.
        """

    def resume(self) -> None:
        """Go on after a pause."""

    def save(self) -> None:
        """Save a checkpoint after the current step."""

    def stop(self) -> None:
        """Finish the step, save, and end."""

    def copy_model(self) -> "Future[LanguageModel] | None":
        """Return a copy of the weights after the current step; ``None`` where they are another process's.

        The future fails with ``ShakegptError`` where the training ends before that.
        """

    def close(self) -> None:
        """Stop following the run. The training goes on."""

    def join(self) -> None:
        """Wait until the source's thread has ended."""

    def await_end(self) -> int | None:
        """Wait until a training of this process has ended; while it is still loading, only for some seconds.

        Returns:
            The exit code that a failure asks for; ``None`` where there was none.
        """


class SourceThread(threading.Thread):
    """A thread that publishes a run's snapshots: what all sources have in common."""

    def __init__(self, name: str, *, daemon: bool) -> None:
        super().__init__(name=name, daemon=daemon)
        self._snapshot = Snapshot()
        self._subscribers: list[Subscriber] = []

    @property
    def latest(self) -> Snapshot:
        """See ``TrainingSource``."""
        return self._snapshot

    @property
    def alive(self) -> bool:
        """See ``TrainingSource``."""
        return self._snapshot.state not in ENDED

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """See ``TrainingSource``."""
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._subscribers.remove(subscriber)

        return unsubscribe

    def _publish(self, snapshot: Snapshot, event: Event | None) -> None:
        self._snapshot = snapshot
        for subscriber in tuple(self._subscribers):
            with suppress(Exception):  # a screen that fails must not end a training
                subscriber(event, snapshot)
