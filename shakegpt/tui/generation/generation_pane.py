"""What the generation screen asks of whichever pane is on show, and the pane of texts generated from the prompt."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from shakegpt.config import SamplingConfig
from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.text_pane import TextPane


class GenerationPane(Protocol):
    """A single text, a duel of two, or a scene."""

    mode: str
    """Its name in the status line; empty for a single text."""
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
    """One text generated from the prompt, or two side by side that share prompt, seed and length."""

    def __init__(self, mode: str, *texts: TextPane) -> None:
        self.mode = mode  # as the status line names it
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
        """Resume the texts if they are of this prompt, else start them."""
        if any(text.busy for text in self.texts):
            return
        if self.current.can_resume(prompt):
            for text in self.texts:
                text.resume()
        else:
            self.start(prompt)

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
