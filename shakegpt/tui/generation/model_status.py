"""The lines around the text: how it is going, and what there is to say about it."""

from functools import partial
from typing import ClassVar

from textual.timer import Timer
from textual.widgets import Static

from shakegpt.system.text import escape_line
from shakegpt.tui.formatting import count
from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.knobs import preset_of
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

LOADING_SECONDS = 0.5
"""How long a model may load before the status says so."""
_EXPLANATION_WIDTH = 56
"""The width from which on an explanation fits in a line; below it there is none."""
_NOTICE_SECONDS = 8.0
_PARTS = ("detail", "preset", "busy", "quiet", "failed")


class ModelStatus(DiffWidget):
    """Shows the preset of the sampling settings, and whether and how fast text is generated."""

    DEFAULT_CSS: ClassVar[str] = """
    ModelStatus {
        height: 1;
        width: 30;
        background: $background;
        & > .model-status--detail { color: $text-muted; background: $background; }
        & > .model-status--preset { color: $secondary; background: $background; }
        & > .model-status--busy { color: $success; background: $background; }
        & > .model-status--quiet { color: $text-muted; background: $background; }
        & > .model-status--failed { color: $error; background: $background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"model-status--{part}" for part in _PARTS}

    def __init__(self) -> None:
        super().__init__()
        self._pane: TextPane | None = None
        self._slow = False
        self._timer: Timer | None = None

    def show(self, pane: TextPane) -> None:
        """Show the state of a text; that a model is loading only once it has taken a while."""
        self._pane = pane
        if pane.state is not GenerationState.LOADING:
            self._slow = False
            if self._timer is not None:
                self._timer.stop()
                self._timer = None
        elif self._timer is None:
            self._timer = self.set_timer(LOADING_SECONDS, self._say_loading)
        self.redraw()

    def _say_loading(self) -> None:
        if self._timer is not None:  # else it was stopped while this call was on its way
            self._slow = True
            self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (the line is one high)
        """Return the line, at the right of its room; what does not fit is left out, the preset first."""
        if self._pane is None:
            return [[]]
        styles = {part: self.get_component_rich_style(f"model-status--{part}") for part in _PARTS}
        words = self._words(self._pane)
        if sum(len(text) for text, _ in words) > width:
            words = words[1:]
        gap = width - sum(len(text) for text, _ in words)
        return [[(" " * max(0, gap), styles["detail"]), *((text, styles[part]) for text, part in words)]]

    def _words(self, pane: TextPane) -> list[tuple[str, str]]:
        preset = (f"{preset_of(pane.settings) or ''}  ", "preset")
        match pane.state:
            case None:
                return [preset, ("Enter speaks", "quiet")]
            case GenerationState.LOADING:
                return [preset, ("loading the model" if self._slow else "", "busy")]
            case GenerationState.GENERATING:
                return [preset, (f"{count(pane.rate)} letters/s", "busy")]
            case GenerationState.PAUSED:
                return [preset, (f"stopped at {count(pane.count)}", "quiet")]
            case GenerationState.FINISHED:
                return [preset, (f"{count(pane.count)} letters", "quiet")]
            case GenerationState.FAILED:
                return [preset, ("could not speak", "failed")]


class NoticeLine(Static):
    """One sentence at the bottom: what there is to say at the moment, or else what the knob last turned means."""

    DEFAULT_CSS = """
    NoticeLine {
        height: auto; min-height: 1; max-height: 4; padding: 0 1; color: $text-muted;
        &.error { color: $error; }
        &.empty { display: none; }
    }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._explanation = ""
        self._sentence = self._shown = ""
        self._timer: Timer | None = None

    @property
    def sentence(self) -> str:
        """The notice on show; empty where there is none."""
        return self._sentence

    @property
    def explanation(self) -> str:
        """What stands here where there is no notice."""
        return self._explanation

    def explain(self, sentence: str) -> None:
        """Show what a knob means, instead of the notice and until the next one."""
        self._explanation = sentence
        self.show("")

    def show(self, sentence: str, *, error: bool = False, stays: bool = False) -> None:
        """Show a sentence; it goes away after a while, unless it is an error or stays until the next one."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if sentence and not (error or stays):
            self._timer = self.set_timer(_NOTICE_SECONDS, partial(self._expire, sentence))
        shown = sentence or (self._explanation if self.app.size.width >= _EXPLANATION_WIDTH else "")
        if sentence != self._sentence or shown != self._shown:
            self.update(escape_line(shown))
        self._sentence, self._shown = sentence, shown
        self.set_class(bool(sentence) and error, "error")
        self.set_class(not shown, "empty")

    def _expire(self, sentence: str) -> None:
        """Take a sentence away, unless another one has come while this call was on its way."""
        if sentence == self._sentence:
            self.show("")

    def fit(self) -> None:
        """Show the explanation where the terminal has room for it."""
        if not self._sentence:
            self.show("")
