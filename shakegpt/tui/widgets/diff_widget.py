"""The base of the widgets that change often: it sends the terminal only the cells that changed."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeAlias

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

Row: TypeAlias = list[tuple[str, Style]]
"""One line of a widget: texts and the styles they are written in."""


class DiffWidget(Widget):
    """A widget of styled lines whose repaint covers only the cells that differ from those on show.

    A subclass returns its lines from ``draw``, and calls ``redraw`` when they may have changed.
    """

    _strips: Sequence[Strip] = ()
    """What is on show; never changed, only replaced."""

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the lines that fill ``width`` by ``height`` cells; longer ones are cut."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw again, and repaint what has changed."""
        if not self.size:
            return
        fresh = self._draw_strips()
        for y, (new, old) in enumerate(zip_longest(fresh, self._strips, fillvalue=_EMPTY)):
            if span := changed_span(old, new):
                self.refresh(Region(span[0], y, span[1] - span[0], 1))
        self._strips = fresh

    def render_line(self, y: int) -> Strip:
        """Return a line as it was last drawn."""
        if len(self._strips) != self.size.height or self._strips[0].cell_length != self.size.width:
            self._strips = self._draw_strips()
        return self._strips[y] if y < len(self._strips) else Strip.blank(self.size.width, self.rich_style)

    def notify_style_update(self) -> None:
        """Draw again in the new colours."""
        super().notify_style_update()
        self._strips = ()

    def _draw_strips(self) -> list[Strip]:
        width, height = self.size
        rows = self.draw(width, height)[:height]
        rows += [[] for _ in range(height - len(rows))]
        background = self.rich_style
        return [
            Strip([Segment(text, style) for text, style in row]).adjust_cell_length(width, background) for row in rows
        ]


_EMPTY = Strip([])


def changed_span(old: Strip, new: Strip) -> tuple[int, int] | None:
    """Return the columns from the first cell that differs to the last, end excluded; ``None`` where none does."""
    if old == new:
        return None
    before, after = _cells(old), _cells(new)
    differing = [x for x, (a, b) in enumerate(zip_longest(before, after)) if a != b]
    return (differing[0], differing[-1] + 1) if differing else None


def _cells(strip: Strip) -> list[tuple[str, Style | None]]:
    cells: list[tuple[str, Style | None]] = []
    for text, style, _ in strip:
        for character in text:
            cells.append((character, style))
            cells.extend([("", style)] * (cell_len(character) - 1))
    return cells
