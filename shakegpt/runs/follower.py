"""A run of another process, followed through its log: the same surface as a training thread of our own."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from shakegpt.events import Event, Step
from shakegpt.runs.event_log import parse_events
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import ENDED, Snapshot, State, advance
from shakegpt.runs.source import Subscriber
from shakegpt.system.files import open_regular

PROCESS_GONE = "The process that trained this run is gone; resume it from its last checkpoint."
_CHUNK = 1 << 20


class LogTail:
    """Reads what has been added to a log since the last look.

    A writer that goes on from an earlier checkpoint may cut its log back. The last line read is therefore looked at
    again each time: where it no longer stands, the log is read anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._last = b""

    def read(self) -> tuple[bool, list[Event]]:
        """Return whether the log starts over, and the events of the lines completed since the last look."""
        try:
            with open_regular(self._path) as file:
                file.seek(self._offset - len(self._last))
                anew = file.read(len(self._last)) != self._last
                if anew:
                    self._offset, self._last = 0, b""
                    file.seek(0)
                return anew, self._parse(file.read(_CHUNK))
        except (OSError, ValueError):
            return False, []

    def _parse(self, data: bytes) -> list[Event]:
        complete = data[: data.rfind(b"\n") + 1]
        if not complete and len(data) == _CHUNK:
            complete = data  # no line of ours is as long: step over it
        self._offset += len(complete)
        lines = complete.splitlines(keepends=True)
        if lines:
            self._last = lines[-1]
        return list(parse_events(lines))


class Follower:
    """Shows a run of another process, live, and passes commands on to it.

    Reading happens on a thread of its own; a subscriber is called back on that thread. A run that ended without saying
    so, by kill -9 or a power cut, is told apart by asking whether any process still holds it.
    """

    owned = False

    def __init__(self, run: Run, *, interval: float = 0.25) -> None:
        self.run = run
        self.owner = run.owner()
        """The process that trains the run; ``None`` where it has ended."""
        self._tail = LogTail(run.metrics_path)
        self._interval = interval
        self._snapshot = Snapshot()
        self._callbacks: list[Subscriber] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._pause_asked = False
        self._heard = False
        self._thread = threading.Thread(target=self._follow, name=f"follow {run.name}", daemon=True)

    @property
    def latest(self) -> Snapshot:
        """The run as it stood at the last look."""
        return self._snapshot

    @property
    def alive(self) -> bool:
        """Whether the run has not ended."""
        return self._snapshot.state not in ENDED

    @property
    def read_only(self) -> bool:
        """Whether the run's process is on another host, where commands do not reach it."""
        return self.owner is not None and not self.owner.here

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Look away; the run itself goes on."""
        self._closed.set()
        self._wake.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the thread has ended."""
        self._thread.join(timeout)

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call back whenever the run has moved on; return how to end that."""
        with self._lock:
            self._callbacks.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return unsubscribe

    def pause(self) -> None:
        """Ask the run's process to hold. Raises ``ShakegptError`` where no process trains it."""
        self.run.request("pause")
        self._heard = False
        self._pause_asked = True
        self._wake.set()

    def resume(self) -> None:
        """Ask the run's process to go on. Raises ``ShakegptError`` where no process trains it."""
        self.run.request("resume")
        self._pause_asked = False
        self._wake.set()

    def save(self) -> None:
        """Ask the run's process for a checkpoint. Raises ``ShakegptError`` where no process trains it."""
        self.run.request("save")

    def stop(self) -> None:
        """Ask the run's process to save and end. Raises ``ShakegptError`` where no process trains it."""
        self.run.request("stop")

    def copy_model(self) -> None:
        """Return ``None``: the weights are in another process."""

    def await_end(self) -> None:
        """Return at once: this process trains nothing."""

    def poll(self) -> bool:
        """Take in what the log says now; return whether anything was new."""
        heard = self._pause_asked and not self.run.has_request()
        anew, events = self._tail.read()
        snapshot = Snapshot() if anew else self._snapshot
        for event in events:
            snapshot = advance(snapshot, event)
        # The log does not say that a run is paused: it is once it has heard of it, until it takes a step again. All
        # that it did before it heard had been read by the end of the look before.
        if self._heard and any(isinstance(event, Step) for event in events):
            self._pause_asked = heard = False
        self._heard = heard
        if snapshot.state in ("training", "paused"):
            state: State = "paused" if heard else "training"
            snapshot = snapshot if snapshot.state == state else replace(snapshot, state=state)
        if snapshot is self._snapshot:
            return False
        self._publish(snapshot, events[-1] if events else None)
        return True

    def check_alive(self) -> None:
        """Notice a process that is gone without a last word."""
        if self._snapshot.state in ENDED or self.run.is_locked() or self.poll():
            return  # what it said last may have been written between the two looks
        self._publish(replace(self._snapshot, state="failed", message=PROCESS_GONE), None)

    def _follow(self) -> None:
        while not self._closed.is_set():
            if not self.poll():
                self.check_alive()
                self._wake.wait(self._interval)
                self._wake.clear()

    def _publish(self, snapshot: Snapshot, event: Event | None) -> None:
        self._snapshot = snapshot
        with self._lock:
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback(event, snapshot)
