"""The lines around the text: which model generates and how far it is, and what there is to say about it."""

from typing import ClassVar

from textual.widgets import Static

from shakegpt.system.text import escape_line
from shakegpt.tui.formatting import count, decimal
from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.messages import LIVE
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_PARTS = ("model", "detail", "mode", "busy", "quiet", "failed")
_STATES = {
    GenerationState.LOADING: ("◌ loading", "busy"),
    GenerationState.GENERATING: ("● speaking", "busy"),
    GenerationState.PAUSED: ("■ stopped", "quiet"),
    GenerationState.FINISHED: ("■ done", "quiet"),
    GenerationState.FAILED: ("✗ failed", "failed"),
}


class ModelStatus(DiffWidget):
    """Shows the model, the modes that are on, and whether and how fast text is generated."""

    DEFAULT_CSS: ClassVar[str] = """
    ModelStatus {
        height: 1;
        padding: 0 1;
        background: $background;
        & > .model-status--model { color: $foreground; background: $background; text-style: bold; }
        & > .model-status--detail { color: $text-muted; background: $background; }
        & > .model-status--mode { color: $secondary; background: $background; }
        & > .model-status--busy { color: $success; background: $background; }
        & > .model-status--quiet { color: $text-muted; background: $background; }
        & > .model-status--failed { color: $error; background: $background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"model-status--{part}" for part in _PARTS}

    def __init__(self) -> None:
        super().__init__()
        self._pane: TextPane | None = None
        self._modes: tuple[str, ...] = ()

    def show(self, pane: TextPane, modes: tuple[str, ...]) -> None:
        """Show the state of a text, and the modes that are on."""
        self._pane, self._modes = pane, modes
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (the line is one high)
        """Return the line: the model on the left, the state of its text on the right."""
        if self._pane is None:
            return [[]]
        styles = {part: self.get_component_rich_style(f"model-status--{part}") for part in _PARTS}
        left = _model(self._pane)
        right = _progress(self._pane)
        modes = f"  {' '.join(self._modes)}" if self._modes else ""
        gap = width - sum(len(text) for text, _ in [*left, *right]) - len(modes)
        if gap < 1:  # a narrow terminal does without the loss of the model
            left = left[:1]
            gap = max(1, width - len(left[0][0]) - sum(len(text) for text, _ in right) - len(modes))
        row = [(text, styles[part]) for text, part in left]
        row.append((modes, styles["mode"]))
        row.append((" " * gap, styles["detail"]))
        row += [(text, styles[part]) for text, part in right]
        return [row]


def _model(pane: TextPane) -> list[tuple[str, str]]:
    model = pane.model
    if model is None:
        name = "the weights in training" if pane.reference == LIVE else pane.reference or "…"
        return [(escape_line(name), "model")]
    detail = f"  step {count(model.step)}" if model.step else ""
    if model.val_loss is not None:
        detail += f"  loss {decimal(model.val_loss)}"
    return [(escape_line(model.name), "model"), (detail, "detail")]


def _progress(pane: TextPane) -> list[tuple[str, str]]:
    if pane.state is None:
        return [("Enter makes it speak", "quiet")]
    text, part = _STATES[pane.state]
    characters = f"{count(len(pane.generated))} characters"
    speed = f"  {count(pane.rate)}/s" if pane.state is GenerationState.GENERATING else ""
    return [(f"{characters}{speed}  ", "detail"), (text, part)]


class NoticeLine(Static):
    """One sentence above the prompt, until the next one; it takes no room while there is none."""

    DEFAULT_CSS = """
    NoticeLine {
        height: auto; max-height: 4; padding: 0 1; color: $text-muted; display: none;
        &.shown { display: block; }
        &.error { color: $error; }
    }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)

    def show(self, sentence: str, *, error: bool = False) -> None:
        """Show a sentence; an empty one goes away."""
        self.update(escape_line(sentence))
        self.set_class(bool(sentence), "shown")
        self.set_class(error, "error")
