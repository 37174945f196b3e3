"""The text that the model reads, each character tinted by what the marked position attends to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.style import Style
from textual import events
from textual.color import Color
from textual.message import Message

from shakegpt.inspection.head import Head
from shakegpt.system.text import escape_control_characters
from shakegpt.tui.line_filters import supports_utf8
from shakegpt.tui.themes import contrast
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.inspection.trace import Trace

Weights = NDArray[np.float32]
_STEPS = (0.05, 0.15, 0.35, 0.65)
"""The shares of the strongest weight from which on a tint is one stronger. More of them could hardly be told apart, and
while a text is followed each change of a tint is sent."""
_BLENDS = (0.2, 0.36, 0.6, 0.9)
LEVELS = len(_STEPS)
"""How many strengths of tint there are, besides none."""
_FAINT_MAXIMUM = 0.25
"""The weight that has the strongest tint at least: a head that spreads over all tints nothing strongly."""
_FAINTEST = 0.02
"""The weight below which no figure stands for it."""
_CONTEXT = 2_000
"""Characters before the window that are shown at most, where there is room."""
NEWLINE = "⏎"
_HEIGHT_FOR_BARS = 13
"""The height from which on bars stand below the letters."""
_BARS = "▁▂▃▄▅▆▇█"
_UNLIKELY = 0.05
"""The probability below which a letter's bar stands out."""


def weights_at(trace: "Trace", position: int, head: Head, *, mean: bool) -> Weights:
    """Return how much a position attends to each character, (T,), by a head or by the mean of its block."""
    layer, number = head
    weights: Weights = (
        trace.attention[layer, :, position].mean(axis=0) if mean else trace.attention[layer, number, position]
    )
    return weights


def tint_levels(weights: Weights) -> list[int]:
    """Return for each weight how strong its tint is, from 0 to ``LEVELS``: that of the strongest, or of a quarter."""
    shares = weights / max(float(weights.max()), _FAINT_MAXIMUM)
    return [int(level) for level in np.searchsorted(_STEPS, shares, side="right")]


def tenths(weight: float) -> str:
    """Return a weight as one character: its tenths, a dot below one, nothing below a fiftieth."""
    return str(min(9, int(weight * 10 + 1e-6))) if weight >= 0.1 else "." if weight >= _FAINTEST else " "


def wrap(text: str, width: int) -> list[tuple[int, int]]:
    """Return where each line of a text begins and ends; a newline is the last character of its line.

    Lines break after a space where there is one. Each character takes one cell.
    """
    lines: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        newline = text.find("\n", start, start + width)
        end = newline + 1 if newline >= 0 else min(start + width, len(text))
        if newline < 0 and end < len(text):
            space = text.rfind(" ", start, end)
            end = space + 1 if space > start else end
        lines.append((start, end))
        start = end
    return lines


def _first_line(heights: Sequence[int], room: int, marked: int) -> int:
    """Return the first line to show of those of such heights: the last ones that fit, or else from one marked on."""
    top = len(heights)
    while top and heights[top - 1] <= room:
        top -= 1
        room -= heights[top]
    return min(top, marked)


def percent_or_dot(share: float) -> str:
    """Return a share in percent, and a dot for less than half of one, or where there was nothing (NaN)."""
    return f"{100 * share:.0f} %" if share >= 0.005 else "·"


def cell(character: str) -> str:
    """Return a character as it is shown, in one cell."""
    if character == "\n":
        return NEWLINE
    shown = escape_control_characters(character)
    return shown if cell_len(shown) == 1 else "·"


class AttentionText(DiffWidget):
    """Shows a text; a click on a character marks it.

    Where there is room, a bar below each character shows how likely it was, given those before it.

    In sixteen colours, without colours and without UTF-8, a line of figures below each line of text takes the place of
    the tint: tenths of the attention, and ``^`` below the marked character.
    """

    ALLOW_SELECT = False
    _PARTS: ClassVar[tuple[str, ...]] = ("plain", "outside", "marked", "weight", "likely", "unlikely")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"attention-text--{part}" for part in _PARTS}
    DEFAULT_CSS: ClassVar[str] = """
    AttentionText {
        height: 1fr;
        & > .attention-text--plain { color: $foreground; background: $background; }
        & > .attention-text--outside { color: $text-muted; background: $background; text-style: italic; }
        & > .attention-text--marked { color: $accent; background: $background; text-style: bold reverse; }
        & > .attention-text--weight { color: $primary; background: $background; }
        & > .attention-text--likely { color: $secondary; background: $background; }
        & > .attention-text--unlikely { color: $accent; background: $background; }
    }
    """

    @dataclass
    class Marked(Message):
        """A character was clicked."""

        position: int
        """Its index in the text."""

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.note = "Loading the model…"
        """What is shown while there is no text."""
        self._text = ""
        self._skipped = 0
        self.position = 0
        """The index of the marked character in what is shown of the text."""
        self.weights: Weights = np.zeros(0, np.float32)
        """How much it attends to each character of the window."""
        self._levels: list[int] = []
        self._probabilities: Weights = np.zeros(0, np.float32)  # of each character of the window; NaN for the first
        self._first = 0  # where in the whole text the part on show begins
        self._tints: list[Style] = []
        self._lines: list[tuple[int, int]] = []  # those on show
        self._rows: list[int] = []  # for each row, which line of those on show it belongs to

    @property
    def has_bars(self) -> bool:
        """Whether bars stand below the letters."""
        return not self.plain and self.size.height >= _HEIGHT_FOR_BARS

    @property
    def plain(self) -> bool:
        """Whether figures take the place of tints."""
        return self.app.no_color or self.app.current_theme.ansi or not supports_utf8()

    def show(self, text: str, trace: "Trace", position: int, weights: Weights) -> None:
        """Show what a position attends to.

        Args:
            text: all of the text; of its last characters, the trace's.
            trace: what was read.
            position: the index in the trace's text of the marked character.
            weights: (T,), how much that one attends to each character of the trace's text.
        """
        # What came before the window is shown too, from the beginning of a line on: then what is added moves nothing.
        first = max(0, trace.skipped - _CONTEXT)
        if first:
            first = text.find("\n", first, trace.skipped) + 1 or first
        self._text, self._skipped = text[first:] or trace.text, trace.skipped - first
        self.position, self._first = position + self._skipped, first
        self.weights, self._levels = weights, tint_levels(weights)
        self._probabilities = np.exp(-trace.loss).astype(np.float32)
        self.note = ""
        self.redraw()

    def say(self, note: str) -> None:
        """Show a sentence in place of the text."""
        self.note = note
        self.redraw()

    def notify_style_update(self) -> None:
        """Work the tints out anew."""
        super().notify_style_update()
        self._tints = []

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the lines around the marked character."""
        styles = {part: self.get_component_rich_style(f"attention-text--{part}") for part in self._PARTS}
        if self.note:
            return [[(self.note[start:end], styles["plain"])] for start, end in wrap(self.note, max(1, width))]
        self._lines = wrap(self._text, max(1, width))
        heights = [self._height(end) for _, end in self._lines]
        marked = next((y for y, (start, end) in enumerate(self._lines) if start <= self.position < end), 0)
        top = _first_line(heights, height, marked)
        self._lines, heights = self._lines[top:], heights[top:]
        self._rows = [line for line, rows in enumerate(heights) for _ in range(rows)]
        draw_line = self._draw_plain if self.plain else self._draw_tinted
        return [row for line in self._lines for row in draw_line(*line, styles)]

    def _height(self, end: int) -> int:
        """Return how many rows a line takes that ends before ``end``."""
        return 2 if (self.plain or self.has_bars) and end > self._skipped else 1

    def _draw_tinted(self, start: int, end: int, styles: dict[str, Style]) -> list[Row]:
        tints, levels = self._tint_styles(styles["plain"]), self._levels
        row: Row = []
        for index in range(start, end):
            if index == self.position:
                style = styles["marked"]
            elif index < self._skipped:
                style = styles["outside"]
            else:
                style = tints[levels[index - self._skipped]] if index - self._skipped < len(levels) else tints[0]
            row.append((self._glyph(index), style))
        return [row] if self._height(end) == 1 else [row, [self._bar(index, styles) for index in range(start, end)]]

    def _bar(self, index: int, styles: dict[str, Style]) -> tuple[str, Style]:
        """Return the bar of a character: nothing for the first of the window, and before it."""
        at = index - self._skipped
        probability = float(self._probabilities[at]) if at > 0 else np.nan
        if np.isnan(probability):
            return (" ", styles["plain"])
        glyph = _BARS[min(len(_BARS) - 1, int(probability * len(_BARS)))]
        return (glyph, styles["unlikely" if probability < _UNLIKELY else "likely"])

    def _draw_plain(self, start: int, end: int, styles: dict[str, Style]) -> list[Row]:
        texts: Row = []
        marks = ""
        for index in range(start, end):
            marked, inside = index == self.position, 0 <= index - self._skipped < len(self.weights)
            part = "marked" if marked else "outside" if index < self._skipped else "plain"
            texts.append((self._glyph(index), styles[part]))
            marks += "^" if marked else tenths(float(self.weights[index - self._skipped])) if inside else " "
        return [texts] if self._height(end) == 1 else [texts, [(marks, styles["weight"])]]

    def _glyph(self, index: int) -> str:
        """Return a character's cell; a newline shows only where it matters."""
        character = self._text[index]
        if character != "\n" or index == self.position:
            return cell(character)
        at = index - self._skipped
        return NEWLINE if 0 <= at < len(self._levels) and self._levels[at] else " "

    def _tint_styles(self, plain: Style) -> list[Style]:
        if not self._tints:
            colours = self.app.get_css_variables()
            ground, full = Color.parse(colours["background"]), Color.parse(colours["primary"])
            texts = [Color.parse(colours["foreground"]), ground]
            self._tints = [plain]
            for blend in _BLENDS:
                tint = ground.blend(full, blend)
                text = max(texts, key=lambda colour, tint=tint: contrast(colour, tint))  # type: ignore[misc]
                self._tints.append(Style(color=text.rich_color, bgcolor=tint.rich_color))
        return self._tints

    def on_click(self, event: events.Click) -> None:
        """Mark the character under the pointer."""
        offset = event.get_content_offset(self)
        if offset is None or self.note:
            return
        if offset.y < len(self._rows):
            start, end = self._lines[self._rows[offset.y]]
            index = min(start + offset.x, end - 1)
            if index >= self._skipped:
                self.post_message(self.Marked(index + self._first))
