"""All heads of the model, a row for each block: where they look, which one is marked, and which ones are muted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.message import Message

from shakegpt.inspection.head import Head, head_name
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.inspection.heads import HeadScores
    from shakegpt.tui.inspect.head_measurements import HeadFacts

MOST_ROWS = 12
_FEW_ROWS = 4
_LEAST_CELLS = 5
"""The cells that a head takes with its name in brackets."""
_TALL = 30
"""The height of the terminal from which on there is room for more than a few blocks."""


_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷"
_SHORT = {"the character itself": ("self", "i"), "the character before": ("prev", "p")}
_SHORT |= {"the last newline": ("line", "n"), "the speaker's name": ("name", "s")}


def short_target(scores: "HeadScores", head: Head) -> tuple[str, str, str]:
    """Return what a head looks at most in a word, in a letter, and how much in percent.

    A head that looks at nothing in particular has ``~`` and over how many characters it spreads.
    """
    found = scores.main_target(head)
    if found is None:
        spread = f"{2 ** scores.entropy[head]:.0f}"
        return ("over", "~", spread)
    name, share = found
    back = name.removeprefix("the character ").removesuffix(" back")
    word, symbol = _SHORT[name] if name in _SHORT else (f"-{back}", _SUPERSCRIPTS[int(back)])
    return (word, symbol, f"{100 * share:.0f}")


class HeadStrip(DiffWidget):
    """A cell for each head: the marked one in brackets, the muted ones in parentheses with what that costs.

    A click marks a head.
    """

    ALLOW_SELECT = False
    _PARTS: ClassVar[tuple[str, ...]] = ("head", "marked", "muted", "sentence")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"head-strip--{part}" for part in _PARTS}
    DEFAULT_CSS: ClassVar[str] = """
    HeadStrip {
        height: 4;
        & > .head-strip--head { color: $foreground; background: $background; }
        & > .head-strip--marked { color: $primary; background: $background; text-style: bold; }
        & > .head-strip--muted { color: $error; background: $background; text-style: bold; }
        & > .head-strip--sentence { color: $text-muted; background: $background; }
    }
    """

    @dataclass
    class Marked(Message):
        """A head was clicked."""

        head: Head

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.border_title = "Heads"
        self._shape = (0, 0)
        self._head: Head = (0, 0)
        self._all = False
        self._muted: frozenset[Head] = frozenset()
        self._facts: HeadFacts | None = None
        self._sentences: Sequence[str] = ("",)
        self._top = 0

    def show(
        self,
        shape: tuple[int, int],
        head: Head,
        muted: frozenset[Head],
        facts: "HeadFacts | None",
        sentences: Sequence[str],
        *,
        mean: bool,
    ) -> None:
        """Show the heads.

        Args:
            shape: how many blocks there are, and heads in each.
            head: the marked one.
            muted: those that the model does without.
            facts: what was measured; ``None`` while nothing is.
            sentences: what there is to say of the marked one, the longest first; the first that fits is shown.
            mean: all heads of the marked one's block are marked together.
        """
        rows = min(shape[0], MOST_ROWS if self.app.size.height >= _TALL else _FEW_ROWS)
        if self.styles.height is None or self.styles.height.value != rows + 3:
            self.styles.height = rows + 3
        self._shape, self._head, self._all, self._muted = shape, head, mean, muted
        self._facts, self._sentences = facts, sentences
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:
        """Return a row for each block, as many as fit, and the sentence."""
        layers, heads = self._shape
        if not heads:
            return []
        styles = {part: self.get_component_rich_style(f"head-strip--{part}") for part in self._PARTS}
        visible, cells = max(1, height - 1), width // heads
        self._top = max(0, min(self._head[0] - visible // 2, layers - visible))
        rows: list[Row] = []
        for layer in range(self._top, min(layers, self._top + visible)):
            row: Row = []
            for head in ((layer, number) for number in range(heads)):
                marked = layer == self._head[0] and (self._all or head == self._head)
                muted = head in self._muted
                part = "muted" if muted else "marked" if marked else "head"
                edges = "[]" if marked else "()" if muted else "  "
                if cells < _LEAST_CELLS:
                    edges = ""  # the names alone, told apart by their colour
                text = self._cell(head, cells - len(edges))
                row.append((f"{edges[:1]}{text}{edges[1:]}".ljust(cells)[:cells], styles[part]))
            rows.append(row)
        sentence = next((text for text in self._sentences if len(text) <= width), self._sentences[-1])
        return [*rows, [(sentence, styles["sentence"])]]

    def _cell(self, head: Head, width: int) -> str:
        """Return what there is to say of a head in so many cells."""
        name, facts = head_name(head), self._facts
        if head in self._muted:
            cost = facts.cost(frozenset({head})) if facts else None
            costs = [] if cost is None else [f"{name} off {cost:+.3f}", f"{name} {cost:+.3f}"]
            return next((text for text in (*costs, f"{name} off") if len(text) <= width), name)
        if facts is None or facts.scores is None:
            return name
        word, letter, figure = short_target(facts.scores, head)
        unit = "" if letter == "~" else " %"
        words, letters = f"{name} {word} {figure}", f"{letter}{figure}"
        forms = (words + unit, words, f"{name} {letters}", name + letters)
        return next((text for text in forms if len(text) <= width), name)

    def on_click(self, event: events.Click) -> None:
        """Mark the head under the pointer."""
        offset = event.get_content_offset(self)
        layers, heads = self._shape
        if offset is None or not heads:
            return
        head = (self._top + offset.y, offset.x // max(1, self.size.width // heads))
        if offset.y < self.size.height - 1 and head[0] < layers and head[1] < heads:
            self.post_message(self.Marked(head))
