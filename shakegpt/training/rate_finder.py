"""The learning-rate range test in a process of its own: for a screen that must not wait for it, and may cancel it.

A process can be killed in the middle of a step, however long that takes, and gives its memory back. It writes one JSON
object a line to its standard output: one for each step, and the last with what was found or what went wrong.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from shakegpt.errors import ShakegptError
from shakegpt.runs.store import Store
from shakegpt.system.paths import HOME_VARIABLE
from shakegpt.training.setup import TrainingRequest

_SENT = ("preset", "corpus", "encoding", "changes", "begin_from")
"""Fields of the request that bear on the test."""


@dataclass(frozen=True)
class RangeProgress:
    """How far a range test has come."""

    step: int
    steps: int
    learning_rate: float
    loss: float


@dataclass(frozen=True)
class FoundRate:
    """What a range test suggests, and why, to follow the rate in one line."""

    learning_rate: float
    reason: str


OnRangeProgress = Callable[[RangeProgress], None]


class RateFinder:
    """One range test; writes nothing.

    Args:
        store: where a checkpoint to begin from is.
        request: the training to find a rate for; its text is on this machine.
        command: the program that runs the test, without the request.
    """

    def __init__(
        self,
        store: Store,
        request: TrainingRequest,
        *,
        command: Sequence[str] = (sys.executable, "-m", "shakegpt.training.rate_finder"),
    ) -> None:
        values = {name: getattr(request, name) for name in _SENT}
        self._command = [*command, json.dumps(values)]
        self._environment = {**os.environ, HOME_VARIABLE: str(store.home)}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End the test at once; from any thread, also before it has begun."""
        with self._lock:
            self._cancelled.set()
            if self._process is not None:
                self._process.kill()

    def find(self, on_progress: OnRangeProgress) -> FoundRate | None:
        """Run the test to its end; return ``None`` where it was cancelled.

        Raises:
            ShakegptError: it could not be run, or says nothing; in one sentence.
        """
        with self._lock:
            if self._cancelled.is_set():
                return None
            try:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=self._environment,
                    text=True,
                    errors="replace",
                )
            except OSError as error:
                raise ShakegptError(f"The test could not be started: {error.strerror}.") from error
        process, last = self._process, dict[str, Any]()
        with process:
            for values in _objects(process.stdout or ()):
                last = values
                if "step" in values and not self._cancelled.is_set():
                    on_progress(RangeProgress(**values))
        if self._cancelled.is_set():
            return None
        if "error" in last:
            raise ShakegptError(last["error"])
        if "reason" not in last:
            raise ShakegptError(f"The test {_end_of(process.returncode)}.")
        return FoundRate(**last)


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects among the lines; a library may print others."""
    for line in lines:
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict):
            yield values


def _end_of(code: int) -> str:
    if code == -signal.SIGKILL:
        return "was killed, perhaps for want of memory"
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended without a result (exit code {code})"


# In the process of the test


def main(request: str) -> None:
    """Run the test that a request asks for, and print how it goes."""
    try:
        for values in _run(TrainingRequest(**json.loads(request))):
            print(json.dumps(values), flush=True)
    except BrokenPipeError:  # nobody waits for the result any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except (ShakegptError, ValueError) as error:
        print(json.dumps({"error": str(error)}))
    except Exception as error:
        print(json.dumps({"error": f"The test ended unexpectedly ({type(error).__name__}: {error})."}))


def _run(request: TrainingRequest) -> Iterator[dict[str, Any]]:
    from shakegpt.system.threads import configure_process
    from shakegpt.training.lr_range import RangeTest, read_range_test
    from shakegpt.training.setup import prepare_training

    configure_process()
    test = RangeTest(prepare_training(Store.default(), request))
    points = []
    for point in test:
        points.append(point)
        yield {
            "step": len(points),
            "steps": test.steps,
            "learning_rate": point.learning_rate,
            "loss": point.loss,
        }
    result = read_range_test(points)
    yield {"learning_rate": result.suggestion, "reason": result.short_reason}


if __name__ == "__main__":
    main(sys.argv[1])
