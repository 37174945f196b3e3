"""The checkpoint screen: every run and checkpoint of the store, and what can be done with them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import DataTable, Input, Static

from shakegpt.errors import ShakegptError
from shakegpt.runs.run import check_run_name
from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.runs.store import PRETRAINED
from shakegpt.system.text import escape_control_characters, escape_line
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import formatting
from shakegpt.tui.checkpoints.run_list import SORT_KEYS, ListedRun, Row, RunList, read_run_list, remove_checkpoint
from shakegpt.tui.checkpoints.run_table import RowDetails, RunTable
from shakegpt.tui.context import AppContext
from shakegpt.tui.dialogs.questions import ConfirmScreen, PromptScreen
from shakegpt.tui.messages import GenerateFrom, StartTraining
from shakegpt.tui.widgets.footer import Footer
from shakegpt.tui.widgets.top_bar import TopBar

_SECONDS_PER_READ = 2.0
"""The store is read again no sooner: a small model saves several times a second."""


class CheckpointScreen(Screen[None]):
    """Runs and checkpoints. The store is read on a thread, so that a large or slow one delays no key."""

    AUTO_FOCUS = ""
    HELP_TITLE: ClassVar[str] = "Checkpoints"
    HELP = (
        "Every run, with its checkpoints under it. Choosing a run means its best checkpoint, or, to resume it, its "
        "last. ● marks runs whose curves are to be compared, ▶ the checkpoint of the generation screen."
    )
    DEFAULT_CSS: ClassVar[str] = """
    CheckpointScreen {
        & > #filter { height: 1; border: none; padding: 0 2; background: $panel; display: none; }
        &.-filtering > #filter { display: block; }
        & > #nothing { height: 1fr; content-align: center middle; text-align: center; display: none; }
        & > #nothing { color: $text-muted; }
        &.-empty > #nothing { display: block; }
        &.-empty > RunTable { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume", id="runs.resume", tooltip="Train on from it"),
        Binding("c", "curves", "Curve", id="runs.curve", tooltip="Show its curve, or those of all marked runs"),
        Binding("m", "mark", "Mark", id="runs.mark", tooltip="Mark the run, to compare curves"),
        Binding("d,delete", "delete", "Delete", id="runs.delete", tooltip="Delete it; asks first"),
        Binding("n", "rename", "Rename", id="runs.rename", tooltip="Give the run another name", show=False),
        Binding("y", "copy_path", "Copy path", id="runs.copy", tooltip="Copy its path", show=False),
        Binding("slash", "filter", "Filter", id="runs.filter", key_display="/", tooltip="Show what matches some words"),
        Binding("s", "sort", "Sort", id="runs.sort", tooltip="Sort by age, name, loss, step, size in turn"),
        Binding("S", "reverse", "Reverse", id="runs.reverse", tooltip="Reverse the order", show=False),
        Binding("space,x", "fold", "Fold", id="runs.fold", tooltip="Fold or unfold the run's checkpoints", show=False),
        Binding("f5,ctrl+r", "refresh", "Refresh", id="runs.refresh", tooltip="Read the store again", show=False),
        Binding("escape", "clear_filter", "Show all", id="runs.all", tooltip="End the filter", show=False),
    ]

    @dataclass
    class StoreRead(Message):
        """The store has been read; ``error`` says why where it could not be."""

        runs: list[ListedRun]
        error: str = ""

    @dataclass
    class StoreChanged(Message):
        """Something was done to the store, or could not be."""

        result: str
        failed: bool = False

    def __init__(self, context: AppContext) -> None:
        super().__init__()
        self.context = context
        self.run_list = RunList()
        self._read_error = ""
        self._shown_state: tuple[object, ...] = ()
        self._read_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Put the table between the top bar and the details of the row under the cursor."""
        yield TopBar(self.context)
        yield Input(placeholder="name, state, corpus or preset", id="filter", compact=True, disabled=True)
        yield RunTable(id="runs")
        yield Static("Reading the store…", id="nothing", markup=False)
        yield RowDetails(id="details")
        yield Footer()

    def on_mount(self) -> None:
        """Begin with nothing to show."""
        self.add_class("-empty")

    def on_screen_resume(self) -> None:
        """Read the store each time the screen comes to the front."""
        self.action_refresh()

    def show(self, snapshot: Snapshot) -> None:
        """Read the store again, soon, where the training has saved or ended."""
        saved = snapshot.saved.step if snapshot.saved else None
        state = (saved, snapshot.state in ENDED, snapshot.started is None)
        if state != self._shown_state:
            self._shown_state = state
            if self._read_timer is None:
                self._read_timer = self.set_timer(_SECONDS_PER_READ, self.action_refresh)

    def action_refresh(self) -> None:
        """Read the store again."""
        self._read_timer = None
        self._read_store()

    @work(thread=True, exclusive=True, group="read", exit_on_error=False)
    def _read_store(self) -> None:
        try:
            self.post_message(self.StoreRead(read_run_list(self.context.store)))
        except (ShakegptError, OSError) as error:
            self.post_message(self.StoreRead([], escape_control_characters(str(error))))

    def on_checkpoint_screen_store_read(self, message: StoreRead) -> None:
        """Show what was read."""
        self.run_list.update(message.runs)
        self._read_error = message.error
        self._show_runs()

    def _show_runs(self) -> None:
        table = self.query_one(RunTable)
        table.show(self.run_list, self.context.loaded_checkpoint)
        self.set_class(not table.row_count, "-empty")
        if table.row_count and self.focused is None:
            table.focus()
        self.query_one("#nothing", Static).update(self._why_empty())
        self.query_one(RowDetails).show(table.current)

    def _why_empty(self) -> str:
        if self._read_error:
            return f"{self._read_error}\n\nctrl+r reads it again."
        if self.run_list.filter_words and self.run_list.runs:
            return f"Nothing matches “{escape_line(self.run_list.filter_words)}”.\n\nEsc shows all."
        return "No run yet.\n\nPress 1, then n, to train the first one."

    # The row under the cursor

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.query_one(RunTable).current

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        """Show the details of the row under the cursor."""
        self.query_one(RowDetails).show(self.current)

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        """Open the checkpoint in the generation screen."""
        if (row := self.current) is None:
            return
        if row.best is None:
            self._notify(f"{row.run.name} has no checkpoint yet.")
            return
        self.post_message(GenerateFrom(row.best.reference))

    def action_resume(self) -> None:
        """Resume training from the checkpoint; ask for more steps where the run has taken all of its own."""
        row = self.current
        checkpoint = row.last if row else None
        if row is None or checkpoint is None:
            self._notify("There is no checkpoint here to resume from.")
        elif row.run.name == PRETRAINED:
            self._notify("The pretrained model ships without what a resume needs; start a run of your own.")
        elif row.run.status == "training":
            self._notify(f"{row.run.name} is in training already.")
        elif checkpoint.info.step < row.run.steps:
            self.post_message(StartTraining(TrainingRequest(resume=checkpoint.reference)))
        else:
            question = f"{row.run.name} has taken all its {row.run.steps} steps. Train on to which step?"
            resume = partial(self._resume_to, checkpoint.reference)
            self.app.push_screen(
                PromptScreen(question, str(2 * row.run.steps), partial(_check_steps, row.run.steps)), resume
            )

    def _resume_to(self, reference: str, steps: str | None) -> None:
        if steps is not None:
            self.post_message(StartTraining(TrainingRequest(changes={"steps": int(steps)}, resume=reference)))

    def action_copy_path(self) -> None:
        """Copy the path, and show it: over SSH the clipboard may not be reached."""
        if (row := self.current) is not None:
            self.app.copy_to_clipboard(row.path)
            self._notify(f"Copied {row.path}")

    # Curves

    def action_mark(self) -> None:
        """Mark the run for a comparison of curves, or remove its mark."""
        if (row := self.current) is not None and row.run.name != PRETRAINED:
            self.run_list.marked ^= {row.run.name}
            self._show_runs()

    def action_curves(self) -> None:
        """Show the curves of the marked runs; where none is marked, that of the current run."""
        row = self.current
        names = sorted(self.run_list.marked) or ([row.run.name] if row and row.run.name != PRETRAINED else [])
        if names:
            self._read_curves(names)
        else:
            self._notify("The pretrained model ships without its training curve.")

    @work(thread=True, exclusive=True, group="curves", exit_on_error=False)
    def _read_curves(self, names: list[str]) -> None:
        from shakegpt.tui.chart.chart_screen import ChartScreen, NamedRun

        try:
            runs = [NamedRun(name, self.context.store.run(name).snapshot()) for name in names]
        except (ShakegptError, OSError) as error:
            self.post_message(self.StoreChanged(escape_control_characters(str(error)), failed=True))
            return
        self.app.call_later(lambda: self.app.push_screen(ChartScreen(runs)))

    # Rename and delete

    def action_rename(self) -> None:
        """Ask for another name."""
        if (row := self.current) is not None and self._can_change(row.run, "renamed"):
            old = row.run.name
            self.app.push_screen(
                PromptScreen(f"A new name for {old}:", old, check_run_name), partial(self._rename, old)
            )

    def _rename(self, old: str, new: str | None) -> None:
        if new is not None and new != old:
            self.run_list.rename(old, new)
            self._change_store(lambda: self.context.store.run(old).rename(new), f"{old} is now called {new}.")

    def action_delete(self) -> None:
        """Ask, then delete the run or the checkpoint."""
        if (row := self.current) is None or not self._can_change(row.run, "deleted"):
            return
        name, checkpoint = row.run.name, row.checkpoint
        if checkpoint is None:
            count = len(row.run.checkpoints)
            size = formatting.size(row.run.bytes)
            what = f"the run {name} with its {count} checkpoint{'s' * (count != 1)} ({size})"
        else:
            what = f"the checkpoint {checkpoint.reference} ({formatting.size(checkpoint.info.bytes)})"

        def delete() -> None:
            run = self.context.store.run(name)
            if checkpoint is None:
                run.remove()
            else:
                remove_checkpoint(run, checkpoint.info.step)

        def on_answer(yes: bool | None) -> None:
            if yes:
                self._change_store(delete, f"Deleted {what}.")

        self.app.push_screen(ConfirmScreen(f"Delete {what}? This cannot be undone.", "delete it"), on_answer)

    def _can_change(self, run: ListedRun, what: str) -> bool:
        if run.name == PRETRAINED:
            self._notify(f"The pretrained model ships with shakegpt and cannot be {what}.")
        elif run.status == "training":
            self._notify(f"{run.name} is in training and cannot be {what}; stop it first.")
        else:
            return True
        return False

    @work(thread=True, group="change", exit_on_error=False)
    def _change_store(self, change: Callable[[], object], result: str) -> None:
        try:
            change()
        except (ShakegptError, OSError) as error:
            self.post_message(self.StoreChanged(escape_control_characters(str(error)), failed=True))
        else:
            self.post_message(self.StoreChanged(result))

    def on_checkpoint_screen_store_changed(self, message: StoreChanged) -> None:
        """Report what was done, and read the store again."""
        self.notify(message.result, severity="error" if message.failed else "information", markup=False)
        self.action_refresh()

    # Order and filter

    def action_sort(self) -> None:
        """Sort by the next key."""
        self.run_list.sort_by(SORT_KEYS[(SORT_KEYS.index(self.run_list.sort) + 1) % len(SORT_KEYS)])
        self._show_runs()

    def action_reverse(self) -> None:
        """Reverse the order."""
        self.run_list.sort_by(self.run_list.sort)
        self._show_runs()

    def on_run_table_heading_clicked(self, message: RunTable.HeadingClicked) -> None:
        """Sort by the column; a second click reverses the order."""
        self.run_list.sort_by(message.key)
        self._show_runs()

    def action_fold(self) -> None:
        """Hide the run's checkpoints, or show them."""
        if (row := self.current) is not None:
            self.run_list.folded ^= {row.run.name}
            self._show_runs()

    def action_filter(self) -> None:
        """Open the field of words to filter by."""
        self.add_class("-filtering")
        field = self.query_one("#filter", Input)
        field.disabled = False
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the user types."""
        self.run_list.filter_words = event.value
        self._show_runs()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Go back to the filtered table."""
        self._close_filter()

    def action_clear_filter(self) -> None:
        """Leave the filter's field; from the table, end the filter."""
        field = self.query_one("#filter", Input)
        if not field.has_focus:
            field.value = ""
        self._close_filter()

    def _close_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.disabled = not field.value
        self.set_class(bool(field.value), "-filtering")
        self.query_one(RunTable).focus()

    def _notify(self, sentence: str) -> None:
        self.notify(escape_line(sentence), markup=False)


def _check_steps(steps_done: int, steps: str) -> None:
    if not (steps.isascii() and steps.isdigit() and len(steps) < 10 and int(steps) > steps_done):
        raise ValueError(f"Give a whole number above {steps_done}.")
