"""The app: three screens, the one training they share, and the keys that work everywhere."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen

from shakegpt.events import Event
from shakegpt.progress import ENDED, Snapshot
from shakegpt.tui.messages import SpeakFrom, TrainingChanged, TrainingRequest
from shakegpt.tui.preferences import Preferences, load_preferences
from shakegpt.tui.themes import THEMES

if TYPE_CHECKING:
    from shakegpt.store import Run, Store

OnHangup = Literal["continue", "save"]


@runtime_checkable
class ShowsTraining(Protocol):
    """A screen that shows the run in training."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the run as it stands now."""


class Training(Protocol):
    """A run that can be followed and told what to do: our own thread, or another process's log."""

    @property
    def latest(self) -> Snapshot:
        """The run as it stands now."""

    def subscribe(self, callback: Callable[[Event | None, Snapshot], None]) -> Callable[[], None]:
        """Call back, from a thread of the run's own, whenever it moves on; return how to end that."""

    def pause(self) -> None:
        """Hold after the step at hand."""

    def resume(self) -> None:
        """Go on."""

    def save(self) -> None:
        """Write a checkpoint after the step at hand."""

    def stop(self) -> None:
        """Save and end."""


def _training_screen() -> Screen[Any]:
    from shakegpt.tui.screens.training import TrainingScreen

    return TrainingScreen()


def _generation_screen() -> Screen[Any]:
    from shakegpt.tui.screens.generation import GenerationScreen

    return GenerationScreen()


def _checkpoint_screen() -> Screen[Any]:
    from shakegpt.tui.screens.checkpoints import CheckpointScreen

    return CheckpointScreen()


class ShakegptApp(App[int]):
    """Train a GPT, watch it learn, hear it speak."""

    TITLE = "shakegpt"
    CSS_PATH = Path("app.tcss")
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "training": _training_screen,
        "generation": _generation_screen,
        "checkpoints": _checkpoint_screen,
    }
    DEFAULT_MODE = "generation"
    HORIZONTAL_BREAKPOINTS = [
        (0, "-narrow"),
        (80, "-normal"),
        (120, "-wide"),
        (160, "-very-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-medium"), (36, "-tall")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "go('training')", "Train", id="app.training", tooltip="Show the training screen"),
        Binding("2", "go('generation')", "Speak", id="app.generation", tooltip="Show the generation screen"),
        Binding("3", "go('checkpoints')", "Runs", id="app.checkpoints", tooltip="Show the checkpoint screen"),
        Binding("question_mark", "help", "Help", id="app.help", key_display="?", tooltip="Explain this screen"),
        Binding("ctrl+q", "quit", "Quit", id="app.quit", tooltip="Leave; asks first while training", priority=True),
    ]

    def __init__(
        self,
        store: "Store | None" = None,
        *,
        training: Training | None = None,
        watch: "Run | None" = None,
        on_hangup: OnHangup = "continue",
    ) -> None:
        super().__init__()
        self.training: Training | None = training
        self.preferences: Preferences = load_preferences()
        self.on_hangup: OnHangup = on_hangup
        self._store = store
        self._watch = watch
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self.preferences.theme if self.preferences.theme in self.available_themes else "shakegpt"

    @property
    def store(self) -> "Store":
        """The user's runs and checkpoints."""
        if self._store is None:
            from shakegpt.store import Store

            self._store = Store.default()
        return self._store

    @property
    def is_training(self) -> bool:
        """Whether a run is in training on show: our own, or one being watched."""
        return self.training is not None and self.training.latest.state not in ENDED

    async def action_go(self, mode: str) -> None:
        """Switch to a screen, and show it where training stands."""
        await self.switch_mode(mode)
        if self.training is not None:
            self._show(self.training.latest)

    def start_training(self, request: TrainingRequest) -> None:
        """Make the run and start the thread that trains it; says so where one is in training already."""
        raise NotImplementedError

    def follow(self, run: "Run") -> None:
        """Show a run that another process trains."""
        raise NotImplementedError

    async def speak_from(self, reference: str) -> None:
        """Switch to the generation screen and let it speak from a checkpoint, or from the ``"live"`` weights."""
        await self.switch_mode("generation")
        self.screen.post_message(SpeakFrom(reference))

    def remember(self, **changes: Any) -> None:
        """Change preferences; they are written soon after, and at the end."""
        self.preferences = self.preferences.but(**changes)

    def on_training_changed(self, message: TrainingChanged) -> None:
        """Hand the newest snapshot to the screens that show training."""
        self._show(message.snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        for screen in self._on_show():
            screen.show(snapshot)

    def _on_show(self) -> Iterable[ShowsTraining]:
        return (screen for screen in self.screen_stack if isinstance(screen, ShowsTraining))
