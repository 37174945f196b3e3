"""Tells a user of a training: by commands, which run here, and by sequences that the terminal's owner writes.

Nothing here holds a training up: it hands over a snapshot and goes on.
"""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from shakegpt.events import Event
from shakegpt.runs.notifications import Notification, notifications_between, stall, stall_limit
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.terminal_notice import BELL, DESKTOP, RING, desktop_notification

_CHECK_SECONDS = 5.0
_COMMAND_SECONDS = 60.0
_FINISH_SECONDS = 10.0
_MOST_ERROR_BYTES = 500

Update = TypeVar("Update")


class CommandThread(threading.Thread):
    """Runs a command for each notification, one after the other; it ends with the process.

    The command is a line for the shell. It gets the notification as JSON on standard input, and as ``SHAKEGPT_*``
    variables. What it prints is dropped. One that fails, or takes longer than ``seconds``, is warned of once.
    """

    def __init__(self, command: str, warn: Callable[[str], None], seconds: float = _COMMAND_SECONDS) -> None:
        super().__init__(name="shakegpt-notify-command", daemon=True)
        self._command = command
        self._warn = warn
        self._seconds = seconds
        self._waiting: SimpleQueue[Notification | None] = SimpleQueue()
        self._warned = False

    def tell(self, notification: Notification) -> None:
        """Have the command run; returns at once."""
        self._waiting.put(notification)

    def close(self) -> None:
        """End the thread after the notifications told so far; returns at once."""
        self._waiting.put(None)

    def await_end(self, seconds: float) -> None:
        """Wait for the commands so long; one that takes longer is left running."""
        self.join(seconds)
        if self.is_alive():
            self._warn_once("has not ended yet and is left to itself.")

    def run(self) -> None:
        """Run the command for each notification until ``close``."""
        while (notification := self._waiting.get()) is not None:
            try:
                self._run_command(notification)
            except (OSError, ValueError) as error:
                self._warn_once(f"could not be run: {error}.")

    def _run_command(self, notification: Notification) -> None:
        # Files rather than pipes, which may fill, or be held open by what the command leaves in the background.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
            given.write((json.dumps(notification.to_json()) + "\n").encode())
            given.seek(0)
            process = subprocess.Popen(
                self._command,
                shell=True,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, **notification.variables()},
                start_new_session=True,  # Ctrl-C is not for it
            )
            try:
                code = process.wait(self._seconds)
            except subprocess.TimeoutExpired:
                with suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self._warn_once(f"took longer than {self._seconds:g} seconds and was ended.")
                return
            if code:
                errors.seek(0)
                said = errors.read(_MOST_ERROR_BYTES).decode(errors="replace").strip().split("\n")[-1].rstrip(".")
                self._warn_once(f"failed with {code}" + (f": {said}." if said else "."))

    def _warn_once(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            self._warn(f"The command of --notify, {self._command!r}, {what}")


class Sender:
    """Tells the user of notifications, in the ways they chose.

    Args:
        ways: ``bell``, ``desktop``, or a command.
        write: called with the sequences for the terminal, on the thread that tells.
        warn: called with what the user should know of a command, from any thread.
    """

    def __init__(self, ways: Sequence[str], *, write: Callable[[str], None], warn: Callable[[str], None]) -> None:
        ways = list(dict.fromkeys(ways))
        self._rings, self._shows = RING in ways, DESKTOP in ways
        self._write = write
        self._commands = [CommandThread(way, warn) for way in ways if way not in (RING, DESKTOP)]

    def start(self) -> None:
        """Begin to run commands."""
        for command in self._commands:
            command.start()

    def tell(self, notification: Notification) -> None:
        """Tell the user; no command is waited for."""
        for command in self._commands:
            command.tell(notification)
        sequence = desktop_notification(notification.message, os.environ) if self._shows else ""
        sequence += BELL if self._rings else ""
        if sequence:
            with suppress(Exception):  # the terminal may be gone
                self._write(sequence)

    def close(self) -> None:
        """End after the commands of what was told; returns at once."""
        for command in self._commands:
            command.close()

    def await_end(self, deadline: float) -> None:
        """Wait for the commands until ``time.monotonic()`` is ``deadline``."""
        for command in self._commands:
            command.await_end(max(0.0, deadline - time.monotonic()))


class StallWatch:
    """Finds out that a run does not move on; after a pause that came to an end, only of one twice as long.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._moved_at = clock()
        self._stalled = False
        self._longest_pause = 0.0
        """Of those that were told as a stall, and were none in the end."""

    def moved(self) -> None:
        """Take note that the run has moved on."""
        now = self._clock()
        if self._stalled:
            self._stalled, self._longest_pause = False, max(self._longest_pause, now - self._moved_at)
        self._moved_at = now

    def check(self, snapshot: Snapshot) -> Notification | None:
        """Return what there is to tell of a stall, once."""
        pause = self._clock() - self._moved_at
        limit, usual = stall_limit(snapshot)
        if snapshot.state != "training" or self._stalled or pause <= max(limit, 2 * self._longest_pause):
            return None
        self._stalled = True
        return stall(snapshot, pause, usual)


class FollowingThread(threading.Thread, Generic[Update]):
    """Takes what a training or a sweep publishes, and tells its user on a thread of its own.

    Args:
        sender: tells.
    """

    def __init__(self, sender: Sender) -> None:
        super().__init__(name="shakegpt-notify", daemon=True)
        self._sender = sender
        self._waiting: SimpleQueue[Update | None] = SimpleQueue()

    def close(self) -> None:
        """Tell what has been received so far, then end; returns at once."""
        self._waiting.put(None)

    def finish(self, seconds: float = _FINISH_SECONDS) -> None:
        """Close, and wait for the commands, so many seconds in all at most."""
        deadline = time.monotonic() + seconds
        self.close()
        self.join(seconds)
        self._sender.await_end(deadline)

    def run(self) -> None:
        """Tell until ``close``."""
        self._sender.start()
        while True:
            try:
                update = self._waiting.get(timeout=_CHECK_SECONDS)
            except Empty:
                self.check_stall()
                continue
            if update is None:
                break
            self.tell_changes(update)
        self._sender.close()

    def tell_changes(self, update: Update) -> None:
        """Tell what is new in an update."""
        raise NotImplementedError

    def check_stall(self) -> None:
        """Tell of what does not move on."""
        raise NotImplementedError


class Notifier(FollowingThread[Snapshot]):
    """Follows a training and tells its user; ``receive`` subscribes to a ``TrainingSource``.

    Args:
        sender: tells.
        begin: the run before; ``None`` where it is followed through its log, whose past is not told.
        running: whether the run is known to be in training; else its end is told only if it has moved on before.
        clock: seconds.
    """

    def __init__(
        self,
        sender: Sender,
        *,
        begin: Snapshot | None,
        running: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(sender)
        self._running = running
        self._told = begin
        self._latest = begin or Snapshot()
        self._stalls = StallWatch(clock)

    def receive(self, _: Event | None, snapshot: Snapshot) -> None:
        """Take a snapshot; returns at once. Called on the training's thread."""
        before, self._latest = self._latest, snapshot
        self._stalls.moved()
        if snapshot.state != before.state or snapshot.warning is not before.warning:
            self._waiting.put(snapshot)

    def tell_changes(self, update: Snapshot) -> None:
        """Tell what is new in a snapshot."""
        before, self._told = self._told, update
        if before is None:
            return
        self._running = self._running or update.current_step > before.current_step
        if self._running:
            for notification in notifications_between(before, update):
                self._sender.tell(notification)

    def check_stall(self) -> None:
        """Tell once that the run does not move on."""
        if (stalled := self._stalls.check(self._latest)) is not None:
            self._sender.tell(stalled)
