"""A run's log of events, ``metrics.jsonl``: one JSON object a line, appended to by one process and read by any."""

import errno
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from shakegpt.events import Event, Saved, Warning, event_from_json
from shakegpt.system.files import FILE_MODE, open_regular

_MAX_LINE_BYTES = 1024**2
_TAIL_BYTES = 64 * 1024
_MAX_UNWRITTEN = 100_000


class EventLog:
    """The log of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._failing = False
        self._unwritten: deque[bytes] = deque(maxlen=_MAX_UNWRITTEN)

    def append(self, event: Event, *, sync: bool = False) -> None:
        """Write an event, after those that could not be written so far.

        Args:
            event: what happened.
            sync: wait until all of the log is on the disk.

        Raises:
            OSError: it could not be written now; it will be written before the next one.
        """
        self._unwritten.append(json.dumps(event.to_json(), ensure_ascii=False, allow_nan=False).encode() + b"\n")
        if self._descriptor < 0:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, FILE_MODE)
        while self._unwritten:
            self._write(self._unwritten[0])
            self._unwritten.popleft()
        if sync:
            os.fsync(self._descriptor)

    def record(self, event: Event) -> Iterator[Event]:
        """Write an event and yield it; one about a checkpoint waits until all of the log is on the disk.

        A log that cannot be written must not end the training: a warning follows the first event that was not.
        """
        try:
            self.append(event, sync=isinstance(event, Saved))
            failure = ""
        except OSError as error:
            failure = (
                f"The log {self.path} cannot be written ({error.strerror}); training goes on, and the events are kept "
                "in memory until it can."
            )
        yield event
        if failure and not self._failing:
            yield Warning(step=event.step, kind="save", message=failure)
        self._failing = bool(failure)

    def _write(self, line: bytes) -> None:
        """Write a whole line or none of it, after ending a line that a killed process left half written."""
        end = os.fstat(self._descriptor).st_size
        if end and os.pread(self._descriptor, 1, end - 1) != b"\n":
            line = b"\n" + line
        if os.write(self._descriptor, line) != len(line):
            os.ftruncate(self._descriptor, end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file; the next event opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def events(self) -> Iterator[Event]:
        """Yield the events recorded so far, skipping lines that are half written or not understood."""
        with suppress(OSError, ValueError), open_regular(self.path) as file:
            yield from parse_events(_lines(file))

    def last(self) -> Event | None:
        """Return the newest event, if there is one."""
        return next(self.newest(), None)

    def newest(self) -> Iterator[Event]:
        """Yield the last hundreds of events, the newest first."""
        try:
            with open_regular(self.path) as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = list(_lines(file))
        except (OSError, ValueError):
            return
        yield from parse_events(reversed(lines))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines of bounded length: of a longer one, which is no event, the pieces."""
    while line := file.readline(_MAX_LINE_BYTES):
        yield line


def parse_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a log's lines, skipping those that are half written or not understood."""
    for line in lines:
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict) and (event := event_from_json(values)) is not None:
            yield event
