"""A GPT with the vocabulary that it generates text with, and its name."""

from dataclasses import dataclass

from shakegpt.data.vocabulary import Vocabulary
from shakegpt.model.gpt import GPT


@dataclass(frozen=True, kw_only=True)
class LanguageModel:
    """A model ready to generate text."""

    model: GPT
    vocabulary: Vocabulary
    name: str
    """Such as ``pretrained``, ``macbeth@500`` or ``macbeth (live)``."""
    step: int = 0
    val_loss: float | None = None

    @property
    def opening(self) -> str:
        """What an empty prompt stands for: a newline, after which a speech begins; nothing where it knows none."""
        return "\n" if "\n" in self.vocabulary.stoi else ""

    @property
    def parameters(self) -> int:
        """The number of its weights."""
        return self.model.config.parameters
