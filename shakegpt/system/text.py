"""Text from strangers, made safe to show in a terminal."""

import unicodedata

# Control (Cc), format (Cf: bidirectional overrides, zero-width joiners), surrogate, private-use and unassigned
# characters can move the cursor, recolour a screen or reorder what the eye reads.
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_LAYOUT = "\n\t"


def is_safe(character: str) -> bool:
    """Say whether a character may reach a terminal as it is: printable, newline or tab."""
    return character in _LAYOUT or unicodedata.category(character) not in _UNSAFE_CATEGORIES


def escape_control_characters(text: str, *, one_line: bool = False) -> str:
    r"""Return ``text`` with every unsafe character spelled out, such as ``\x1b``.

    Args:
        text: anything, however hostile.
        one_line: spell newlines and tabs out too.
    """
    return "".join(
        character if is_safe(character) and not (one_line and character in _LAYOUT) else _spell(character)
        for character in text
    )


def _spell(character: str) -> str:
    return character.encode("unicode_escape", errors="backslashreplace").decode("ascii")


def name_character(character: str) -> str:
    """Name a character for an error message: the mark in quotes and its code point."""
    return f"'{escape_control_characters(character, one_line=True)}' (U+{ord(character):04X})"
