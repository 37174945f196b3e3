"""What the terminal shows, cell for cell, so that only cells that change are written to it.

Textual repaints whole widgets, and a screen that opens several times over: the first paint, the focus, the bindings.
A frame at 120×40 is 21 kB, which a slow link feels; most of its cells are on show already.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import TypeAlias

from rich.cells import cell_len
from rich.color import Color, ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

Look: TypeAlias = tuple[str, str, str]
"""How a cell is drawn: the SGR codes of its attributes, its colour and its background."""

_PLAIN: Look = ("", "39", "49")
_UNKNOWN: Look = ("unknown", "", "")
_GAP = 6
"""Unchanged cells between two changed ones that are written again, which takes less than to move the cursor."""
_DRAWN_BLANK = sum(1 << bit for bit in (3, 6, 8, 9, 10, 11, 12))
"""The attributes that show on a blank cell, as bits of Rich's styles: underline, reverse, strike, frame, overline."""


class ShownCells:
    """Remembers what was written to the terminal. ``forget`` is to be called where that may have been lost."""

    def __init__(self) -> None:
        self._texts: list[list[str]] = []
        """The text of each cell, by rows; a wide character is followed by an empty one."""
        self._looks: list[list[Look]] = []
        self._width = 0

    def forget(self) -> None:
        """Write every cell of the next updates."""
        self._texts, self._looks, self._width = [], [], 0

    def changes_of(self, update: LayoutUpdate | ChopsUpdate) -> CompositorUpdate:
        """Return the update with nothing but the cells that differ from those on show."""
        return _Changes(self, update)

    def write(self, update: LayoutUpdate | ChopsUpdate, console: Console) -> str:
        """Return the sequences that bring the terminal to what an update shows, and remember that as shown."""
        color_system = console._color_system or ColorSystem.TRUECOLOR
        parts: list[str] = []
        look = _PLAIN
        for y, x, strip in _strips(update):
            texts, looks = _cells(strip, color_system)
            for start, end in self._replace(x, y, texts, looks):
                parts.append(f"\x1b[{y + 1};{start + 1}H")
                for at in range(start - x, end - x):
                    if looks[at] != look and texts[at]:
                        parts.append(_transition(look, looks[at]))
                        look = looks[at]
                    parts.append(texts[at])
        if look != _PLAIN:
            parts.append("\x1b[0m")
        return "".join(parts)

    def _replace(self, x: int, y: int, texts: list[str], looks: list[Look]) -> Iterator[tuple[int, int]]:
        """Remember cells of a row, and yield the columns, from and up to, that have changed."""
        while len(self._texts) <= y:
            self._texts.append([])
            self._looks.append([])
        shown_texts, shown_looks = self._texts[y], self._looks[y]
        end = x + len(texts)
        if missing := end - len(shown_texts):
            shown_texts += [""] * max(0, missing)
            shown_looks += [_UNKNOWN] * max(0, missing)
        before_texts, before_looks = shown_texts[x:end], shown_looks[x:end]
        if before_texts == texts and before_looks == looks:
            return
        shown_texts[x:end], shown_looks[x:end] = texts, looks
        if not (_one_cell_each(texts) and _one_cell_each(before_texts)):
            # Terminals disagree about the width of such characters: nothing to the right of one can be trusted.
            yield x, end
            return
        changed = [
            x + at
            for at, (text, look) in enumerate(zip(texts, looks, strict=True))
            if text != before_texts[at] or look != before_looks[at]
        ]
        start = changed[0]
        for column, following in pairwise([*changed, end + _GAP + 1]):
            if following - column > _GAP:
                yield start, column + 1
                start = following


class _Changes(CompositorUpdate):
    """An update that is written as its changes."""

    def __init__(self, shown: ShownCells, update: LayoutUpdate | ChopsUpdate) -> None:
        self._shown = shown
        self._update = update

    def render_segments(self, console: Console) -> str:
        """Return the sequences. Textual calls this only where it writes them to the terminal."""
        return self._shown.write(self._update, console)


def _strips(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Yield the strips of an update, each with its row and first column."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield y, x, strip
                x += strip.cell_length
        return
    for y, left, right in update.spans:
        for end, (x, chop) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if chop is not None and x <= right and end > left:
                yield y, x, chop if x >= left and end <= right else chop.crop(0, min(end, right) - x)


def _cells(strip: Strip, color_system: ColorSystem) -> tuple[list[str], list[Look]]:
    """Return the text and the look of each cell of a strip."""
    texts: list[str] = []
    looks: list[Look] = []
    for text, style, control in strip:
        if control or not text:
            continue
        look = _look(style, color_system, blank=text.isspace())
        if text.isascii():
            texts.extend(text)
        else:
            for character in text:
                width = cell_len(character)
                if width == 0 and texts:
                    texts[-1] += character  # combines with the one before
                else:
                    texts += [character, *[""] * (width - 1)]
        looks += [look] * (len(texts) - len(looks))
    return texts, looks


def _one_cell_each(texts: list[str]) -> bool:
    return all(len(text) == 1 for text in texts)


def _look(style: Style | None, color_system: ColorSystem, *, blank: bool) -> Look:
    if style is None:
        return _PLAIN
    attributes = style._attributes & style._set_attributes
    if blank and not attributes & _DRAWN_BLANK:
        return ("", "39", _codes(style._bgcolor, color_system, foreground=False))
    return (
        _attribute_codes(attributes),
        _codes(style._color, color_system, foreground=True),
        _codes(style._bgcolor, color_system, foreground=False),
    )


@lru_cache(4096)
def _codes(color: Color | None, color_system: ColorSystem, *, foreground: bool) -> str:
    if color is None:
        return "39" if foreground else "49"
    return ";".join(color.downgrade(color_system).get_ansi_codes(foreground))


@lru_cache(256)
def _attribute_codes(attributes: int) -> str:
    return ";".join(code for bit, code in Style._style_map.items() if attributes & (1 << bit))


def _transition(before: Look, after: Look) -> str:
    """Return the shortest sequence from one look to another."""
    if before[0] != after[0]:
        codes = ["0", *filter(None, [after[0]]), *(code for code in after[1:] if code not in ("39", "49"))]
    else:
        codes = [code for old, code in zip(before[1:], after[1:], strict=True) if old != code]
    return f"\x1b[{';'.join(codes)}m"
