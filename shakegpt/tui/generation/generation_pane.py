"""What the generation screen asks of whichever pane is on show, and the panes of texts generated from the prompt."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from shakegpt.config import SamplingConfig
from shakegpt.inspection.head import WITHOUT_HEAD
from shakegpt.runs.store import PRETRAINED
from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.knobs import SAMPLING_PRESETS, changed_settings, contrasting_preset
from shakegpt.tui.generation.takes import parting
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.widgets.top_bar import model_name


class GenerationPane(Protocol):
    """A single text, a duel of two, or a scene."""

    mode: str
    """Its name; empty for a single text."""
    texts: Sequence[TextPane]
    """The texts that are generated together."""
    current: TextPane
    """The one whose model, settings and next character are shown."""

    @property
    def text(self) -> str:
        """What is copied and saved."""

    @property
    def title(self) -> str:
        """What a saved file is named after."""

    def start(self, entered: str, /) -> None:
        """Generate from what the user has entered: a prompt, or a line of the scene."""

    def again(self, prompt: str, /) -> None:
        """Generate again, with the settings of this moment."""

    def generate(self, prompt: str, /) -> None:
        """Resume what was generated from the prompt, or start; in a scene, ask for the user's line."""

    def freeze(self, prompt: str, /) -> None:
        """Pause; where there is no text yet, start it and pause before its first character."""

    def pause(self) -> None:
        """Pause after the current character."""

    def apply(self, settings: SamplingConfig) -> None:
        """Draw the next character with other settings."""

    def select(self, step: int) -> None:
        """Select what is on the left (-1) or on the right (1) of what is selected."""

    def clear(self) -> None:
        """End the generation and remove the text."""


class PromptPane:
    """A text generated from the prompt."""

    mode = ""

    def __init__(self, *texts: TextPane) -> None:
        self.texts: Sequence[TextPane] = texts
        self.current = texts[0]

    @property
    def text(self) -> str:
        """The selected text, with its prompt."""
        return self.current.text

    @property
    def title(self) -> str:
        """Its prompt."""
        return self.current.prompt

    def start(self, prompt: str, /, *, paused: bool = False) -> None:
        """Start every text, below what was generated before."""
        for text in self.texts:
            text.start(prompt, paused=paused)

    def again(self, prompt: str, /) -> None:
        """Start every text again."""
        self.start(prompt)

    def generate(self, prompt: str, /) -> None:
        """Resume the texts if all are of this prompt, else start them."""
        if not all(text.can_resume(prompt) for text in self.texts):
            self.start(prompt)
            return
        for text in self.texts:
            if not text.busy:
                text.resume()

    def freeze(self, prompt: str, /) -> None:
        """Pause, or start and pause before the first character."""
        if self.current.state in (None, GenerationState.FAILED):
            self.start(prompt, paused=True)
        else:
            self.pause()

    def pause(self) -> None:
        """Pause every text after its current character."""
        for text in self.texts:
            text.pause()

    def apply(self, settings: SamplingConfig) -> None:
        """Change the settings of the selected text, and seed and length of the other."""
        for text in self.texts:
            if text is not self.current:
                text.apply(replace(text.settings, seed=settings.seed, length=settings.length))
        self.current.apply(settings)

    def select(self, step: int) -> None:
        """Select the first text (-1) or the last (1)."""
        self.current = self.texts[0 if step < 0 else -1]
        self.current.transcript.focus()

    def clear(self) -> None:
        """End the generation and remove every text."""
        for text in self.texts:
            text.clear()


class DuelPane(PromptPane):
    """Two texts side by side that share prompt, seed and length; the letter in which they part is marked."""

    mode = "duel"

    def __init__(self, left: TextPane, right: TextPane) -> None:
        super().__init__(left, right)
        self._left, self._right = left, right

    def enter(self) -> None:
        """Prepare the second text: with the first one's model, but settings that differ plainly from its own."""
        self._left.continued_prompt = self._right.continued_prompt = None
        if self._right.state is None:
            settings = self._left.settings
            self._right.apply(replace(settings, **SAMPLING_PRESETS[contrasting_preset(settings)]))
            self._right.use_model(self._left.reference, behind=self._left.behind)
        self.current = self._right
        self.show_settings()

    def leave(self) -> None:
        """Pause the second text, and go on with the first."""
        self._right.pause()
        self._left.transcript.parting = None
        self._left.head(())

    def start(self, prompt: str, /, *, paused: bool = False) -> None:
        """Start both texts on clean pages, so that they stand side by side."""
        self.clear()
        super().start(prompt, paused=paused)

    def apply(self, settings: SamplingConfig) -> None:
        """Change the settings of the selected text, and seed and length of the other."""
        super().apply(settings)
        self.show_settings()

    def show_settings(self) -> None:
        """Head each text with its model and what distinguishes its settings."""
        for text in self.texts:
            name = model_name(text.model.name if text.model else text.reference or PRETRAINED)
            changed = changed_settings(text.settings)
            whole, without, heads = name.partition(WITHOUT_HEAD)
            muted = f"{without}{heads}".strip()
            titles = [(name, changed), (muted, changed), (changed,)] if changed else [(name,), (muted or whole,)]
            text.head([" · ".join(filter(None, title)) for title in titles])

    def mark_parting(self) -> None:
        """Mark the first letter that differs, once there is one."""
        if self._left.transcript.parting is not None or self._left.is_cut or self._right.is_cut:
            return
        index = parting(self._left.generated, self._right.generated)
        if index is not None:
            self._left.mark_parting(index)
            self._right.mark_parting(index)
