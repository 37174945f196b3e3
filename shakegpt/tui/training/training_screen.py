"""The training screen: a run as it learns."""

from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer

from shakegpt.errors import ShakegptError
from shakegpt.runs.snapshot import ENDED, Snapshot, State
from shakegpt.system.memory import GpuUsage, gpu_usage, process_memory
from shakegpt.system.text import escape_control_characters
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.chart.curves import LOSS, QUANTITIES, Quantity
from shakegpt.tui.context import AppContext
from shakegpt.tui.messages import LIVE, GenerateFrom, StartTraining
from shakegpt.tui.training.metric_panel import MetricPanel
from shakegpt.tui.training.notice import Notice, Tone, Welcome, notice_of
from shakegpt.tui.training.progress_line import ProgressLine
from shakegpt.tui.training.run_details import RunDetails
from shakegpt.tui.training.run_line import RunLine
from shakegpt.tui.training.sample_panel import SamplePanel
from shakegpt.tui.widgets.top_bar import TopBar

NUMBERS_PER_SECOND = 3
"""How often the numbers follow that are watched: step, loss, perplexity, learning rate."""
SECONDS_PER_TREND = 3.5
"""How often the rest follows: a new bar costs a thousand bytes where a number costs fifty."""
MEMORY_SECONDS = 2.0
_BUSY: frozenset[State] = frozenset({"training", "paused", "saving"})


class PlacesBar(TopBar):
    """The top line without the run: the screen below says more of it, and every change costs bytes."""

    def show(self, snapshot: Snapshot | None) -> None:
        """Show no run."""
        if snapshot is None:
            super().show(None)


class TrainingScreen(Screen[None]):
    """Shows the newest snapshot of a run, a few times a second, and passes commands on to the app.

    Args:
        context: what the app shares with its screens.
        read_memory: returns the bytes that training holds; ``None`` where that is not known.
        read_gpu: returns what the GPU is doing, or ``None`` without one; called off the UI thread.
    """

    DEFAULT_CSS = """
    TrainingScreen {
        #board { display: none; }
        &.-run #board { display: block; }
        &.-run Welcome { display: none; }
        #panels { height: 3fr; min-height: 5; }
        #lower { height: 2fr; min-height: 4; }
        &.-short #panels, &.-medium #panels { height: 2fr; }
        &.-short #lower, &.-medium #lower { height: 3fr; }
        ProgressLine { margin: 0 1; }
        &.-tall ProgressLine { margin: 0 1 1 1; }
        &.-narrow RunDetails { width: 30; }
        &.-very-wide RunDetails { width: 44; }
    }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p,space", "pause", "Pause", id="training.pause", key_display="p", tooltip="Pause after this step"),
        Binding("p,space", "resume", "Resume", id="training.resume", key_display="p", tooltip="Go on training"),
        Binding("s", "save", "Save", id="training.save", tooltip="Write a checkpoint now"),
        Binding("x", "stop", "Stop", id="training.stop", tooltip="Save and end the run"),
        Binding("r", "go_on", "Go on", id="training.go-on", tooltip="Resume this run from its last checkpoint"),
        Binding("n", "new_run", "New run", id="training.new-run", tooltip="Choose what to train, and start"),
        Binding("d", "demo", "Demo", id="training.demo", tooltip="Train a tiny model on the built-in text"),
        Binding("z", "zoom", "Zoom", id="training.zoom", tooltip="Open the chart of the chosen panel"),
        Binding("g", "generate", "Generate", id="training.generate", tooltip="Hear the weights as they are now"),
        Binding("left", "sample(-1)", "Older sample", id="training.older", show=False, tooltip="Show an older sample"),
        Binding("right", "sample(1)", "Newer sample", id="training.newer", show=False, tooltip="Show a newer sample"),
        Binding("home", "first_sample", "First sample", id="training.first", show=False, tooltip="Show the first"),
        Binding("end", "last_sample", "Last sample", id="training.last", show=False, tooltip="Follow the newest"),
        Binding("escape", "hide_notice", "Hide", id="training.hide", show=False, tooltip="Hide the warning"),
    ]

    def __init__(
        self,
        context: AppContext,
        *,
        read_memory: Callable[[], int | None] = process_memory,
        read_gpu: Callable[[], GpuUsage | None] = gpu_usage,
    ) -> None:
        super().__init__()
        self.context = context
        self.snapshot: Snapshot | None = None
        self._read_memory = read_memory
        self._read_gpu = read_gpu
        self._memory: int | None = None
        self._gpu: GpuUsage | None = None
        self._asked = ""
        self._hidden: object = None
        self._stale = False
        self._clocks: list[Timer] = []

    def compose(self) -> ComposeResult:
        """Lay out the board, and the welcome that stands in for it."""
        yield PlacesBar()
        yield Welcome()
        with Vertical(id="board"):
            yield RunLine()
            yield ProgressLine()
            yield Notice()
            with Horizontal(id="panels"):
                for quantity in QUANTITIES:
                    yield MetricPanel(quantity)
            with Horizontal(id="lower"):
                yield RunDetails()
                yield SamplePanel()
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look at the clock."""
        self._clocks = [
            self.set_interval(1 / NUMBERS_PER_SECOND, self._paint_numbers),
            self.set_interval(SECONDS_PER_TREND, self._paint_if_stale),
            self.set_interval(MEMORY_SECONDS, self._measure),
        ]
        self._measure()

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self._paint)

    def on_screen_resume(self) -> None:
        """Catch up with what happened out of sight."""
        for timer in self._clocks:
            timer.resume()
        self.call_after_refresh(self._paint)

    def on_screen_suspend(self) -> None:
        """Rest while another screen is on top: Textual would repaint that one whole for each change to this one."""
        for timer in self._clocks:
            timer.pause()

    def show(self, snapshot: Snapshot | None) -> None:
        """Show a run: at once where its state has changed, and with the next tick where it took a step."""
        before, self.snapshot = self.snapshot, snapshot
        if before is None or snapshot is None or _stage(before) != _stage(snapshot):
            self._asked = ""
            self._paint()
            self.refresh_bindings()
            return
        self._stale = True
        if (before.state, before.saved, before.warning) != (snapshot.state, snapshot.saved, snapshot.warning):
            self._asked = ""
            self._paint_state()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer only what can be done with the run as it is."""
        state = self.snapshot.state if self.snapshot else None
        training = self.context.training
        read_only = training is not None and training.read_only
        running = state in _BUSY and not read_only
        offered = {
            "pause": running and state != "paused",
            "resume": running and state == "paused",
            "save": running,
            "stop": (running or state == "loading") and not read_only,
            "go_on": state in ("stopped", "failed") and not read_only and self._run is not None,
            "demo": self.snapshot is None,
            "zoom": self.snapshot is not None,
            "generate": self._run is not None,
            "hide_notice": self.snapshot is not None and self.snapshot.warning is not self._hidden,
        }
        return offered.get(action, True)

    def action_pause(self) -> None:
        """Pause after the step at hand."""
        if training := self.context.training:
            self._command(training.pause, "pausing")

    def action_resume(self) -> None:
        """Go on training."""
        if training := self.context.training:
            self._command(training.resume, "resuming")

    def action_save(self) -> None:
        """Write a checkpoint after the step at hand."""
        if training := self.context.training:
            self._command(training.save, "saving")

    def action_stop(self) -> None:
        """Save and end the run."""
        if training := self.context.training:
            self._command(training.stop, "stopping")

    def action_go_on(self) -> None:
        """Resume the run on show from its last checkpoint."""
        started = self.snapshot and self.snapshot.started
        if started:
            self.post_message(StartTraining(TrainingRequest(resume=f"{started.run}@last")))

    def action_demo(self) -> None:
        """Train the smallest preset on the text that ships."""
        self.post_message(StartTraining(TrainingRequest(preset="nano", corpus="demo")))

    @work(group="new-run", exclusive=True)
    async def action_new_run(self) -> None:
        """Ask what to train, and start it."""
        from shakegpt.tui.training.new_run import NewRunScreen

        if self.snapshot is not None and self.snapshot.state not in ENDED:
            name = self._run or "A run"
            self.notify(f"{name} is in training: x saves and stops it, then n starts another.", markup=False)
            return
        form = NewRunScreen(self.context.preferences.new_run)
        request = await self.app.push_screen_wait(form)
        if request is not None:
            self.context.remember(new_run=form.typed)
            self.post_message(StartTraining(request))

    def action_zoom(self) -> None:
        """Open the chart of the panel that has the focus, or of the loss."""
        panel = self.focused
        self._open_chart(panel.quantity if isinstance(panel, MetricPanel) else LOSS)

    def action_generate(self) -> None:
        """Hear the live weights; of a run that is over, or not ours, its best checkpoint."""
        if self.snapshot is None or self._run is None:
            return
        live = self.context.own_training is not None
        if not live and self.snapshot.saved is None:
            self.notify("This run has saved nothing yet that could speak.", severity="warning")
            return
        self.post_message(GenerateFrom(LIVE if live else self._run))

    def action_sample(self, by: int) -> None:
        """Step through the samples of the run."""
        self.query_one(SamplePanel).step(by)

    def action_first_sample(self) -> None:
        """Show what the model wrote first."""
        self.query_one(SamplePanel).step_to_end(newest=False)

    def action_last_sample(self) -> None:
        """Show what the model wrote last, and follow it from now on."""
        self.query_one(SamplePanel).step_to_end(newest=True)

    def action_hide_notice(self) -> None:
        """Take the warning on show as read."""
        if self.snapshot is not None:
            self._hidden = self.snapshot.warning
            self._paint()

    @on(MetricPanel.Zoomed)
    def _zoom_panel(self, message: MetricPanel.Zoomed) -> None:
        message.stop()
        self._open_chart(message.quantity)

    def _open_chart(self, quantity: Quantity) -> None:
        from shakegpt.tui.chart.chart_screen import ChartScreen, NamedCurve

        if self.snapshot is not None:
            name = self._run or "this run"
            self.app.push_screen(ChartScreen([NamedCurve(name, self.snapshot)], quantity=quantity, live=True))

    @property
    def _run(self) -> str | None:
        started = self.snapshot.started if self.snapshot else None
        return started.run if started else None

    def _command(self, command: Callable[[], None], what: str) -> None:
        """Pass a command on. A run of another process may be gone by now, and its folder may not take the request."""
        try:
            command()
        except (ShakegptError, OSError) as error:
            self.notify(escape_control_characters(str(error)), severity="warning", markup=False)
        else:
            self._ask(what)

    def _ask(self, what: str) -> None:
        """Show at once that a command was heard; the run obeys when its step is done."""
        self._asked = what
        self._paint_state()

    def _paint_state(self) -> None:
        if self.is_active and self.snapshot is not None:
            self.query_one(RunLine).show(self.snapshot, self._asked)
            self.query_one(Notice).say(self._sentence(self.snapshot))

    def _paint_numbers(self) -> None:
        if self._stale and self.is_active and self.snapshot is not None:
            self.query_one(ProgressLine).show(self.snapshot)
            for panel in self.query(MetricPanel):
                panel.show_value(self.snapshot)

    def _paint_if_stale(self) -> None:
        if self._stale and self.is_active:
            self._paint()

    def _paint(self) -> None:
        self._stale = not self.is_mounted or not self.is_active
        if self._stale:
            return
        snapshot = self.snapshot
        self.set_class(snapshot is not None, "-run")
        if snapshot is None:
            return
        if self.focused is None:
            self.query(MetricPanel).first().focus()
        self._paint_state()
        self.query_one(ProgressLine).show(snapshot)
        for panel in self.query(MetricPanel):
            panel.show(snapshot)
        self.query_one(RunDetails).show(snapshot, self._memory, self._gpu)
        self.query_one(SamplePanel).show(snapshot)

    def _sentence(self, snapshot: Snapshot) -> tuple[Tone, str, str] | None:
        said = notice_of(snapshot)
        hidden = said is not None and said[0] == "warning" and snapshot.warning is self._hidden
        if (said is None or hidden) and self.context.training_note:
            return "note", self.context.training_note, ""
        return None if hidden else said

    @work(thread=True, group="measure", exclusive=True, exit_on_error=False)
    def _measure(self) -> None:
        # Off the UI thread: a GPU driver may take its time.
        self._memory, self._gpu = self._read_memory(), self._read_gpu()
        self._stale = self.snapshot is not None


def _stage(snapshot: Snapshot) -> tuple[object, ...]:
    """Return what is worth painting everything for; saving is a moment of training, and comes and goes."""
    state = "training" if snapshot.state == "saving" else snapshot.state
    return state, snapshot.started, snapshot.saved is None, snapshot.evaluation is None
