"""The app: three screens, the one training they share, and the keys that work everywhere."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen

from shakegpt.config import OnHangup
from shakegpt.events import Event, Step
from shakegpt.runs.follower import Follower
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.runs.source import TrainingSource
from shakegpt.runs.store import Store
from shakegpt.system.settings import load_settings
from shakegpt.system.text import escape_control_characters, escape_line
from shakegpt.training.setup import build_trainer
from shakegpt.training.thread import TrainingThread
from shakegpt.tui.ascii_filter import AsciiOnly, speaks_utf8
from shakegpt.tui.checkpoints.checkpoint_screen import CheckpointScreen
from shakegpt.tui.context import AppContext
from shakegpt.tui.dialogs.help import help_for
from shakegpt.tui.dialogs.questions import Leaving, QuitScreen
from shakegpt.tui.driver import driver_class
from shakegpt.tui.formatting import count, decimal
from shakegpt.tui.messages import GenerateFrom, StartTraining, TrainingChanged
from shakegpt.tui.preferences import load_preferences
from shakegpt.tui.themes import THEMES
from shakegpt.tui.widgets.top_bar import TopBar

Mode = Literal["training", "generation", "checkpoints"]

HEADLESS = "headless"
"""The app's result where its user wants training to go on without it."""
_SHOWS_PER_SECOND = 10
_SECONDS_PER_SAVE = 1.0


@runtime_checkable
class ShowsTraining(Protocol):
    """A screen that shows the run in training."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the run as it stands now."""


class ShakegptApp(App[str]):
    """Train a GPT, watch it learn, hear it speak.

    Args:
        store: the user's runs; the default store where none is given.
        training: a training already under way.
        watch: a run of another process to show.
        on_hangup: what becomes of training when the terminal goes away.
        mode: the screen to open on; generation, or training where there is one to show.

    Raises:
        UsageError: the user's ``config.toml``, which may name other keys, cannot be used.
    """

    TITLE = "shakegpt"
    CSS_PATH = "app.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (120, "-wide"), (160, "-very-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-medium"), (36, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "go('training')", "Training", id="app.training", tooltip="The training screen", show=False),
        Binding(
            "2", "go('generation')", "Generation", id="app.generation", tooltip="The generation screen", show=False
        ),
        Binding(
            "3", "go('checkpoints')", "Checkpoints", id="app.checkpoints", tooltip="The checkpoint screen", show=False
        ),
        Binding("ctrl+p", "command_palette", "Palette", id="app.palette", tooltip="Every action, by name", show=False),
        Binding("question_mark", "help", "Help", id="app.help", key_display="?", tooltip="What this screen can do"),
        Binding("ctrl+q", "quit", "Quit", id="app.quit", tooltip="Leave; asks first while training", priority=True),
    ]

    def __init__(
        self,
        store: Store | None = None,
        *,
        training: TrainingSource | None = None,
        watch: Run | None = None,
        on_hangup: OnHangup = "continue",
        mode: Mode | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class())
        self.context = AppContext(store=store or Store.default(), preferences=load_preferences(), training=training)
        self.on_hangup: OnHangup = on_hangup
        self.loop: asyncio.AbstractEventLoop | None = None
        """The event loop, for threads that want the app to leave; ``None`` until it runs."""
        self._ascii = AsciiOnly(enabled=not speaks_utf8())
        self._opening: Mode = mode or ("training" if training or watch else "generation")
        self._to_follow = watch
        self._unsubscribe: Callable[[], None] | None = None
        self._told = threading.Event()
        self._shown: Snapshot | None = None
        self._leaving = False
        self._keys = load_settings().keymap
        self.add_mode("training", self.training_screen)
        self.add_mode("generation", self.generation_screen)
        self.add_mode("checkpoints", partial(CheckpointScreen, self.context))
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._preferred_theme()

    # The three screens. Those of training and generation are imported when they are first opened.

    def training_screen(self) -> Screen[Any]:
        """Make the training screen."""
        from shakegpt.tui.training.training_screen import TrainingScreen

        return TrainingScreen(self.context)

    def generation_screen(self) -> Screen[Any]:
        """Make the generation screen."""
        from shakegpt.tui.generation.generation_screen import GenerationScreen

        return GenerationScreen(self.context)

    async def on_mount(self) -> None:
        """Open on the first screen; everything slow begins after its first paint."""
        self.loop = asyncio.get_running_loop()
        self.set_keymap(self._keys)
        self.theme_changed_signal.subscribe(self, lambda theme: self.context.remember(theme=theme.name))
        self.set_interval(_SECONDS_PER_SAVE, self._save_preferences)
        await self.action_go(self._opening)
        if self._to_follow is not None:
            self.follow(self._to_follow)
        elif self.context.training is not None:
            self._take_up(self.context.training)
        self.call_after_refresh(self._warm_up)

    async def action_go(self, mode: Mode) -> None:
        """Switch to a screen, and show it where training stands."""
        await self.switch_mode(mode)
        self._show(self.context.training.latest if self.context.training else None)

    def action_help(self) -> None:
        """Explain the screen at hand."""
        self.push_screen(help_for(self.screen))

    async def on_generate_from(self, message: GenerateFrom) -> None:
        """Switch to the generation screen, and pass the message on to it."""
        await self.action_go("generation")
        self.screen_stack[0].post_message(GenerateFrom(message.reference))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Put every action of the screen at hand, and those that work everywhere, into the command palette."""
        named = set[str]()
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.id is None or not active.enabled or binding.action in named:
                continue
            named.add(binding.action)
            title = f"{binding.description} ({self.get_key_display(binding)})"
            act = partial(self.run_action, binding.action, active.node)
            yield SystemCommand(title, binding.tooltip or binding.description, act)
        yield SystemCommand("Theme", "Choose the colours; the choice is remembered", self.action_change_theme)
        yield SystemCommand(
            "Screenshot", "Save the screen as an SVG", lambda: self.set_timer(0.1, self.deliver_screenshot)
        )

    def get_key_display(self, binding: Binding) -> str:
        """Name a key in words where the terminal has no sign for it."""
        display = super().get_key_display(binding)
        return display if display.isascii() or not self._ascii.enabled else binding.key

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Keep to ASCII where the terminal knows nothing else."""
        filters = super().get_line_filters()
        return [*filters, self._ascii] if self._ascii.enabled else filters

    # The one training

    async def on_start_training(self, message: StartTraining) -> None:
        """Start the training and show it, unless a run of this process is in training already."""
        if self.context.own_training is not None:
            self.notify("A run is in training already: save and stop it first (1, then x).", severity="warning")
            return
        thread = TrainingThread(partial(build_trainer, self.context.store, message.request))
        self._take_up(thread)
        thread.start()
        await self.action_go("training")

    def follow(self, run: Run) -> None:
        """Show a run that another process trains; commands reach it where that process runs on this host."""
        follower = Follower(run)
        self._take_up(follower, note=f"Watching: {follower.owner} trains it." if follower.owner else "")
        follower.start()

    def _take_up(self, training: TrainingSource, note: str = "") -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self.context.training is not None and self.context.training is not training:
            self.context.training.close()
        self.context.training, self.context.training_note = training, note
        self._shown = None
        self._unsubscribe = training.subscribe(self._hear)
        self._show(training.latest)

    def _hear(self, event: Event | None, _: Snapshot) -> None:
        """Pass news on from the training thread: one message at a time, however fast it steps; rarer news at once."""
        if not self._told.is_set() or not isinstance(event, Step):
            self._told.set()
            self.post_message(TrainingChanged())

    def on_training_changed(self) -> None:
        """Show the newest snapshot, at most so many times a second; the next news waits until then."""
        self.set_timer(1 / _SHOWS_PER_SECOND, self._catch_up)
        if self.context.training is not None:
            self._show(self.context.training.latest)

    def _catch_up(self) -> None:
        """Listen again, and show what has happened meanwhile."""
        self._told.clear()
        training = self.context.training
        if training is not None and training.latest is not self._shown:
            self._hear(None, training.latest)

    def _show(self, snapshot: Snapshot | None) -> None:
        for bar in self.screen_stack[0].query(TopBar):
            bar.show(snapshot)
        if snapshot is None:
            return
        for screen in self.screen_stack:
            if isinstance(screen, ShowsTraining):
                screen.show(snapshot)
        self._announce(snapshot)
        self._shown = snapshot

    def _announce(self, snapshot: Snapshot) -> None:
        """Say on whichever screen is open what its user would not want to miss."""
        before = self._shown
        if before is None:
            return
        if snapshot.state in ENDED and before.state not in ENDED:
            self._announce_end(snapshot)
        elif snapshot.warning is not None and snapshot.warning != before.warning:
            self.notify(escape_control_characters(snapshot.warning.message), severity="warning", markup=False)

    def _announce_end(self, snapshot: Snapshot) -> None:
        if self._leaving:
            self.exit()
        elif snapshot.state == "failed":
            self.notify(
                escape_control_characters(snapshot.message),
                title="Training failed",
                severity="error",
                timeout=15,
                markup=False,
            )
        else:
            best = f" Best validation loss {decimal(snapshot.best.val_loss)}." if snapshot.best else ""
            self.notify(f"Training has {snapshot.state} at step {count(snapshot.current_step)}.{best}", markup=False)

    # What is remembered

    def on_unmount(self) -> None:
        """Write what is still unwritten."""
        self._save_preferences()
        if self.context.training is not None:
            self.context.training.close()

    def _save_preferences(self) -> None:
        try:
            self.context.save_preferences()
        except OSError as error:
            self.log.warning(f"preferences were not saved: {error}")

    def _preferred_theme(self) -> str:
        if self.context.preferences.theme in self.available_themes:
            return self.context.preferences.theme
        return "ansi-dark" if self.console.color_system == "standard" else "shakegpt"

    # Leaving

    async def action_quit(self) -> None:
        """Leave, asking first where that would end a training."""
        if isinstance(self.screen, QuitScreen):
            self.screen.dismiss(None)
            return
        thread = self.context.own_training
        if thread is None:
            self.exit()
            return
        snapshot = thread.latest
        name = escape_line(snapshot.started.run) if snapshot.started else "A run"
        progress = f"step {count(snapshot.current_step)} of {count(snapshot.steps)}" if snapshot.steps else "loading"
        self.push_screen(QuitScreen(name, progress), self._leave)

    def _leave(self, leaving: Leaving | None) -> None:
        thread = self.context.own_training
        if leaving is None:
            return
        if thread is None:
            self.exit()
        elif leaving == "headless":
            self.exit(HEADLESS)
        else:
            self._leaving = True
            self.notify("Saving, then leaving…")
            thread.stop()

    def _warm_up(self) -> None:
        """Import torch, a second's work, while the first screen is already there to be read."""
        threading.Thread(target=_import_engine, name="import torch", daemon=True).start()


def _import_engine() -> None:
    import shakegpt.generation.stream  # noqa: F401  (for its side effect: torch is loaded)
    from shakegpt.system.threads import configure_process

    configure_process()
