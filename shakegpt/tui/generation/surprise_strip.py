"""How surprising the last characters were, as a strip of bars."""

import math
from collections.abc import Iterable
from itertools import groupby
from typing import ClassVar

from shakegpt.tui.generation.generation_thread import GeneratedCharacter
from shakegpt.tui.generation.text_pane import RECENT
from shakegpt.tui.generation.transcript import SURPRISE_BOUNDS, surprise_level
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_BARS = "▁▂▃▄▅▆▇█"
_LEVELS = range(1, len(SURPRISE_BOUNDS) + 2)


class SurpriseStrip(DiffWidget):
    """A bar for each of the last characters: a cell's eighth for each bit of surprise."""

    DEFAULT_CSS: ClassVar[str] = """
    SurpriseStrip {
        height: 4;
        background: $background;
        & > .surprise-strip--text { color: $text-muted; background: $background; }
        & > .surprise-strip--level-1 { color: $text-muted; background: $background; }
        & > .surprise-strip--level-2 { color: $secondary; background: $background; }
        & > .surprise-strip--level-3 { color: $warning; background: $background; }
        & > .surprise-strip--level-4 { color: $error; background: $background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "surprise-strip--text",
        *(f"surprise-strip--level-{level}" for level in _LEVELS),
    }

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.border_title = f"Surprise of the last {RECENT} letters"
        self._characters: list[GeneratedCharacter] = []

    def show(self, characters: Iterable[GeneratedCharacter]) -> None:
        """Show other characters, the newest last."""
        self._characters = list(characters)
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (the strip is two high)
        """Return the bars above the characters that they belong to."""
        shown = self._characters[-min(width, RECENT) :]
        bars: Row = []
        for level, run in groupby(shown, key=lambda character: surprise_level(character.probability)):
            style = self.get_component_rich_style(f"surprise-strip--level-{level}")
            bars.append(("".join(_BARS[_bits(character.probability)] for character in run), style))
        text = "".join(character.text if character.text.isprintable() else " " for character in shown)
        return [bars, [(text, self.get_component_rich_style("surprise-strip--text"))]]


def _bits(probability: float) -> int:
    """Return the bits of surprise, rounded down, at most the number of bars."""
    return min(len(_BARS) - 1, int(-math.log2(max(probability, 1e-9))))
