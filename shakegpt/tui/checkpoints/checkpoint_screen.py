"""The checkpoint screen: every run and checkpoint of the store, and what can be done with them."""

import time
from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import DataTable, Input, Static

from shakegpt.errors import ShakegptError
from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.system.text import escape_control_characters, escape_line
from shakegpt.tui.checkpoints.listed_runs import ListedRun, read_run_list
from shakegpt.tui.checkpoints.run_actions import RunActions
from shakegpt.tui.checkpoints.run_detail import RunDetail
from shakegpt.tui.checkpoints.run_list import SORT_KEYS, Row
from shakegpt.tui.checkpoints.run_table import RowDetails, RunTable
from shakegpt.tui.context import AppContext
from shakegpt.tui.widgets.footer import Footer
from shakegpt.tui.widgets.top_bar import TopBar

_LIST = Binding.Group("List")
_SECONDS_PER_READ = 2.0
"""The store is read again no sooner: a small model saves several times a second."""
_SECONDS_AT_REST = 0.15
"""The log of the chosen run is read once the cursor has stayed on it so long."""
_SECONDS_PER_UPDATE = 4.0
"""Of the list: other processes tell nobody what they begin and how far they are."""
_REST = 20.0
"""Times as long as a read of the store took: how long a list in which nothing trains is left as it is, at least."""


class CheckpointScreen(RunActions):
    """Runs and checkpoints, and beside them the chosen one. What is slow to read is read on a thread."""

    AUTO_FOCUS = ""
    HELP_TITLE: ClassVar[str] = "Runs"
    HELP = (
        "Every run, with its checkpoints under it; a sweep is one row, which has its runs under it. Choosing a run "
        "means its best checkpoint, or, to resume it, its last. ● and other marks stand at runs whose curves are to be "
        "compared, ▶ at the checkpoint of the generation screen."
    )
    DEFAULT_CSS: ClassVar[str] = """
    CheckpointScreen {
        #body { height: 1fr; }
        #list { width: 1fr; height: 1fr; }
        #filter { height: 1; border: none; padding: 0 2; background: $panel; display: none; }
        &.-filtering #filter { display: block; }
        #nothing { height: 1fr; content-align: center middle; text-align: center; display: none; }
        &.-empty #nothing { display: block; }
        &.-empty RunTable, &.-empty RowDetails, &.-empty #detail { display: none; }

        #detail { width: 1fr; height: 9; layout: horizontal; }
        #detail RunSettings { display: none; }
        #detail.-no-log RunSettings { display: block; }
        &.-tall #detail { height: 2fr; }
        &.-tall #list { height: 3fr; }
        &.-narrow #detail, &.-short #detail { display: none; }

        &.-wide, &.-very-wide {
            #body { layout: horizontal; }
            #list { width: 75; height: 1fr; }
            #detail { width: 1fr; height: 1fr; layout: vertical; }
        }
        &.-very-wide #list, &.-very-wide #detail { width: 1fr; }
        &.-wide.-tall, &.-very-wide.-tall {
            #detail RunSettings { display: block; height: 17; }
            #detail.-no-log RunSettings { height: 1fr; }
            RowDetails { display: none; }
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "slash",
            "filter",
            "Filter",
            id="runs.filter",
            key_display="/",
            tooltip="Show the runs that match some words",
            group=_LIST,
        ),
        Binding(
            "b",
            "sort",
            "Sort by",
            id="runs.sort",
            tooltip="Sort by age, name, loss, step and size in turn",
            group=_LIST,
        ),
        Binding("B", "reverse", "Reverse", id="runs.reverse", tooltip="Reverse the order", show=False),
        Binding("f5,ctrl+r", "refresh", "Refresh", id="runs.refresh", tooltip="Read the store again", show=False),
        Binding("escape", "clear_filter", "Show all", id="runs.all", tooltip="End the filter", show=False),
    ]

    @dataclass
    class StoreRead(Message):
        """The store has been read for the ``number``-th time; ``error`` says why where it could not be."""

        number: int
        runs: list[ListedRun]
        error: str = ""
        seconds: float = 0.0
        """How long that took."""

    @dataclass
    class LogRead(Message):
        """The log of a run has been read, as was asked for the ``number``-th time."""

        number: int
        run: str
        snapshot: Snapshot

    def __init__(self, context: AppContext) -> None:
        super().__init__(context)
        self.add_class("-empty", update=False)  # before the first paint: to change it later restyles the whole screen
        self._read_error = ""
        self._reads_begun = 0
        self._read_shown = 0
        self._rest_until = 0.0
        self._logs_asked = 0
        self._log_shown = 0
        self._shown_state: tuple[object, ...] = ()
        self._read_timer: Timer | None = None
        self._rest_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Put the list beside the chosen run; the style sheet puts it below that where there is no room."""
        yield TopBar(self.context)
        with Container(id="body"):
            with Vertical(id="list"):
                yield Input(
                    placeholder="name, state, text, preset, tag, note or lr=2e-3",
                    id="filter",
                    compact=True,
                    disabled=True,
                )
                yield RunTable(id="runs").add_class("pane")
                yield Static("Reading the store…", id="nothing", markup=False)
                yield RowDetails(id="details")
            yield RunDetail()
        yield Footer()

    def on_mount(self) -> None:
        """Keep the list as it is on the disk."""
        self.set_interval(_SECONDS_PER_UPDATE, self._update_list)

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
        self._reads_begun += 1
        self._read_store(self._reads_begun)

    @work(thread=True, group="read", exit_on_error=False)
    def _read_store(self, number: int) -> None:
        began = time.monotonic()
        try:
            runs = read_run_list(self.context.store)
            self.post_message(self.StoreRead(number, runs, seconds=time.monotonic() - began))
        except (ShakegptError, OSError) as error:
            self.post_message(self.StoreRead(number, [], escape_control_characters(str(error))))

    def on_checkpoint_screen_store_read(self, message: StoreRead) -> None:
        """Show what was read, unless it was overtaken by a read that began later."""
        if message.number < self._read_shown:
            return
        self._read_shown = message.number
        self._rest_until = time.monotonic() + _REST * message.seconds
        same = (message.runs, message.error) == (self.run_list.runs, self._read_error)
        self.run_list.update(message.runs)
        self._read_error = message.error
        if same:
            self._show_table()  # its runs are older
        else:
            self.show_runs()

    def _show_table(self) -> RunTable:
        table = self.query_one(RunTable)
        table.show(self.run_list, self.context.loaded_checkpoint)
        return table

    def show_runs(self) -> None:
        """Show the list as it is now."""
        table = self._show_table()
        table.border_title = self.run_list.title
        self.set_class(not table.row_count, "-empty")
        if table.row_count and self.focused is None:
            table.focus()
        self.query_one("#nothing", Static).update(self._why_empty())
        self._show_row()

    def _why_empty(self) -> str:
        if self._read_error:
            return f"{self._read_error}\n\nctrl+r reads it again."
        if self.run_list.filter_words and self.run_list.runs:
            return f"Nothing matches “{escape_line(self.run_list.filter_words)}”.\n\nEsc shows all."
        return "No run yet.\n\nPress n to train the first one."

    def _update_list(self) -> None:
        """Show what other processes have begun, and how far the runs in training have come."""
        training = any(run.status == "training" for run in self.run_list.runs or ())
        if self.is_current and (training or time.monotonic() >= self._rest_until):
            self.action_refresh()
            if training:
                self._show_detail()

    # The row under the cursor

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.query_one(RunTable).current

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        """Show the row under the cursor."""
        self._show_row()

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        """Open the checkpoint in the generation screen."""
        self.listen()

    def on_metric_panel_zoomed(self) -> None:
        """Open the chart of the chosen run."""
        self.action_curves()

    def on_resize(self) -> None:
        """Show the chosen run where there is room for it now."""
        self._show_row()

    def _show_row(self) -> None:
        """Show the row under the cursor: in a line at once, and in full once the cursor has come to rest."""
        self.query_one(RowDetails).show(self.current)
        if self._rest_timer is not None:
            self._rest_timer.stop()
        self._rest_timer = self.set_timer(_SECONDS_AT_REST, self._show_detail)

    def _show_detail(self) -> None:
        row, detail = self.current, self.query_one(RunDetail)
        if any(map(self.has_class, ("-narrow", "-short", "-empty"))):  # then it is not on show
            return
        training = self.context.training
        if row is None or row.run.is_built_in:
            detail.show(row, None)
        elif training is not None and training.latest.started and training.latest.started.run == row.run.name:
            self._logs_asked += 1
            self._log_shown = self._logs_asked  # what is still being read is older
            detail.show(row, training.latest)
        else:
            if detail.shown is None:
                detail.show(row, None)  # its settings are known
            self._logs_asked += 1
            self._read_log(self._logs_asked, row.run.name)

    @work(thread=True, group="log", exit_on_error=False)
    def _read_log(self, number: int, name: str) -> None:
        try:
            snapshot = self.logs.read(self.context.store.run(name))
        except (ShakegptError, OSError):
            snapshot = Snapshot()  # perhaps removed or renamed meanwhile
        self.post_message(self.LogRead(number, name, snapshot))

    def on_checkpoint_screen_log_read(self, message: LogRead) -> None:
        """Show the run in full, if the cursor is still on it, and nothing newer is shown of it."""
        row = self.current
        if row is not None and row.run.name == message.run and message.number >= self._log_shown:
            self._log_shown = message.number
            self.query_one(RunDetail).show(row, message.snapshot)

    # Order and filter

    def action_sort(self) -> None:
        """Sort by the next key."""
        self.run_list.sort_by(SORT_KEYS[(SORT_KEYS.index(self.run_list.sort) + 1) % len(SORT_KEYS)])
        self.show_runs()

    def action_reverse(self) -> None:
        """Reverse the order."""
        self.run_list.sort_by(self.run_list.sort)
        self.show_runs()

    def on_run_table_heading_clicked(self, message: RunTable.HeadingClicked) -> None:
        """Sort by the column; a second click reverses the order."""
        self.run_list.sort_by(message.key)
        self.show_runs()

    def action_fold(self) -> None:
        """Hide the run's checkpoints, or the runs of its sweep."""
        if (row := self.current) is not None:
            self.run_list.fold(row)
            self.show_runs()

    def action_unfold(self) -> None:
        """Show the run's checkpoints, or the runs of the sweep."""
        if (row := self.current) is not None:
            self.run_list.unfold(row)
            self.show_runs()

    def action_filter(self) -> None:
        """Open the field of words to filter by."""
        self.add_class("-filtering")
        field = self.query_one("#filter", Input)
        field.disabled = False
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the user types."""
        self.run_list.filter_words = event.value
        self.show_runs()

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
