"""What makes a terminal ring, or show a notification of its desktop. Whoever owns the terminal writes it."""

import os
import select
from collections.abc import Callable, Mapping
from contextlib import suppress

from shakegpt.system.text import escape_line

RING, DESKTOP = "bell", "desktop"
"""What ``--notify`` takes beside commands."""
BELL = "\a"
_TERMINAL = "/dev/tty"
_MOST_CHARACTERS = 240
_TITLE = "shakegpt"
_BOTH = frozenset({"ghostty", "WezTerm"})
"""Terminals, by ``TERM_PROGRAM``, that know both sequences and would show two notifications."""


def desktop_notification(message: str, environment: Mapping[str, str]) -> str:
    r"""Return the sequences that have a terminal notify its user: OSC 9 (iTerm2) and OSC 777 (urxvt, VTE, foot).

    A terminal skips what it does not know. tmux passes them on in a DCS, with every ESC doubled, where its option
    ``allow-passthrough`` is on. They end with BEL rather than ``ESC \``, which each tmux within another would double.

    Args:
        message: any text; it becomes one line without control characters.
        environment: says whether tmux is in between, and which terminal it is.
    """
    text = escape_line(message).replace(";", ",")  # ; separates the parts of a sequence
    text = text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
    # The title keeps a text that begins with a digit from being one of the commands of ConEmu, which OSC 9 4 is.
    sequences = [f"\x1b]9;{_TITLE}: {text}\a", f"\x1b]777;notify;{_TITLE};{text}\a"]
    if environment.get("TERM_PROGRAM") in _BOTH:
        del sequences[0]
    if environment.get("TMUX"):
        sequences = ["\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\" for sequence in sequences]
    return "".join(sequences)


def terminal_writer() -> Callable[[str], None]:
    """Return what writes a sequence to the terminal of this process, if it has one, without ever waiting for it."""
    descriptor = next((number for number in (2, 1) if os.isatty(number)), None)
    if descriptor is None:
        with suppress(OSError):
            descriptor = os.open(_TERMINAL, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)

    def write(sequence: str) -> None:
        if descriptor is not None and select.select([], [descriptor], [], 0)[1]:
            os.write(descriptor, sequence.encode())

    return write
