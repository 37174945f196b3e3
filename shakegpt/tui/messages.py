"""What travels between the parts of the app.

Every message is small and frozen in spirit: made once, read by whoever handles it. A noisy one says ``can_replace``, so
that on a slow link those still waiting collapse into the newest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textual.message import Message

from shakegpt.config import DEFAULT_PRESET
from shakegpt.events import Event
from shakegpt.progress import Snapshot


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """What a user asks to train: filled in by the new-run form, or made from a checkpoint to resume."""

    preset: str = DEFAULT_PRESET
    corpus: str = "tiny-shakespeare"
    """``tiny-shakespeare``, ``demo``, or a path."""
    run: str | None = None
    """The run's name; ``None`` lets the store choose one."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of ``TrainingConfig`` (and ``dropout``) that differ from the preset's."""
    resume: str | None = None
    """The checkpoint to go on from, such as ``macbeth@last``."""


class TrainingChanged(Message):
    """The run on show has moved on. Only the newest matters: a snapshot holds everything before it."""

    def __init__(self, snapshot: Snapshot, event: Event | None = None) -> None:
        self.snapshot = snapshot
        self.event = event
        super().__init__()

    def can_replace(self, message: Message) -> bool:
        """Take the place of an older one that still waits."""
        return isinstance(message, TrainingChanged)


class SpeakFrom(Message):
    """Someone wants to hear a model: a checkpoint's reference, or ``"live"`` for the weights in training."""

    def __init__(self, reference: str) -> None:
        self.reference = reference
        super().__init__()
