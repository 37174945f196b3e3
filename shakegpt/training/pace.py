"""How long a run has trained, and how fast it goes."""

import time
from collections import deque
from types import TracebackType

_STEPS_LOOKED_AT = 10


class Pace:
    """The time spent inside ``with``, which is training but not pauses, and the speed of the newest steps.

    Args:
        tokens_per_step: characters that one optimizer step learns from.
    """

    def __init__(self, tokens_per_step: int) -> None:
        self._tokens_per_step = tokens_per_step
        self._durations: deque[float] = deque(maxlen=_STEPS_LOOKED_AT)
        self._spent = 0.0
        self._entered: float | None = None

    @property
    def seconds(self) -> float:
        """Time spent so far, over all sessions of the run."""
        return self._spent + (0.0 if self._entered is None else time.monotonic() - self._entered)

    @seconds.setter
    def seconds(self, value: float) -> None:
        self._spent = value
        if self._entered is not None:
            self._entered = time.monotonic()

    def note_step(self, seconds: float) -> None:
        """Remember how long a step took."""
        self._durations.append(seconds)

    @property
    def tokens_per_second(self) -> float:
        """Characters a second over the newest steps; 0 before the first."""
        total = sum(self._durations)
        return self._tokens_per_step * len(self._durations) / total if total > 0 else 0.0

    def __enter__(self) -> None:
        self._entered = time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spent, self._entered = self.seconds, None
