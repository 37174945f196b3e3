"""Filters of what is drawn: ASCII stand-ins for terminals without UTF-8, and a style for every segment."""

import os
import sys
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

_ASCII_TERMINALS = ("dumb", "vt")
_REPLACEMENTS = {
    "─━═╌┄┈╍┅┉▔╴╶╸╺⎯–—−▃": "-",
    "▁": "_",
    "▂": ".",
    "▄▀": "=",
    "│┃║╎┆┊╏┇┋▏▎▍▌▐▕╵╷╹╻": "|",
    "┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝╠╣╦╩╬┏┓┗┛┣┫┳┻╋╒╕╘╛╞╡╤╧╪": "+",
    "█▇▉▊▋■◼▆": "#",
    "▅◆●⬤◉▪": "*",
    "▘▝": "'",
    "▖▗": ".",
    "▚": "\\",
    "▞": "/",
    "▙▛▜▟": "#",
    "░": ".",
    "▒": ":",
    "▓": "%",
    "·•∙◦⋅○◌◇□◻▫": ".",
    "×✕✖✗✘": "x",
    "✓✔": "v",
    "★☆✦✧": "*",
    "▲△↑⭡▴⇡↥": "^",
    "▼▽↓⭣▾⇣↧": "v",
    "▶▷→⭢▸►›»❯⏵↦⇥": ">",
    "◀◁←⭠◂◄‹«❮⏴": "<",
    "↵⏎↩⌫": "<",
    "…": "~",
    "‘’′": "'",
    "“”″": '"',
    "∞": "8",
    "≈∼±": "~",
    "≤": "<",
    "≥": ">",
    "╱": "/",
    "╲": "\\",
    "╳": "X",
    "⏸": "=",
    "\u00a0°": " ",
}
_ASCII = {glyph: ascii_ for glyphs, ascii_ in _REPLACEMENTS.items() for glyph in glyphs}
_BRAILLE = range(0x2800, 0x2900)
_BY_DOTS = "  .:-=+*##"
"""Stands for a Braille character, by its number of dots."""


def supports_utf8(environment: Mapping[str, str] = os.environ, *, coerced: bool | None = None) -> bool:
    """Return whether the terminal shows UTF-8, judging by the user's locale.

    Where no locale is set, as in many containers, the terminal is nearly always a modern one.

    Args:
        environment: the process's environment.
        coerced: whether Python has put its own C.UTF-8 into LC_CTYPE (PEP 538); worked out where not given.
    """
    if coerced is None:
        coerced = sys.flags.utf8_mode == 1 and environment.get("LC_CTYPE") == "C.UTF-8"
    names = ("LC_ALL", "LANG") if coerced else ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((value for name in names if (value := environment.get(name))), "")
    if not locale:
        return not environment.get("TERM", "").startswith(_ASCII_TERMINALS)
    return "utf8" in locale.lower().replace("-", "")


@lru_cache(4096)
def to_ascii(text: str) -> str:
    """Return ``text`` in ASCII, cell for cell."""
    return text if text.isascii() else "".join(map(_ascii_character, text))


def _ascii_character(character: str) -> str:
    if character.isascii():
        return character
    if (known := _ASCII.get(character)) is not None:
        return known
    if (code := ord(character)) in _BRAILLE:
        return _BY_DOTS[(code - _BRAILLE.start).bit_count()]
    bare = unicodedata.normalize("NFKD", character)[:1]  # an accented letter loses its accent
    return bare if bare.isascii() and bare.isprintable() and cell_len(character) == 1 else "?" * cell_len(character)


class AsciiFilter(LineFilter):
    """Replaces what the terminal cannot show."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002  (Textual's signature)
        """Return the segments in ASCII, in the same cells."""
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]


class StyledFilter(LineFilter):
    """Gives a style to every segment: Textual's filter for ``NO_COLOR`` ends the app at one that has none."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002  (Textual's signature)
        """Return the segments, each with a style."""
        return [
            segment if segment.style is not None else Segment(segment.text, _NO_STYLE, segment.control)
            for segment in segments
        ]


_NO_STYLE = Style.null()
