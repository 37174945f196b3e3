"""The messages of the app: what the screens ask of it, and what the training thread reports."""

from dataclasses import dataclass

from textual.message import Message

from shakegpt.training.setup import TrainingRequest

LIVE = "live"
"""Stands for the weights in training where a checkpoint's reference is asked for."""


@dataclass
class TrainingChanged(Message):
    """The run on show has a new snapshot. One message waits at most, however fast the run is."""

    def can_replace(self, message: Message) -> bool:
        """Take the place of an older one that still waits."""
        return isinstance(message, TrainingChanged)


@dataclass
class StartTraining(Message):
    """The user wants to train a model."""

    request: TrainingRequest


@dataclass
class RunTrained(Message):
    """The run on show has been trained to its end, or was stopped and saved; for the generation screen."""

    run: str
    here: bool
    """Whether the user was on that screen when it ended; else the user has come there since."""


@dataclass
class GenerateFrom(Message):
    """The user wants to generate text from a model."""

    reference: str
    """A checkpoint's reference, or ``LIVE``."""
    behind: int | None = None
    """How many steps the run has trained since that checkpoint; ``None`` where it is not in training."""
