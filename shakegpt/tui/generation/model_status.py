"""The line above the page: which model speaks, and how far it has come."""

from typing import ClassVar

from shakegpt.system.text import escape_line
from shakegpt.tui.formatting import count, decimal
from shakegpt.tui.generation.generation_pane import Passage
from shakegpt.tui.messages import LIVE
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_PARTS = ("model", "detail", "mode", "busy", "quiet", "failed")
_STATES = {
    "opening": ("◌ loading", "busy"),
    "speaking": ("● speaking", "busy"),
    "resting": ("■ stopped", "quiet"),
    "ended": ("■ done", "quiet"),
    "failed": ("✗ failed", "failed"),
}


class VoiceStatus(DiffWidget):
    """Says which model speaks, in which mode, whether it is speaking, and how fast."""

    DEFAULT_CSS: ClassVar[str] = """
    VoiceStatus {
        height: 1;
        padding: 0 1;
        background: $background;
        & > .voice-status--model { color: $foreground; background: $background; text-style: bold; }
        & > .voice-status--detail { color: $text-muted; background: $background; }
        & > .voice-status--mode { color: $secondary; background: $background; }
        & > .voice-status--busy { color: $success; background: $background; }
        & > .voice-status--quiet { color: $text-muted; background: $background; }
        & > .voice-status--failed { color: $error; background: $background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"voice-status--{part}" for part in _PARTS}

    def __init__(self) -> None:
        super().__init__()
        self._passage: Passage | None = None
        self._modes: tuple[str, ...] = ()

    def show(self, passage: Passage, modes: tuple[str, ...]) -> None:
        """Show how a passage stands, and the toggles that are on."""
        self._passage, self._modes = passage, modes
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (the line is one high)
        """Return the line: the model on the left, the voice on the right."""
        if self._passage is None:
            return [[]]
        styles = {part: self.get_component_rich_style(f"voice-status--{part}") for part in _PARTS}
        left = _model(self._passage)
        right = _voice(self._passage)
        modes = f"  {' '.join(self._modes)}" if self._modes else ""
        room = width - sum(len(text) for text, _ in [*left, *right]) - len(modes)
        if room < 1:  # a narrow terminal does without the loss of the model
            left = left[:1]
            room = max(1, width - len(left[0][0]) - sum(len(text) for text, _ in right) - len(modes))
        row = [(text, styles[part]) for text, part in left]
        row.append((modes, styles["mode"]))
        row.append((" " * room, styles["detail"]))
        row += [(text, styles[part]) for text, part in right]
        return [row]


def _model(passage: Passage) -> list[tuple[str, str]]:
    model = passage.model
    if model is None:
        name = "the weights in training" if passage.reference == LIVE else passage.reference or "…"
        return [(escape_line(name), "model")]
    detail = f"  step {count(model.step)}" if model.step else ""
    if model.val_loss is not None:
        detail += f"  loss {decimal(model.val_loss)}"
    return [(escape_line(model.model), "model"), (detail, "detail")]


def _voice(passage: Passage) -> list[tuple[str, str]]:
    if passage.state is None:
        return [("Enter makes it speak", "quiet")]
    text, part = _STATES[passage.state]
    said = f"{count(len(passage.drawn))} characters"
    speed = f"  {count(passage.rate)}/s" if passage.state == "speaking" else ""
    return [(f"{said}{speed}  ", "detail"), (text, part)]
