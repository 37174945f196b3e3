"""What travels between the parts of the app.

Every message is small and frozen in spirit: made once, read by whoever handles it. A noisy one says ``can_replace``, so
that on a slow link those still waiting collapse into the newest.
"""

from textual.message import Message

from shakegpt.events import Event
from shakegpt.runs.snapshot import Snapshot


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
