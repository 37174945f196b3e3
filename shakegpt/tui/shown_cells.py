"""What the terminal shows, cell for cell, so that only cells that change are written to it.

Textual repaints whole widgets, and a screen that opens several times over: the first paint, the focus, the bindings.
A frame at 120×40 is 21 kB, which a slow link feels; most of its cells are on show already. What is left is written
colour by colour, not line by line: to name a colour takes up to 40 bytes, to move the cursor along a line 4.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from rich.cells import cell_len
from rich.color import Color, ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip


class Look(NamedTuple):
    """How a cell is drawn: its SGR codes. A blank cell has no colour but its background's."""

    attributes: str
    color: str
    background: str


_PLAIN = Look("", "39", "49")
_UNKNOWN = Look("unknown", "", "")
_GAP = 3
"""Unchanged cells between two changed ones that are written again, which takes less than to move the cursor."""
_DRAWN_BLANK = sum(1 << bit for bit in (3, 6, 8, 9, 10, 11, 12))
"""The attributes that show on a blank cell, as bits of Rich's styles: underline, reverse, strike, frame, overline."""
_MARKING = [code for bit, code in Style._style_map.items() if _DRAWN_BLANK & (1 << bit)]


class Run(NamedTuple):
    """Cells of a row that are written in one go, in one look."""

    y: int
    x: int
    text: str


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
        runs: dict[Look, list[Run]] = {}
        parts: list[str] = []
        look = _PLAIN
        for y, x, strip in _strips(update):
            texts, looks = _cells(strip, color_system)
            if (changed := self._replace(x, y, texts, looks)) is not None:
                for run_look, start, end in _runs(changed, texts, looks):
                    runs.setdefault(run_look, []).append(Run(y, x + start, "".join(texts[start:end])))
                continue
            # In order and whole: terminals disagree about the width of some character of this row.
            parts.append(f"\x1b[{y + 1};{x + 1}H")
            for text, cell_look in zip(texts, looks, strict=True):
                if text and not _shows_as(text, cell_look, look):
                    parts.append(_transition(look, cell_look))
                    look = cell_look
                parts.append(text)
        at, exact = (-1, 0), True
        for run_look in sorted(runs, key=lambda look: (look.attributes, look.background, look.color)):
            if run_look != look:
                parts.append(_transition(look, run_look))
                look = run_look
            for y, x, text in runs[run_look]:
                parts += (_move(at, (y, x), exact=exact), text)
                at, exact = (y, x + len(text)), text.isascii()
        if look != _PLAIN:
            parts.append("\x1b[0m")
        return "".join(parts)

    def _replace(self, x: int, y: int, texts: list[str], looks: list[Look]) -> list[int] | None:
        """Remember cells of a row, and return which have changed; ``None`` where the row has to be written whole."""
        while len(self._texts) <= y:
            self._texts.append([])
            self._looks.append([])
        shown_texts, shown_looks = self._texts[y], self._looks[y]
        end = x + len(texts)
        if missing := end - len(shown_texts):
            shown_texts += [" "] * max(0, missing)
            shown_looks += [_UNKNOWN] * max(0, missing)
        before_texts, before_looks = shown_texts[x:end], shown_looks[x:end]
        if before_texts == texts and before_looks == looks:
            return []
        shown_texts[x:end], shown_looks[x:end] = texts, looks
        if not (_one_cell_each(texts) and _one_cell_each(before_texts)):
            return None
        return [
            at
            for at, (text, look) in enumerate(zip(texts, looks, strict=True))
            if text != before_texts[at] or look != before_looks[at]
        ]


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
        look, blank = _looks(style, color_system)
        first = len(texts)
        if text.isascii():
            texts.extend(text)
        else:
            for character in text:
                width = cell_len(character)
                if width == 0 and texts:
                    texts[-1] += character  # combines with the one before
                else:
                    texts += [character, *[""] * (width - 1)]
        looks += [blank if cell == " " else look for cell in texts[first:]]
    return texts, looks


def _runs(changed: list[int], texts: list[str], looks: list[Look]) -> Iterator[tuple[Look, int, int]]:
    """Yield the cells to write, as a look and where they begin and end, from left to right in each look."""
    open_runs: dict[Look, tuple[int, int]] = {}
    look, start, end = _UNKNOWN, 0, -1
    for at in changed:
        if at == end and (looks[at] is look or _shows_as(texts[at], looks[at], look)):
            end += 1
            continue
        open_runs[look] = (start, end)
        look = looks[at]
        start, end = open_runs.get(look, (at, at))
        if at - end > _GAP or not all(_shows_as(texts[gap], looks[gap], look) for gap in range(end, at)):
            yield look, start, end
            start = at
        end = at + 1
    open_runs[look] = (start, end)
    open_runs.pop(_UNKNOWN, None)
    for look, (start, end) in open_runs.items():
        yield look, start, end


def _shows_as(text: str, look: Look, other: Look) -> bool:
    """Return whether a cell looks the same when it is written in another look: a blank one in another colour."""
    return look == other or (
        text == " " and not look.attributes and look.background == other.background and not _marks_blanks(other)
    )


@lru_cache(256)
def _marks_blanks(look: Look) -> bool:
    return any(code in _MARKING for code in look.attributes.split(";"))


def _move(at: tuple[int, int], to: tuple[int, int], *, exact: bool) -> str:
    """Return the sequence that brings the cursor from one row and column to another.

    It is not known exactly where the cursor is after characters that some terminals draw two cells wide.
    """
    if at[0] != to[0]:
        return f"\x1b[{to[0] + 1};{to[1] + 1}H"
    right = to[1] - at[1]
    if not exact or right < 0:
        return f"\x1b[{to[1] + 1}G"
    return f"\x1b[{right if right > 1 else ''}C" if right else ""


def _one_cell_each(texts: list[str]) -> bool:
    return all(len(text) == 1 for text in texts)


def _looks(style: Style | None, color_system: ColorSystem) -> tuple[Look, Look]:
    """Return how cells of a style look, and blank ones among them."""
    if style is None:
        return _PLAIN, _PLAIN
    attributes = style._attributes & style._set_attributes
    look = Look(
        _attribute_codes(attributes),
        _codes(style._color, color_system, foreground=True),
        _codes(style._bgcolor, color_system, foreground=False),
    )
    return look, look if attributes & _DRAWN_BLANK else Look("", "39", look.background)


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
    if before.attributes != after.attributes:
        codes = ["0", *filter(None, [after.attributes]), *(code for code in after[1:] if code not in ("39", "49"))]
    else:
        codes = [code for old, code in zip(before[1:], after[1:], strict=True) if old != code]
    return f"\x1b[{';'.join(codes)}m"
