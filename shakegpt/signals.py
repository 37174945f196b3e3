"""How the system asks a training process to end, and what is done about it.

A handler only drops the signal's number in a queue: it may interrupt any line of the main thread, even one that is
stuck writing to a terminal that nobody reads. A thread of its own then acts.
"""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from types import FrameType

_GRACE_SECONDS = 1.0


class Endings:
    """Turns SIGINT, SIGTERM and SIGHUP into a saved run and the right exit code.

    The first SIGINT or SIGTERM asks the training to stop, which saves; a second ends the process at once, leaving
    the last checkpoint whole. SIGHUP (the link dropped) leaves the terminal, and goes on or stops as ``on_hangup``
    says; where the process was started with SIGHUP ignored (nohup), it stays ignored.

    Args:
        stop: asks the training to finish its step, save and end. Called on a thread of its own.
        ended: waits until the training has ended.
        on_hangup: ``continue`` or ``save``.
        left_terminal: called after the terminal was left behind.
    """

    def __init__(
        self,
        *,
        stop: Callable[[], None],
        ended: Callable[[], None],
        on_hangup: str = "continue",
        left_terminal: Callable[[], None] = lambda: None,
    ) -> None:
        self._stop, self._ended, self._left_terminal = stop, ended, left_terminal
        self._on_hangup = on_hangup
        self._arrived: SimpleQueue[int] = SimpleQueue()
        self.exit_code: int | None = None
        """What a signal wants the process to end with; ``None`` where none came."""
        self.detached = False
        """Whether the terminal has gone."""

    def install(self) -> None:
        """Begin to listen. Only from the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._handle)
        threading.Thread(target=self._act, name="shakegpt-signals", daemon=True).start()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.exit_code is not None and number in (signal.SIGINT, signal.SIGTERM):
            os._exit(self.exit_code)
        if number in (signal.SIGINT, signal.SIGTERM):
            self.exit_code = 128 + number
        self._arrived.put(number)

    def _act(self) -> None:
        while True:
            number = self._arrived.get()
            if number == signal.SIGHUP:
                self.leave_terminal()
                if self._on_hangup == "save":
                    self._stop()
                continue
            self._stop()
            self._ended()
            # The main thread now prints its last words and ends the process, unless it is stuck on a stalled terminal.
            threading.Timer(_GRACE_SECONDS, os._exit, args=(self.exit_code,)).start()

    def leave_terminal(self) -> None:
        """Let go of a terminal that is gone: reads find nothing and wait, writes vanish, and neither spins."""
        if self.detached:
            return
        self.detached = True
        idle, _never_written = os.pipe()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(idle, 0)
        os.dup2(null, 1)
        os.dup2(null, 2)
        with suppress(Exception):
            self._left_terminal()
