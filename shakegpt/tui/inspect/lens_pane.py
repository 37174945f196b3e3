"""The logit lens: what each layer would say, and from which one on the answer leads."""

from typing import TYPE_CHECKING, ClassVar

from rich.style import Style

from shakegpt.tui.generation.next_character import bar, character_name
from shakegpt.tui.inspect.attention_text import cell, percent_or_dot
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.inspection.trace import Trace

LIKELIEST = 5
"""Characters shown of each layer."""
_LABEL_WIDTH = 46
"""The width from which on the layers are named in full."""
ROOMY = 50
"""The height of the terminal from which on there is room for more: here, for a column for each layer."""
_IN_COLUMN = 10
"""Characters shown of each layer in a column."""
_COLUMN_WIDTH = 17
"""The least width of a column."""
_COLUMN_WITH_NAMES = 24
"""The width of a column from which on blank characters stand in it by name."""
_NAME_WIDTH = 8


def letter(character: str) -> str:
    """Return a character in one cell: a space as ``_``."""
    return "_" if character == " " else cell(character)


def layer_name(layer: int) -> str:
    """Return what a layer is called: 0 is the embedding."""
    return f"block {layer}" if layer else "embedding"


class LensPane(DiffWidget):
    """A row for each layer: its five likeliest characters, with bars; the model's answer stands out.

    In a terminal with room for it, a column for each layer with its ten likeliest.
    """

    ALLOW_SELECT = False
    _PARTS: ClassVar[tuple[str, ...]] = ("label", "answer", "other", "bar", "figure")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lens-pane--{part}" for part in _PARTS}
    DEFAULT_CSS: ClassVar[str] = """
    LensPane {
        height: auto;
        & > .lens-pane--label { color: $text-muted; background: $background; }
        & > .lens-pane--answer { color: $primary; background: $background; text-style: bold; }
        & > .lens-pane--other { color: $foreground; background: $background; }
        & > .lens-pane--bar { color: $secondary; background: $background; }
        & > .lens-pane--figure { color: $text-muted; background: $background; }
    }
    """

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.border_title = "What each layer would say"
        self._trace: Trace | None = None
        self._position = 0

    def show(self, trace: "Trace | None", position: int = 0) -> None:
        """Show what comes after a position."""
        self._trace, self._position = trace, position
        rows = 0 if trace is None else _IN_COLUMN + 1 if self._has_columns(self.size.width) else len(trace.lens)
        if self.styles.height is None or self.styles.height.value != rows + 3:
            self.styles.height = rows + 3
        self.redraw()

    def _has_columns(self, width: int) -> bool:
        trace = self._trace
        return trace is not None and self.app.size.height >= ROOMY and width // len(trace.lens) >= _COLUMN_WIDTH

    @property
    def sentence(self) -> str:
        """From where on the model's answer leads."""
        if self._trace is None:
            return ""
        ((answer, probability),) = self._trace.likeliest(self._position, 1)
        decided = self._trace.decided_at(self._position)
        where = layer_name(decided) if decided else "the embedding"
        short = f"{character_name(answer)}: from {where} on"
        sentence = f"{character_name(answer)}, {probability:.0%}: leads from {where} on".replace("%", " %")
        return sentence if len(sentence) <= self.size.width else short

    def draw(self, width: int, height: int) -> list[Row]:
        """Return as many layers as fit, the last ones, and the sentence."""
        trace = self._trace
        if trace is None:
            return []
        styles = {part: self.get_component_rich_style(f"lens-pane--{part}") for part in self._PARTS}
        ((answer, _),) = trace.likeliest(self._position, 1)
        if self._has_columns(width):
            return [*self._draw_columns(trace, answer, width, styles), [(self.sentence, styles["answer"])]]
        count = min(len(trace.lens), max(1, height - 1))
        rows: list[Row] = []
        for layer in range(len(trace.lens) - count, len(trace.lens)):
            name = layer_name(layer) if width >= _LABEL_WIDTH else f"b{layer}" if layer else "emb"
            row: Row = [(f"{name:<10}" if width >= _LABEL_WIDTH else f"{name:<4}", styles["label"])]
            room = (width - len(row[0][0])) // LIKELIEST
            for character, probability in trace.likeliest(self._position, LIKELIEST, layer=layer):
                part = "answer" if character == answer else "other"
                row.append((letter(character), styles[part]))
                bars = max(1, room - 5)
                shown = bar(probability, bars)
                row.append((shown, styles["answer" if part == "answer" else "bar"]))
                row.append((f"{100 * probability:{room - 2 - bars}.0f} ", styles["figure"]))
            rows.append(row)
        return [*rows, [(self.sentence, styles["answer"])]]

    def _draw_columns(self, trace: "Trace", answer: str, width: int, styles: dict[str, Style]) -> list[Row]:
        """Return the names of the layers, and below each its likeliest characters."""
        layers = range(len(trace.lens))
        column = width // len(layers)
        names = _NAME_WIDTH if column >= _COLUMN_WITH_NAMES else 2
        bars = column - names - 8  # beside the figure and what keeps it apart
        rows: list[Row] = [[(f"{layer_name(layer):<{column}}", styles["label"]) for layer in layers]]
        found = [trace.likeliest(self._position, _IN_COLUMN, layer=layer) for layer in layers]
        for place in range(min(_IN_COLUMN, len(trace.characters))):
            row: Row = []
            for character, probability in (likeliest[place] for likeliest in found):
                part = "answer" if character == answer else "other"
                name = character_name(character)[: _NAME_WIDTH - 1] if names > 2 else letter(character)
                row.append((f"{name:<{names}}", styles[part]))
                row.append((bar(probability, bars), styles["answer" if part == "answer" else "bar"]))
                row.append((f"{percent_or_dot(probability):>6}  ", styles["figure"]))
            rows.append(row)
        return rows
