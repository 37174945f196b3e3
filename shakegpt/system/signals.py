"""How the system asks a training process to end, and what is done about it: one mechanism for the console and the app.

A handler only drops the signal's number in a queue: it may interrupt any line of the main thread, even one that is
stuck writing to a terminal that nobody reads. A thread of its own then acts.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType

from shakegpt.config import OnHangup

_GRACE_SECONDS = 1.0
_STANDARD = (0, 1, 2)


class ShutdownHandler:
    """Turns SIGINT, SIGTERM and SIGHUP into a saved run and the right exit code.

    The first SIGINT or SIGTERM asks the training to stop, which saves; a second ends the process at once, leaving
    the last checkpoint whole. SIGHUP (the link dropped) leaves the terminal, and goes on or stops as ``on_hangup``
    says. What the process was started to ignore (SIGHUP under nohup, SIGINT in the background of a script) stays
    ignored.

    Args:
        stop: asks the training to finish its step, save and end. Called on a thread of its own.
        ended: waits until the training has ended, or has nothing to lose; returns the exit code it asks for, if any.
        on_hangup: ``continue`` or ``save``.
        left_terminal: called after the terminal was left behind, on a thread of its own.
        restore: puts the terminal in order before the process ends at once. It must not block.
    """

    def __init__(
        self,
        *,
        stop: Callable[[], None],
        ended: Callable[[], int | None],
        on_hangup: OnHangup = "continue",
        left_terminal: Callable[[], None] = lambda: None,
        restore: Callable[[], None] = lambda: None,
    ) -> None:
        self._stop, self._ended = stop, ended
        self._left_terminal, self._restore = left_terminal, restore
        self._on_hangup = on_hangup
        self._heeds_hangup = False
        self._terminals = [number for number in _STANDARD if os.isatty(number)]  # a dead one no longer says that it is
        self._arrived: SimpleQueue[int] = SimpleQueue()
        self._settled = threading.Event()
        self.exit_code: int | None = None
        """What a signal wants the process to end with; ``None`` where none came."""
        self.detached = False
        """Whether the terminal has gone."""

    def install(self) -> None:
        """Begin to listen. Only from the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._handle)
        self._heeds_hangup = signal.getsignal(signal.SIGHUP) == self._handle
        threading.Thread(target=self._act, name="shakegpt-signals", daemon=True).start()

    def hang_up(self) -> None:
        """Do what SIGHUP does: for whoever finds the terminal gone before a signal says so."""
        if self._heeds_hangup:
            self._arrived.put(signal.SIGHUP)

    def settle(self) -> None:
        """Say that the last words are spoken. Where that blocks, the process ends all the same, a moment later."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        self._settled.set()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGHUP:
            if self.exit_code is not None:
                self._end_now(self.exit_code)
            self.exit_code = 128 + number
        self._arrived.put(number)

    def _act(self) -> None:
        while True:
            if self._arrived.get() == signal.SIGHUP:
                self.leave_terminal()
                if self._on_hangup == "save":
                    self._stop()
                continue
            self._stop()
            failure = self._ended()
            # The main thread now speaks its last words and ends the process, unless a stalled terminal has it.
            if not self._settled.wait(_GRACE_SECONDS):
                self._end_now(failure or self.exit_code or 1)

    def _end_now(self, code: int) -> None:
        with suppress(Exception):
            self._restore()
        os._exit(code)

    def leave_terminal(self) -> None:
        """Let go of a terminal that is gone: reads find nothing and wait, writes vanish, and neither spins.

        Where standard input, output or error is a file or a pipe, it stays.
        """
        if self.detached:
            return
        self.detached = True
        idle, _never_written = os.pipe()
        os.set_blocking(idle, False)  # a reader that was told of input while the terminal went is not held up for good
        null = os.open(os.devnull, os.O_WRONLY)
        for number in self._terminals:
            os.dup2(null if number else idle, number)
        with suppress(Exception):
            self._left_terminal()
