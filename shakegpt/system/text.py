"""Untrusted text, made safe to show in a terminal; and which text may name a run or a corpus."""

import re
import unicodedata

# Control (Cc), format (Cf: bidirectional overrides and such), surrogate, private-use and unassigned characters can move
# the cursor, recolour a screen or reorder what the reader sees.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Format characters that do none of this: they have no width, and say only whether their neighbours are drawn as one.
# Persian is misspelt without the one, and many emoji fall apart without the other.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
_LAYOUT = "\n\t"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")


def is_name(text: str) -> bool:
    """Return whether a run or a corpus may be called so: a file name that no shell and no path can misread."""
    return _NAME.fullmatch(text) is not None


def is_safe(character: str) -> bool:
    """Return whether a character may be sent to a terminal as it is: printable, joiner, newline or tab."""
    return character in _LAYOUT or character in _JOINERS or unicodedata.category(character) not in _UNSAFE_CATEGORIES


def escape_control_characters(text: str) -> str:
    r"""Return ``text`` with every unsafe character escaped, such as ``\x1b``; newlines and tabs stay."""
    return "".join(character if is_safe(character) else _escape(character) for character in text)


def escape_line(text: str) -> str:
    """Return ``text`` as one line: unsafe characters, newlines and tabs escaped."""
    return "".join(
        _escape(character) if character in _LAYOUT else character for character in escape_control_characters(text)
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")


def name_character(character: str) -> str:
    """Name a character for an error message: itself in quotes and its code point."""
    shown = _escape(character) if character in _JOINERS else escape_line(character)
    return f"'{shown}' (U+{ord(character):04X})"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless there is one: ``1 block``, ``2,000 blocks``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
