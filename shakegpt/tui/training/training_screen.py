"""The training screen: a run as it learns."""

import threading
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer

from shakegpt.errors import ShakegptError
from shakegpt.runs.snapshot import Snapshot
from shakegpt.runs.source import TrainingSource
from shakegpt.system.gpu import GpuUsage, gpu_usage
from shakegpt.system.memory import process_memory
from shakegpt.system.text import escape_control_characters, escape_line
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import formatting
from shakegpt.tui.chart.curves import LEARNING_RATE, LOSS, PERPLEXITY
from shakegpt.tui.context import AppContext
from shakegpt.tui.dialogs.questions import ConfirmScreen
from shakegpt.tui.messages import StartTraining
from shakegpt.tui.painting import add_size_classes
from shakegpt.tui.training.bindings import BINDINGS
from shakegpt.tui.training.head_history import HeadHistory
from shakegpt.tui.training.listening import ListeningScreen
from shakegpt.tui.training.loss_panel import LossPanel
from shakegpt.tui.training.metric_panel import MetricPanel
from shakegpt.tui.training.notice import Notice, NoticeText, notice_of
from shakegpt.tui.training.progress_line import ProgressLine
from shakegpt.tui.training.run_details import RunDetails
from shakegpt.tui.training.run_header import RunHeader
from shakegpt.tui.training.sample_list import SampleList
from shakegpt.tui.training.sample_panel import SamplePanel
from shakegpt.tui.training.welcome import Welcome
from shakegpt.tui.widgets.footer import Footer
from shakegpt.tui.widgets.top_bar import TopBar

NUMBER_UPDATES_PER_SECOND = 2
"""Of step, loss, perplexity and learning rate."""
SECONDS_PER_CURVE_UPDATE = 3.5
"""Of all else: a new bar costs a slow link a thousand bytes, a number fifty."""
SECONDS_PER_MEASUREMENT = 2.0
"""Of the memory and the GPU."""
_LEAST_ROWS = 16  # in fewer, the charts are all that there is room for


class TrainingScreen(ListeningScreen):
    """Shows the newest snapshot of a run, a few times a second, and sends it commands.

    Args:
        read_memory: returns the bytes that this process holds; ``None`` where that is not known.
        read_gpu: returns the load of the GPU that has a UUID; ``None`` without one. Both are called off the UI thread.
    """

    DEFAULT_CSS = """
    TrainingScreen {
        #board { display: none; }
        &.-run #board { display: block; }
        &.-run Welcome { display: none; }
        #panels, #lower { width: 100%; }  /* 1fr would leave out the margins of the lines above */
        #panels { height: 3fr; min-height: 5; }
        #lower { height: 2fr; min-height: 4; }
        &.-short #lower, &.-medium #lower { height: 3fr; }
        &.-low #lower { display: none; }
        &.-low ProgressLine { height: 1; }
        &.-narrow #perplexity { display: none; }
        #rates { width: 1fr; height: 100%; }
        #rates > * { width: 100%; height: 1fr; }
        #rates > HeadHistory { display: none; }
        &.-inspected #rates > HeadHistory { display: block; }
        &.-inspected.-short #learning-rate, &.-inspected.-medium #learning-rate { display: none; }
        &.-narrow RunDetails { width: 30; }
        &.-very-wide SampleList { display: block; }
    }
    """
    AUTO_FOCUS = ""
    HELP_TITLE: ClassVar[str] = "Train"
    HELP = (
        "A run as it learns. ◆ marks the validation loss, of text that it has not read. "
        "The lower the losses, the better it writes."
    )
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    def __init__(
        self,
        context: AppContext,
        *,
        read_memory: Callable[[], int | None] = process_memory,
        read_gpu: Callable[[str | None], GpuUsage | None] = gpu_usage,
    ) -> None:
        super().__init__(context)
        self._read_memory = read_memory
        self._read_gpu = read_gpu
        self._memory: int | None = None
        self._gpu: GpuUsage | None = None
        self._measuring = threading.Lock()
        self._pending_command = ""
        self._hidden_warning: object = None
        self._stale = False
        self._steps_drawn = 1
        self._update_timers: list[Timer] = []

    def compose(self) -> ComposeResult:
        """Lay out the board, and the welcome that takes its place while there is no run."""
        add_size_classes(self)
        yield TopBar(self.context)
        yield Welcome(self.context)
        with Vertical(id="board"):
            yield RunHeader()
            yield ProgressLine()
            yield Notice()
            with Horizontal(id="panels"):
                yield LossPanel(self.context.store)
                yield MetricPanel(PERPLEXITY)
                with Vertical(id="rates"):
                    yield MetricPanel(LEARNING_RATE)
                    yield HeadHistory()
            with Horizontal(id="lower"):
                yield RunDetails()
                yield SamplePanel()
                yield SampleList()
        yield Footer()

    def on_mount(self) -> None:
        """Start the timers."""
        self._update_timers = [
            self.set_interval(1 / NUMBER_UPDATES_PER_SECOND, self._paint_numbers),
            self.set_interval(SECONDS_PER_CURVE_UPDATE, self._paint_if_stale),
            self.set_interval(SECONDS_PER_MEASUREMENT, self._measure),
        ]
        self._measure()

    def on_resize(self) -> None:
        """Repaint for the new size."""
        self.set_class(self.size.height < _LEAST_ROWS, "-low")
        self.call_after_refresh(self._paint)

    def on_screen_resume(self) -> None:
        """Show what has happened meanwhile."""
        for timer in self._update_timers:
            timer.resume()
        self.listen_if_saved()
        self.call_after_refresh(self._paint)

    def on_screen_suspend(self) -> None:
        """Pause while another screen is on top: Textual would repaint all of that one for each change to this one."""
        for timer in self._update_timers:
            timer.pause()
        if self.app.current_mode != "training":
            self.stop_waiting()

    def show(self, snapshot: Snapshot | None) -> None:
        """Show a run: at once where its state has changed, and with the next timer where it took a step."""
        before, self.snapshot = self.snapshot, snapshot
        self.listen_if_saved()
        if before is None or snapshot is None or _phase(before) != _phase(snapshot):
            self._pending_command = ""
            self._paint()
            self.refresh_bindings()
            return
        self._stale = True
        if (before.state, before.saved, before.warning) != (snapshot.state, snapshot.saved, snapshot.warning):
            self._pending_command = ""
            self._paint_state()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Enable what can be done with the run in its state."""
        state = self.snapshot.state if self.snapshot else None
        training = self.context.training
        read_only = training is not None and training.read_only
        running = state in ("training", "paused") and not read_only
        enabled = {
            "pause": running and state != "paused",
            "resume": running and state == "paused",
            "save": running,
            "stop": (running or state == "loading") and not read_only,
            "continue_run": state in ("stopped", "failed") and not read_only and self.run_name is not None,
            "demo": self.snapshot is None and self.context.store.writable,
            "new_run": self.context.store.writable,
            "zoom": self.snapshot is not None,
            "generate": self.run_name is not None,
            **dict.fromkeys(("sample", "copy"), bool(self.snapshot and self.snapshot.samples)),
            "hide_notice": self.snapshot is not None and self.snapshot.warning is not self._hidden_warning,
        }
        return enabled.get(action, True)

    def action_pause(self) -> None:
        """Pause after the current step."""
        self.send(lambda training: training.pause(), "pausing")

    def action_resume(self) -> None:
        """Go on training."""
        self.send(lambda training: training.resume(), "resuming")

    def action_save(self) -> None:
        """Save a checkpoint after the current step."""
        self.send(lambda training: training.save(), "saving")

    @work(group="stop", exclusive=True)
    async def action_stop(self) -> None:
        """Save and end the run, after a question that says which, and whose it is."""
        training = self.context.training
        if training is None:
            return
        name = escape_line(self.run_name or "The run")
        owner = "this window trains it" if training.owned else f"{self.context.run_owner} trains it"
        question = f"Stop {name}? {owner[0].upper()}{owner[1:]}. It is saved first, and r resumes it."
        if (
            await self.app.push_screen_wait(ConfirmScreen(question, "save and stop", f"Stop {name}?"))
            and training is self.context.training
        ):
            self.send(lambda training: training.stop(), "stopping")

    def action_continue_run(self) -> None:
        """Resume the run on show from its last checkpoint."""
        if self.run_name is not None:
            self.post_message(StartTraining(TrainingRequest(resume=f"{self.run_name}@last")))

    def action_demo(self) -> None:
        """Train the smallest preset on the text that ships."""
        self.post_message(StartTraining(TrainingRequest(preset="nano", corpus="demo")))

    def action_new_run(self) -> None:
        """Ask what to train, and start it."""
        from shakegpt.tui.training.open_form import open_new_run_form

        open_new_run_form(self, self.context)

    def action_zoom(self) -> None:
        """Open the chart of the focused panel, or of the loss."""
        from shakegpt.tui.chart.chart_screen import ChartScreen
        from shakegpt.tui.chart.lines import NamedRun

        if self.snapshot is not None:
            quantity = self.focused.quantity if isinstance(self.focused, MetricPanel) else LOSS
            runs = [NamedRun(self.run_name or "this run", self.snapshot, self.query_one(LossPanel).tables)]
            self.app.push_screen(ChartScreen(runs, quantity=quantity, live=True))

    def on_metric_panel_zoomed(self) -> None:
        """Open the chart of the focused panel."""
        self.action_zoom()

    def action_sample(self, by: int) -> None:
        """Show an older (negative) or newer sample; from the last one on, always the newest."""
        panel = self.query_one(SamplePanel)
        self._select_sample(panel.index + by)

    def on_sample_list_chosen(self, message: SampleList.Chosen) -> None:
        """Show the sample that was clicked on."""
        self._select_sample(message.index)

    def _select_sample(self, index: int) -> None:
        panel = self.query_one(SamplePanel)
        panel.select(index)
        if self.snapshot is not None:
            self.query_one(SampleList).show(self.snapshot, panel.index)

    def action_scroll_sample(self, by: int) -> None:
        """Scroll the sample on show by lines."""
        self.query_one(SamplePanel).scroll_text(by)

    def action_copy(self) -> None:
        """Copy the sample on show."""
        panel = self.query_one(SamplePanel)
        if panel.sample is not None:
            self.app.copy_to_clipboard(panel.text)
            self.notify(f"Copied the sample of step {formatting.count(panel.sample.step)}.")

    def action_hide_notice(self) -> None:
        """Hide the warning on show."""
        if self.snapshot is not None:
            self._hidden_warning = self.snapshot.warning
            self._paint()

    @property
    def _composed(self) -> bool:
        """Whether there is something to paint; there is not in an app that exits while it opens this screen."""
        return bool(self.query(SampleList))

    def send(self, command: Callable[[TrainingSource], None], pending: str) -> None:
        """Send a command, and show it until the run has carried it out after its step."""
        if self.context.training is None:
            return
        try:
            command(self.context.training)
        except (ShakegptError, OSError) as error:  # another process's run may have ended
            self.notify(escape_control_characters(str(error)), severity="warning", markup=False)
        else:
            self._pending_command = pending
            self._paint_state()

    def _paint_state(self) -> None:
        if self._composed and self.is_active and self.snapshot is not None:
            self.query_one(RunHeader).show(self.snapshot, self._pending_command, self.context.training_request)
            self.query_one(Notice).show(self._notice(self.snapshot))

    def _paint_numbers(self) -> None:
        if self._stale and self.is_active and self.snapshot is not None:
            if len(self.snapshot.train) >= 2 * self._steps_drawn:  # a run that has just begun
                self._paint()
                return
            self.query_one(ProgressLine).show(self.snapshot)
            for panel in self.query(MetricPanel):
                panel.show_value(self.snapshot)

    def _paint_if_stale(self) -> None:
        if self._stale and self.is_active:
            self._paint()

    def _paint(self) -> None:
        self._stale = not self._composed or not self.is_active
        if self._stale:
            return
        snapshot = self.snapshot
        self.set_class(snapshot is not None, "-run")
        if snapshot is None:
            return
        self._paint_state()
        self._steps_drawn = max(1, len(snapshot.train))
        self.query_one(ProgressLine).show(snapshot)
        for panel in self.query(MetricPanel):
            panel.show(snapshot)
        self.set_class(bool(snapshot.inspections), "-inspected")
        self.query_one(HeadHistory).show(snapshot)
        self.query_one(RunDetails).show(snapshot, self._memory, self._gpu)
        samples = self.query_one(SamplePanel)
        samples.show(snapshot)
        self.query_one(SampleList).show(snapshot, samples.index)

    def _notice(self, snapshot: Snapshot) -> NoticeText | None:
        notice = notice_of(snapshot)
        if notice is not None and not (notice.level == "warning" and snapshot.warning is self._hidden_warning):
            return notice._replace(keys="") if self.context.only_watch else notice
        return NoticeText("note", self.context.training_note) if self.context.training_note else None

    @work(thread=True, group="measure", exit_on_error=False)
    def _measure(self) -> None:
        """Read the memory and the GPU, on a thread: a driver may be slow. A reading waits for none, nor undoes it."""
        if not self._measuring.acquire(blocking=False):
            return
        try:
            started = self.snapshot.started if self.snapshot else None
            memory, gpu = self._read_memory(), self._read_gpu(started.gpu if started else None)
            if started is None or (self.snapshot is not None and self.snapshot.started == started):
                self._memory, self._gpu = memory, gpu
                self._stale = self.snapshot is not None
        finally:
            self._measuring.release()


def _phase(snapshot: Snapshot) -> tuple[object, ...]:
    """Return what everything is repainted for when it changes: among others the first step, sample and evaluation."""
    firsts = (snapshot.step is None, not snapshot.samples, snapshot.saved is None, snapshot.evaluation is None)
    return snapshot.state, snapshot.started, firsts
