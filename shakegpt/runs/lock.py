"""The lock of a run: only one process at a time writes it.

The lock is the kernel's (``flock``), so no crash leaves a run locked; the file's text only names the owner.
"""

import errno
import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from shakegpt.errors import RunBusyError, ShakegptError
from shakegpt.system.files import FILE_MODE, read_bounded
from shakegpt.system.json_records import StrictRecord, parse_record
from shakegpt.system.text import escape_line

_TIMEOUT_SECONDS = 0.5  # a reader that asks whether the run is locked has the lock for some microseconds
_RETRY_SECONDS = 0.02
_LOCKED = frozenset({errno.EAGAIN, errno.EACCES})
"""What a lock fails with that another process has."""
_TEXT_BYTES = 512  # always as many, so that naming the next owner is one write that no reader sees half of


@dataclass(frozen=True, kw_only=True)
class LockOwner(StrictRecord):
    """The process that has a run's lock."""

    pid: int
    host: str

    @property
    def here(self) -> bool:
        """Whether it runs on this host."""
        return self.host == socket.gethostname()

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        return f"process {self.pid} on {escape_line(self.host)}"


class RunLock:
    """The right to write a run, until closed or the process ends.

    Raises:
        RunBusyError: another process has it; the message says which, on which host.
        ShakegptError: the lock cannot be opened, or the run was removed meanwhile.
    """

    def __init__(self, path: Path, run: str) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise ShakegptError(f"The run {run} cannot be written: {path} does not open ({error.strerror}).") from error
        try:
            self._acquire(path, run)
        except BaseException:
            self.close()
            raise

    def _acquire(self, path: Path, run: str) -> None:
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in _LOCKED:
                    raise ShakegptError(
                        f"The run {run} cannot be locked ({error.strerror}); keep the store on a file system that has "
                        "locks."
                    ) from error
            if time.monotonic() >= deadline:
                raise run_busy_error(run, lock_owner(path))
            time.sleep(_RETRY_SECONDS)
        if not _is_open_file(path, self._descriptor):
            raise ShakegptError(f"The run {run} was just removed or renamed by another process.")
        text = json.dumps(asdict(LockOwner(pid=os.getpid(), host=socket.gethostname())))
        with suppress(OSError):  # the name is only for messages, so a full disk is no reason to stop
            os.pwrite(self._descriptor, text.encode().ljust(_TEXT_BYTES), 0)

    def close(self) -> None:
        """Release the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_locked(path: Path) -> bool:
    """Return whether a living process has this lock, without disturbing it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _LOCKED  # otherwise the file system has no locks, so nobody has this one
    finally:
        os.close(descriptor)
    return False


def lock_owner(path: Path) -> LockOwner | None:
    """Return the process that has this lock, if one does; process 0 where it has not named itself."""
    if not is_locked(path):
        return None
    return last_owner(path) or LockOwner(pid=0, host="")


def last_owner(path: Path) -> LockOwner | None:
    """Return the process that had this lock last, living or not; ``None`` where it has not named itself."""
    try:
        return parse_record(read_bounded(path, _TEXT_BYTES), LockOwner)
    except (OSError, ValueError):
        return None


def run_busy_error(run: str, owner: LockOwner | None) -> RunBusyError:
    """Return the error that says which process trains a run, and what to do about it."""
    return RunBusyError(
        f"The run {run} is being trained by {owner or 'another process'}; stop it with `shakegpt stop {run}`, watch it "
        f"with `shakegpt watch {run}`, or give this run another name with --run."
    )


def _is_open_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except OSError:
        return False
