"""How a training process reacts to SIGINT, SIGTERM and SIGHUP: one mechanism for the console and the app.

Python runs a signal handler in the main thread, which may be blocked, in a write to a stalled terminal for example. So
the handlers do nothing: the interpreter writes each signal's number to a pipe at once, and threads of our own read it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import NoReturn

from shakegpt.config import OnHangup

_GRACE_SECONDS = 1.0
_STANDARD_STREAMS = (0, 1, 2)


class ShutdownHandler:
    """Turns SIGINT, SIGTERM and SIGHUP into a saved run and the right exit code.

    The first SIGINT or SIGTERM asks the training to stop, which saves; a second ends the process at once and leaves the
    last checkpoint whole. SIGHUP (the link dropped) detaches the process from its terminal, and goes on or stops as
    ``on_hangup`` says. A signal that the process was started to ignore (SIGHUP under nohup, SIGINT in the background of
    a script) stays ignored.

    Args:
        stop: asks the training to finish its step, save and end. Called on a thread of its own.
        await_end: waits until the training has ended, or has nothing to lose; returns its exit code if it failed.
        on_hangup: ``continue`` or ``save``.
        on_detach: called after the process was detached from its terminal, on a thread of its own.
        restore_terminal: resets the terminal before the process ends at once. It must not block.
    """

    def __init__(
        self,
        *,
        stop: Callable[[], None],
        await_end: Callable[[], int | None],
        on_hangup: OnHangup = "continue",
        on_detach: Callable[[], None] = lambda: None,
        restore_terminal: Callable[[], None] = lambda: None,
    ) -> None:
        self._stop, self._await_end = stop, await_end
        self._on_detach, self._restore_terminal = on_detach, restore_terminal
        self._on_hangup = on_hangup
        self._handles_hangup = False
        self._terminals = [number for number in _STANDARD_STREAMS if os.isatty(number)]  # isatty fails once it is gone
        self._signals: SimpleQueue[int] = SimpleQueue()
        self._finished = threading.Event()
        self.exit_code: int | None = None
        """The exit code that a signal asks for; ``None`` where none arrived."""
        self.detached = False
        """Whether the terminal is gone."""

    def install(self) -> None:
        """Install the signal handlers. Only from the main thread."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGTERM or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        self._handles_hangup = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
        threading.Thread(target=self._listen, args=(reader,), name="shakegpt-signals", daemon=True).start()
        threading.Thread(target=self._act, name="shakegpt-shutdown", daemon=True).start()

    def hang_up(self) -> None:
        """Do what SIGHUP does, for a caller that finds the terminal gone before the signal arrives."""
        if self._handles_hangup:
            self._signals.put(signal.SIGHUP)

    def finish(self) -> None:
        """Flush the output before the main thread ends; where that blocks, the process is ended a moment later."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        self._finished.set()

    def detach(self) -> None:
        """Let go of a terminal that is gone: reads find nothing and wait, writes vanish, and neither spins.

        Standard input, output or error that is a file or a pipe stays as it is.
        """
        if self.detached:
            return
        self.detached = True
        idle, _never_written = os.pipe()
        os.set_blocking(idle, False)  # a reader that was promised input just before the terminal went must not block
        null = os.open(os.devnull, os.O_WRONLY)
        for number in self._terminals:
            os.dup2(null if number else idle, number)
        with suppress(Exception):
            self._on_detach()

    def _listen(self, reader: int) -> None:
        while True:
            number = os.read(reader, 1)[0]
            if number in (signal.SIGINT, signal.SIGTERM):
                if self.exit_code is not None:
                    self._exit_now(self.exit_code)
                self.exit_code = 128 + number
            if number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._signals.put(number)

    def _act(self) -> None:
        while True:
            if self._signals.get() == signal.SIGHUP:
                self.detach()
                if self._on_hangup == "save":
                    self._stop()
                continue
            self._stop()
            failure = self._await_end()
            # The main thread now prints its last lines and ends the process, unless a stalled terminal blocks it.
            if not self._finished.wait(_GRACE_SECONDS):
                self._exit_now(failure or self.exit_code or 1)

    def _exit_now(self, code: int) -> None:
        with suppress(Exception):
            self._restore_terminal()
        os._exit(code)


def end_process(code: int) -> NoReturn:
    """End the process at once, where daemon threads may be inside torch. Output must have been flushed.

    An interpreter that ends stops such a thread as it leaves torch's C++, which aborts the whole process (SIGABRT).
    """
    os._exit(code)
