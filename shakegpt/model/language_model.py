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
