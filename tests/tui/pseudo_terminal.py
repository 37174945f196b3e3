"""The app in a real pseudo-terminal: what a user types, what is on the screen, and a link that may drop."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pyte

from tests.processes import PATIENCE

_SIZE = (100, 30)
# The command, with a preset nano that trains until it is stopped: how fast the machine is does not matter then.
_LONG_NANO = """
import sys
from shakegpt.cli import main
from shakegpt import config
config.PRESETS["nano"].training["steps"] = 1_000_000
config.MAX_PASSES = 1_000_000
sys.argv[0] = "shakegpt"
main()
"""


def _begin_session(*, nohup: bool) -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if nohup:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


class TerminalApp:
    """Runs the ``shakegpt`` command in a terminal of its own session, as sshd would.

    Args:
        arguments: the command's.
        home: its ``$SHAKEGPT_HOME``.
        nohup: start it with SIGHUP ignored.
        long_nano: let the preset ``nano`` train for ever.
        size: the terminal's columns and rows.
        environment: more variables.
    """

    def __init__(
        self,
        *arguments: str,
        home: Path,
        nohup: bool = False,
        long_nano: bool = False,
        size: tuple[int, int] = _SIZE,
        **environment: str,
    ) -> None:
        columns, rows = size
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._slave = slave  # kept open to read the settings that the program leaves behind
        self.settings_before = self.settings()
        self.written = b""
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.process = subprocess.Popen(
            [sys.executable, *(["-c", _LONG_NANO] if long_nano else ["-m", "shakegpt"]), *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: _begin_session(nohup=nohup),
            env={
                **os.environ,
                "SHAKEGPT_HOME": str(home),
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
                "LC_ALL": "C.UTF-8",
                **environment,
            },
        )

    def settings(self) -> list[Any]:
        """Return the terminal's attributes."""
        return termios.tcgetattr(self._slave)

    @property
    def screen(self) -> str:
        """The text on the screen."""
        return "\n".join(self._screen.display)

    @property
    def cells(self) -> Any:
        """The characters on the screen with their colours, by row and column."""
        return self._screen.buffer

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def wait_for_text(self, text: str) -> None:
        """Wait until ``text`` is on the screen."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert time.monotonic() < deadline, f"{text!r} never appeared on:\n{self.screen}"
            assert self._read(1.0) or self.process.poll() is None, f"it ended before {text!r}:\n{self.screen}"

    def read_until(self, deadline: float) -> None:
        """Show what the program writes, until the monotonic clock reaches a time."""
        while (left := deadline - time.monotonic()) > 0:
            self._read(left)

    def _read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self._master], [], [], seconds)
        if not ready:
            return False
        data = os.read(self._master, 65536)
        self.written += data
        self._stream.feed(data)
        return True

    def stall(self) -> None:
        """Stop the flow, as a dead link does."""
        termios.tcflow(self._slave, termios.TCOOFF)

    def hang_up(self) -> None:
        """Drop the link."""
        os.close(self._slave)
        os.close(self._master)
        self._slave = self._master = -1

    def signal(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self.process.send_signal(number)

    def wait_for_exit(self, *, reading: bool = True) -> int:
        """Wait until the program has ended, reading what it still writes; return its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end:\n{self.screen}"
            if reading and self._master >= 0:
                self._read(0.1)
            else:
                select.select([], [], [], 0.02)
        while reading and self._master >= 0 and self._read(0):
            pass
        assert self.process.returncode is not None
        return self.process.returncode

    def close(self) -> None:
        """End the program and close the terminal, whatever is left of them."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._slave >= 0:
            self.hang_up()
