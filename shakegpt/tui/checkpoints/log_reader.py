"""Reads the logs of runs for the screen that lists them."""

import threading
from collections import OrderedDict
from pathlib import Path

from shakegpt.runs.follower import LogTail
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import Snapshot, replay

_KEPT = 12


class LogReader:
    """Keeps the newest few runs that were read, so that of a run in training only what is new is read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: OrderedDict[Path, tuple[LogTail, Snapshot]] = OrderedDict()

    def read(self, run: Run) -> Snapshot:
        """Return a run as of its newest event. Takes a while for a long log; from any thread."""
        with self._lock:
            tail, snapshot = self._read.pop(run.path, (LogTail(run.metrics_path), Snapshot()))
            while True:
                restarted, events = tail.read()
                snapshot = replay(events, Snapshot() if restarted else snapshot)
                if not events:
                    break
            self._read[run.path] = tail, snapshot
            while len(self._read) > _KEPT:
                self._read.popitem(last=False)
            return snapshot
