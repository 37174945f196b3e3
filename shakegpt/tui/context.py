"""What the app and its screens share, handed to each screen when it is made."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from shakegpt.inspection.head import Head
from shakegpt.runs.source import TrainingSource
from shakegpt.runs.speed import Speed, measured_speeds
from shakegpt.runs.store import Store
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.preferences import Preferences, save_preferences

Mode = Literal["training", "generation", "checkpoints", "inspect"]
"""The screens, in the order of their keys."""


class Speech(Protocol):
    """What the generation screen speaks, for the screen that looks inside the model meanwhile."""

    @property
    def text(self) -> str:
        """The prompt and what was generated after it; empty before the first start."""

    @property
    def reference(self) -> str:
        """The model that speaks: a checkpoint's reference, ``LIVE``, or empty for the store's default."""

    @property
    def speaking(self) -> bool:
        """Whether text is on its way."""

    def toggle(self) -> None:
        """Stop after the current character, or go on."""

    def hold(self) -> None:
        """Stop until the generation screen is back, or until ``let_go``."""

    def let_go(self) -> None:
        """Go on with what was held."""

    def use_muted_heads(self) -> None:
        """Go on with the heads muted that are muted now."""


@dataclass(frozen=True)
class LoadedModel:
    """What the top bar says of the model that text is generated with."""

    name: str
    """Such as ``pretrained`` or ``macbeth@500``."""
    parameters: int
    val_loss: float | None = None


@dataclass(kw_only=True)
class AppContext:
    """The store, the user's preferences and the run on show.

    Screens read it. What they want the app to do, such as starting a training, they ask for by a message.
    """

    store: Store
    preferences: Preferences
    only_watch: bool = False
    """Whether the app may only watch the run on show, as in a browser."""
    training: TrainingSource | None = None
    """The run on show."""
    training_note: str = ""
    """What there is to say of the run on show, such as which process trains it."""
    run_owner: str = "Another process"
    """Who trains the run on show, where it is not this process."""
    training_request: TrainingRequest | None = None
    """What the run on show was asked to be, where this app has started it."""
    loaded_checkpoint: str | None = None
    """The checkpoint that the generation screen generates from."""
    loaded_model: LoadedModel | None = None
    """The model of that checkpoint, once it is loaded."""
    speech: Speech | None = None
    """What the generation screen speaks; ``None`` before that screen was opened."""
    muted_heads: frozenset[Head] = frozenset()
    """The heads that every model does without, as far as it has them, until they are unmuted."""
    _preferences_changed: bool = False
    _speeds: Mapping[str, Speed] | None = None
    _reading_speeds: threading.Lock = field(default_factory=threading.Lock)

    @property
    def own_training(self) -> TrainingSource | None:
        """The training that this process does and that has not ended."""
        training = self.training
        return training if training is not None and training.owned and training.alive else None

    def measured_speeds(self) -> Mapping[str, Speed]:
        """Return how fast this machine had trained when the app was started, as ``runs.speed.measured_speeds`` does.

        The logs are read once, by the first thread that asks; others wait for it. Raises ``ShakegptError``.
        """
        with self._reading_speeds:
            if self._speeds is None:
                self._speeds = measured_speeds(self.store)
            return self._speeds

    def remember(self, **changes: Any) -> None:
        """Change preferences; the app saves them soon after."""
        self.preferences = replace(self.preferences, **changes)
        self._preferences_changed = True

    def save_preferences(self) -> None:
        """Write the preferences if they have changed. Raises ``OSError``."""
        if self._preferences_changed:
            save_preferences(self.preferences)
            self._preferences_changed = False  # where they could not be written, they are later
