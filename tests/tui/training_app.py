"""An app with nothing but a training screen, which records what the screen asks for."""

from pathlib import Path
from typing import Any, ClassVar

from textual.app import App

from shakegpt.runs.snapshot import Snapshot
from shakegpt.runs.store import Store
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import app as app_module
from shakegpt.tui.context import AppContext
from shakegpt.tui.messages import GenerateFrom, StartTraining
from shakegpt.tui.preferences import Preferences
from shakegpt.tui.themes import THEMES
from shakegpt.tui.training.training_screen import TrainingScreen


class FixedTrainingScreen(TrainingScreen):
    """The training screen on a machine whose memory never changes."""

    def __init__(self, context: AppContext, **options: Any) -> None:
        super().__init__(context, **{"read_memory": lambda: 612_000_000, **options})
        self._memory = 612_000_000  # known before the first paint


class TrainingApp(App[None]):
    """Shows one snapshot or one training."""

    CSS_PATH = Path(app_module.__file__).with_name("app.tcss")
    HORIZONTAL_BREAKPOINTS: ClassVar = [(0, "-narrow"), (80, "-normal"), (120, "-wide"), (160, "-very-wide")]
    VERTICAL_BREAKPOINTS: ClassVar = [(0, "-short"), (24, "-medium"), (36, "-tall")]

    def __init__(self, snapshot: Snapshot | None = None, training: Any = None, **shared: Any) -> None:
        super().__init__()
        self.first = snapshot if snapshot is not None or training is None else training.latest
        self.context = AppContext(store=Store.default(), preferences=Preferences(), training=training, **shared)
        self.requests: list[TrainingRequest] = []
        self.generate_requests: list[Any] = []
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "shakegpt"

    @property
    def current_mode(self) -> str:
        return "training"

    @property
    def training_screen(self) -> TrainingScreen:
        return next(screen for screen in self.screen_stack if isinstance(screen, TrainingScreen))

    async def on_mount(self) -> None:
        await self.push_screen(FixedTrainingScreen(self.context))
        self.training_screen.show(self.first)

    def on_start_training(self, message: StartTraining) -> None:
        self.requests.append(message.request)

    def on_generate_from(self, message: GenerateFrom) -> None:
        self.generate_requests.append(
            message.reference if message.behind is None else (message.reference, message.behind)
        )
