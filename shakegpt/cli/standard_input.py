"""Text that is piped in."""

import sys
import threading

from shakegpt.cli.output import print_note
from shakegpt.errors import UsageError

_WAITING_SECONDS = 2.0
"""How long standard input may be idle before a note says that the command waits for it."""


def read_standard_input(what: str) -> bytes:
    """Return all of standard input.

    A pipe that nobody writes to looks like a command that hangs, so that a note says after a moment what is awaited.

    Args:
        what: what is expected there, such as ``prompt``.
    """
    note = f"Waiting for the {what} on standard input, which ends with Ctrl-D on a terminal."
    reminder = threading.Timer(_WAITING_SECONDS, print_note, [note])
    reminder.daemon = True
    reminder.start()
    try:
        return sys.stdin.buffer.read()
    finally:
        reminder.cancel()


def read_text_from_standard_input(what: str) -> str:
    """Return all of standard input as text, read as files are: line ends are newlines, a byte order mark goes.

    Raises:
        UsageError: it is not UTF-8.
    """
    data = read_standard_input(what)
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"The {what} is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}.") from None
