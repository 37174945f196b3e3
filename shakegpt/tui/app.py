"""The app: four screens, the training they share, and the keys that work on all of them."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.command import CommandPalette
from textual.screen import Screen

from shakegpt.config import OnHangup
from shakegpt.events import Event, Step
from shakegpt.runs.follower import Follower
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.runs.source import TrainingSource
from shakegpt.runs.store import Store
from shakegpt.system.settings import load_settings
from shakegpt.system.text import escape_line
from shakegpt.training.setup import TrainingRequest, build_trainer
from shakegpt.training.thread import TrainingThread
from shakegpt.tui.bindings import BINDINGS
from shakegpt.tui.context import AppContext, Mode
from shakegpt.tui.dialogs.help import help_for
from shakegpt.tui.dialogs.questions import Dialog, QuitChoice, QuitScreen
from shakegpt.tui.driver import driver_class
from shakegpt.tui.formatting import count
from shakegpt.tui.messages import GenerateFrom, RunTrained, StartTraining, TrainingChanged
from shakegpt.tui.notifying import TrainingNotifier
from shakegpt.tui.painting import PaintingApp
from shakegpt.tui.palette import PLACEHOLDER, AllThemes, ThemeCommands, highlighted_theme
from shakegpt.tui.preferences import load_preferences
from shakegpt.tui.prepare import prepare
from shakegpt.tui.themes import SIXTEEN, THEMES, with_contrast
from shakegpt.tui.training_notes import notify_changes
from shakegpt.tui.watching import WatchingApp
from shakegpt.tui.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from shakegpt.tui.generation.model_loader import ModelLoader

HEADLESS = "headless"
"""The app's result where its user wants the training to go on without it."""
_UPDATES_PER_SECOND = 10
_SECONDS_PER_SAVE = 1.0


@runtime_checkable
class ShowsSnapshot(Protocol):
    """A screen that shows the run in training."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the newest snapshot of the run."""


class ShakegptApp(PaintingApp, WatchingApp):
    """Trains a GPT, shows it learn, and generates text from it.

    Args:
        store: the user's runs; the default store where none is given.
        training: a training that has already started.
        watch: a run of another process to show.
        on_hangup: what happens to the training when the terminal goes away.
        mode: the first screen; by default training where there is one to show, and generation otherwise.
        only_watch: no key changes anything: no training, no generating, no other screen, no file, no notification.
        notify: how to tell of the training on show, as for ``Sender``.

    Raises:
        UsageError: the user's ``config.toml``, which may name other keys, cannot be used.
    """

    TITLE = "shakegpt"
    COMMANDS = App.COMMANDS | {ThemeCommands}
    CSS_PATH = "app.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (80, "-normal"), (120, "-wide"), (160, "-very-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (24, "-medium"), (36, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    def __init__(
        self,
        store: Store | None = None,
        *,
        training: TrainingSource | None = None,
        watch: Run | None = None,
        on_hangup: OnHangup = "continue",
        mode: Mode | None = None,
        only_watch: bool = False,
        notify: Sequence[str] = (),
    ) -> None:
        super().__init__(driver_class=driver_class())
        self.context = AppContext(store=store or Store.default(), preferences=load_preferences(), training=training)
        self.context.only_watch = self.only_watch = only_watch
        self.on_hangup: OnHangup = on_hangup
        self.notifier = TrainingNotifier(self, lambda: self.event_loop, () if only_watch else notify)
        self.event_loop: asyncio.AbstractEventLoop | None = None
        """For threads that want the app to exit; ``None`` until it runs."""
        self._first_mode: Mode = mode or ("training" if training or watch else "generation")
        self._watched_run = watch
        self._unsubscribe: Callable[[], None] | None = None
        self._message_pending = threading.Event()
        self._last_shown: Snapshot | None = None
        self._trained_run: str | None = None
        """The run whose training has ended since the generation screen was last open."""
        self._theme_before: str | None = None
        """The theme before those that are shown while one moves over their names."""
        self._exit_when_ended = False
        self._user_keymap = load_settings().keymap
        self.add_mode("training", self.training_screen)
        self.add_mode("generation", self.generation_screen)
        self.add_mode("checkpoints", self.checkpoint_screen)
        self.add_mode("inspect", self.inspect_screen)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._preferred_theme()

    # The screens, which are imported when they are first opened

    def training_screen(self) -> Screen[Any]:
        """Return a new training screen."""
        from shakegpt.tui.training.training_screen import TrainingScreen

        return TrainingScreen(self.context)

    def generation_screen(self) -> Screen[Any]:
        """Return a new generation screen."""
        from shakegpt.tui.generation.generation_screen import GenerationScreen

        return GenerationScreen(self.context, self.model_loader)

    def checkpoint_screen(self) -> Screen[Any]:
        """Return a new screen of the runs."""
        from shakegpt.tui.checkpoints.checkpoint_screen import CheckpointScreen

        return CheckpointScreen(self.context)

    def inspect_screen(self) -> Screen[Any]:
        """Return a new inspect screen."""
        from shakegpt.tui.inspect.inspect_screen import InspectScreen

        return InspectScreen(self.context, self.model_loader)

    @cached_property
    def model_loader(self) -> "ModelLoader":
        """What loads models, for generating and for looking inside: what both use is loaded once."""
        from shakegpt.tui.generation.model_loader import ModelLoader

        return ModelLoader(self.context)

    async def on_mount(self) -> None:
        """Open the first screen; whatever is slow begins after its first paint."""
        self.event_loop = asyncio.get_running_loop()
        self.set_keymap(self._user_keymap)
        self.theme_changed_signal.subscribe(self, lambda _: self._remember_theme())
        self.set_interval(_SECONDS_PER_SAVE, self._save_preferences)
        await self.action_switch_mode(self._first_mode)
        if self._watched_run is not None:
            follower = Follower(self._watched_run, read_only=self.only_watch)
            if follower.owner is not None:
                self.context.run_owner = str(follower.owner)
            self._attach_training(follower, note=f"Watching: {follower.owner} trains it." if follower.owner else "")
            follower.start()
        elif self.context.training is not None:
            self._attach_training(self.context.training)
        if not self.only_watch:
            runs = self.context.store.runs_folder
            thread = threading.Thread(target=prepare, args=(runs,), name="import torch", daemon=True)
            self.call_after_refresh(thread.start)

    async def action_switch_mode(self, mode: str) -> None:
        """Switch to a screen, and show it the newest snapshot; what was said on the one before goes."""
        if mode != self.current_mode:
            self.clear_notifications()
        await self.switch_mode(mode)
        self._show(self.context.training.latest if self.context.training else None)
        if mode == "generation" and self._trained_run is not None:
            self.screen_stack[0].post_message(RunTrained(self._trained_run, here=False))
            self._trained_run = None

    def action_help(self) -> None:
        """Show the keys of the current screen."""
        self.push_screen(help_for(self.screen))

    def action_explain(self) -> None:
        """Explain what has the focus on the current screen, or its main thing."""
        from shakegpt.tui.explanations.screens import show_explanations  # it knows all screens

        show_explanations(self)

    async def on_generate_from(self, message: GenerateFrom) -> None:
        """Switch to the generation screen, and pass the message on to it."""
        self._trained_run = None
        await self.action_switch_mode("generation")
        self.screen_stack[0].post_message(GenerateFrom(message.reference, message.behind))

    # The command palette

    def action_change_theme(self) -> None:
        """Choose a theme; the one under the cursor is shown."""
        self.push_screen(CommandPalette(providers=[AllThemes], placeholder="Search for a theme…"))

    def action_command_palette(self) -> None:
        """Find an action or a theme by its name."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=PLACEHOLDER, id="--command-palette"))

    def refresh_css(self, animate: bool = True) -> None:
        """Show a theme on the palette too, which Textual leaves out."""
        super().refresh_css(animate)
        for screen in self.screen_stack:
            if isinstance(screen, CommandPalette):
                self.stylesheet.update(screen, animate=animate)

    @on(CommandPalette.OptionHighlighted)
    def _preview_theme(self, message: CommandPalette.OptionHighlighted) -> None:
        """Show the theme under the cursor, or the theme from before."""
        theme = highlighted_theme(message)
        if not isinstance(self.screen, CommandPalette) or (theme is None and self._theme_before is None):
            return
        self._theme_before = self._theme_before or self.theme
        self.theme = theme or self._theme_before

    @on(CommandPalette.Closed)
    def _end_preview(self, message: CommandPalette.Closed) -> None:
        """Put the theme from before back, unless a theme was chosen."""
        before, self._theme_before = self._theme_before, None
        if before is not None and not message.option_selected:
            self.theme = before
        self._remember_theme()

    def _remember_theme(self) -> None:
        if self._theme_before is None and self.theme != self._preferred_theme():
            self.context.remember(theme=self.theme)

    def on_key(self, event: events.Key) -> None:
        """Hand a key to a screen that was still opening when it was pressed."""
        if isinstance(self.screen, Dialog) and self.screen.take_early_key(event):
            event.prevent_default()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Put every action of the current screen and of the app into the command palette."""
        actions = set[str]()
        for active in screen.active_bindings.values():
            binding = active.binding
            if binding.id is None or not active.enabled or binding.action in actions:
                continue
            actions.add(binding.action)
            title = f"{binding.description} ({self.get_key_display(binding)})"
            run = partial(self.run_action, binding.action, active.node)
            yield SystemCommand(title, binding.tooltip or binding.description, run)
        yield SystemCommand("Theme", "Choose the colours; the choice is remembered", self.action_change_theme)
        yield SystemCommand("Redraw", "Draw every cell again", self.action_redraw)
        yield SystemCommand(
            "Screenshot", "Save the screen as an SVG", lambda: self.set_timer(0.1, self.deliver_screenshot)
        )

    # Training

    async def on_start_training(self, message: StartTraining) -> None:
        """Start the training and show it, unless a run of this process is in training already."""
        if self.context.own_training is not None:
            self.notify("A run is in training already: X stops it, on the training screen (1).", severity="warning")
            return
        thread = TrainingThread(
            partial(build_trainer, self.context.store, message.request), begin=self._story_of(message.request.resume)
        )
        self._attach_training(thread, request=message.request)
        thread.start()
        await self.action_switch_mode("training")

    def _story_of(self, resume: str | None) -> Snapshot | None:
        """Return the run on show, if it is the one to resume."""
        shown = self.context.training.latest if self.context.training is not None else None
        if resume is None or shown is None or shown.started is None:
            return None
        return shown.continued() if shown.started.run == resume.partition("@")[0] else None

    def _attach_training(
        self, training: TrainingSource, note: str = "", request: TrainingRequest | None = None
    ) -> None:
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self.context.training is not None and self.context.training is not training:
            self.context.training.close()
        self.context.training, self.context.training_note, self.context.training_request = training, note, request
        self._last_shown = None
        self._unsubscribe = training.subscribe(self._on_training_event)
        self.notifier.follow(training)
        self._show(training.latest)

    def _on_training_event(self, event: Event | None, _: Snapshot) -> None:
        """Post a message from the training thread: for steps one at a time, however fast they are; else at once."""
        if not self._message_pending.is_set() or not isinstance(event, Step):
            self._message_pending.set()
            self.post_message(TrainingChanged())

    def on_training_changed(self) -> None:
        """Show the newest snapshot. The next step's message comes a moment later, to limit the updates per second."""
        self.set_timer(1 / _UPDATES_PER_SECOND, self._allow_message)
        if self.context.training is not None:
            self._show(self.context.training.latest)

    def _allow_message(self) -> None:
        """Allow the next step's message, and post it if the run has moved on meanwhile."""
        self._message_pending.clear()
        training = self.context.training
        if training is not None and training.latest is not self._last_shown:
            self._on_training_event(None, training.latest)

    def _show(self, snapshot: Snapshot | None) -> None:
        for bar in self.screen_stack[0].query(TopBar):
            bar.show()
        if snapshot is None:
            return
        for screen in self.screen_stack:
            if isinstance(screen, ShowsSnapshot):
                screen.show(snapshot)
        if self._exit_when_ended and snapshot.state in ENDED:
            self.exit()
        elif self._last_shown is not None:
            notify_changes(self, self._last_shown, snapshot)
            if snapshot.state in ENDED and self._last_shown.state not in ENDED:
                self._offer_trained(snapshot)
        self._last_shown = snapshot

    def _offer_trained(self, snapshot: Snapshot) -> None:
        """Have the generation screen generate from a run that has ended, now or when it is opened."""
        if snapshot.started is None or snapshot.saved is None or snapshot.state == "failed":
            return
        if self.current_mode == "generation":
            self.screen_stack[0].post_message(RunTrained(snapshot.started.run, here=True))
        else:
            self._trained_run = snapshot.started.run

    # Preferences

    def on_unmount(self) -> None:
        """Save the preferences, and stop following another process's run."""
        self._save_preferences()
        if self.context.training is not None:
            self.context.training.close()

    def _save_preferences(self) -> None:
        if self.only_watch:
            return
        try:
            self.context.save_preferences()
        except OSError as error:
            self.log.warning(f"preferences were not saved: {error}")

    def _preferred_theme(self) -> str:
        if self.context.preferences.theme in self.available_themes:
            return self.context.preferences.theme
        return SIXTEEN.name if self.console.color_system == "standard" else "shakegpt"

    def get_css_variables(self) -> dict[str, str]:
        """Return the variables of the theme, with borders and text that can be seen."""
        self.theme_variables = with_contrast(super().get_css_variables())
        return self.theme_variables

    # Quitting

    async def action_quit(self) -> None:
        """Quit; ask first where that would end a training."""
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
        self.push_screen(QuitScreen(name, progress), self._quit)

    def _quit(self, choice: QuitChoice | None) -> None:
        thread = self.context.own_training
        if choice is None:
            return
        if thread is None:
            self.exit()
        elif choice == "headless":
            self.exit(HEADLESS)
        else:
            self._exit_when_ended = True
            self.notify("Saving, then quitting…")
            thread.stop()
