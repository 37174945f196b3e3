"""A run that another process trains, followed through its log."""

import os
import threading
from dataclasses import replace
from pathlib import Path

from shakegpt.events import Event, Step
from shakegpt.runs.event_log import parse_events
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import ENDED, Snapshot, State, replay
from shakegpt.runs.source import SourceThread
from shakegpt.system.files import open_regular

PROCESS_ENDED = "The process that trained this run has ended; resume it from its last checkpoint."
_CHUNK_BYTES = 1 << 20


class LogTail:
    """Reads what has been added to a log since the last read.

    A trainer that goes back to an earlier checkpoint may cut its log short. So each read first compares the last line
    of the one before: where that line is gone, the log is read from the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._last_line = b""

    def read(self) -> tuple[bool, list[Event]]:
        """Return whether the log was read from the start again, and the events of the lines completed since."""
        try:
            with open_regular(self._path) as file:
                file.seek(self._offset - len(self._last_line))
                restarted = file.read(len(self._last_line)) != self._last_line
                if restarted:
                    self._offset, self._last_line = 0, b""
                    file.seek(0)
                return restarted, self._parse(file.read(_CHUNK_BYTES))
        except (OSError, ValueError):
            return False, []

    def _parse(self, data: bytes) -> list[Event]:
        complete = data[: data.rfind(b"\n") + 1]
        if not complete and len(data) == _CHUNK_BYTES:
            complete = data  # longer than the line of any event: skip it
        self._offset += len(complete)
        lines = complete.splitlines(keepends=True)
        if lines:
            self._last_line = lines[-1]
        return list(parse_events(lines))


class Follower(SourceThread):
    """Shows a run of another process, live, and passes commands on to it; a ``TrainingSource``.

    A process that was killed leaves no last event, so the follower also checks whether the run is still locked.
    ``interval`` is the number of seconds between two reads of the log; ``read_only`` lets no command through.
    """

    owned = False

    def __init__(self, run: Run, *, interval: float = 0.25, read_only: bool = False) -> None:
        super().__init__(f"follow {run.name}", daemon=True)
        self._run = run
        self._read_only = read_only or not os.access(run.path, os.W_OK)  # as in a store that others share with us
        self.owner = run.owner()
        """The process that trains the run; ``None`` where it has ended."""
        self._begin: Snapshot | None = None
        self._tail = LogTail(run.metrics_path)
        self._interval = interval
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._pause_requested = self._paused = False

    @property
    def read_only(self) -> bool:
        """Whether commands do not reach the run's process: it is on another host, or we may not write here."""
        return self._read_only or (self.owner is not None and not self.owner.here)

    def pause(self) -> None:
        """See ``TrainingSource``."""
        self._run.request("pause")
        self._pause_requested, self._paused = True, False
        self._wake.set()

    def resume(self) -> None:
        """See ``TrainingSource``."""
        self._run.request("resume")
        self._pause_requested = False
        self._wake.set()

    def save(self) -> None:
        """See ``TrainingSource``."""
        self._run.request("save")

    def stop(self) -> None:
        """See ``TrainingSource``."""
        self._run.request("stop")

    def copy_model(self) -> None:
        """Return ``None``: the weights are in another process."""

    def await_end(self) -> None:
        """Return at once: this process trains nothing."""

    def close(self) -> None:
        """See ``TrainingSource``."""
        self._closed.set()
        self._wake.set()

    # On the thread

    def run(self) -> None:
        """Follow the run until closed."""
        while not self._closed.is_set():
            if not self.poll():
                self.check_alive()
                self._wake.wait(self._interval)
                self._wake.clear()

    def poll(self) -> bool:
        """Publish what the log says now; return whether anything was new."""
        paused = self._pause_requested and not self._run.has_request()
        if self._begin is None:  # not before the thread runs: the log of a fork's parent may be long
            self._begin = self._snapshot = self._run.before_fork()
        restarted, events = self._tail.read()
        snapshot = replay(events, self._begin if restarted else self._snapshot)
        # The log does not say that a run is paused: it is once it has taken the request, until it takes a step again.
        # All steps before it took the request were read by the end of the poll before.
        if self._paused and any(isinstance(event, Step) for event in events):
            self._pause_requested = paused = False
        self._paused = paused
        if snapshot.state in ("training", "paused"):
            state: State = "paused" if paused else "training"
            snapshot = snapshot if snapshot.state == state else replace(snapshot, state=state)
        if snapshot is self._snapshot:
            return False
        self._publish(snapshot, events[-1] if events else None)
        return True

    def check_alive(self) -> None:
        """Publish a failure where the run's process ended without a last event."""
        if self._snapshot.state in ENDED or self._run.is_locked() or self.poll():
            return  # its last event may have been written since the last poll
        self._publish(replace(self._snapshot, state="failed", message=PROCESS_ENDED), None)
