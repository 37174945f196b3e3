"""The checkpoint screen: every run and checkpoint of the store, and what can be done with them."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import DataTable, Footer, Input, Static

from shakegpt.errors import ShakegptError
from shakegpt.runs.run import check_run_name
from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.runs.store import PRETRAINED
from shakegpt.system.text import escape_control_characters, escape_line
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import formatting
from shakegpt.tui.checkpoints.run_list import (
    SORT_KEYS,
    ListedRun,
    SortKey,
    arranged,
    matching,
    read_run_list,
    remove_checkpoint,
)
from shakegpt.tui.checkpoints.run_table import Row, RunTable
from shakegpt.tui.context import AppContext
from shakegpt.tui.dialogs.questions import ConfirmScreen, PromptScreen
from shakegpt.tui.messages import GenerateFrom, StartTraining
from shakegpt.tui.widgets.top_bar import TopBar

_UNFOLDED_AT_FIRST = 12
"""A store of at most so many rows is shown whole; a larger one with only its newest run unfolded."""
_SECONDS_PER_READ = 2.0
"""A small model saves several times a second."""


class CheckpointScreen(Screen[None]):
    """Runs and checkpoints. The store is read on a thread, so that a large or slow one never holds up a key."""

    AUTO_FOCUS = ""
    HELP_TITLE: ClassVar[str] = "Checkpoints"
    HELP = (
        "Every run, with its checkpoints under it. Choosing a run means its best checkpoint, or, to train on, its "
        "last. ● marks runs whose curves are laid over one another, ▶ the checkpoint that speaks on the generation "
        "screen."
    )
    DEFAULT_CSS: ClassVar[str] = """
    CheckpointScreen {
        & > #filter { height: 1; border: none; padding: 0 2; background: $panel; display: none; }
        &.-filtering > #filter { display: block; }
        & > #nothing { height: 1fr; content-align: center middle; text-align: center; display: none; }
        & > #nothing { color: $text-muted; }
        &.-empty > #nothing { display: block; }
        &.-empty > RunTable { display: none; }
        & > #details { height: 3; padding: 0 2; border-top: solid $border; }
        & > #details { text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume", id="runs.resume", tooltip="Train on from it"),
        Binding("c", "curves", "Curve", id="runs.curve", tooltip="Show its curve, or those of all marked runs"),
        Binding("m", "mark", "Mark", id="runs.mark", tooltip="Mark the run, to lay curves over one another"),
        Binding("d,delete", "delete", "Delete", id="runs.delete", tooltip="Delete it; asks first"),
        Binding("n", "rename", "Rename", id="runs.rename", tooltip="Give the run another name", show=False),
        Binding("y", "copy_path", "Copy path", id="runs.copy", tooltip="Copy its path", show=False),
        Binding("slash", "filter", "Filter", id="runs.filter", key_display="/", tooltip="Show what matches some words"),
        Binding("s", "sort", "Sort", id="runs.sort", tooltip="Sort by age, name, loss, step, size in turn"),
        Binding("S", "reverse", "Reverse", id="runs.reverse", tooltip="Turn the order around", show=False),
        Binding("space,x", "fold", "Fold", id="runs.fold", tooltip="Fold or unfold the run's checkpoints", show=False),
        Binding("f5,ctrl+r", "refresh", "Refresh", id="runs.refresh", tooltip="Read the store again", show=False),
        Binding("escape", "clear_filter", "Show all", id="runs.all", tooltip="End the filter", show=False),
    ]

    class Read(Message):
        """The store has been read; ``problem`` says why where it could not be."""

        def __init__(self, shelf: list[ListedRun], problem: str = "") -> None:
            self.shelf = shelf
            self.problem = problem
            super().__init__()

    class Done(Message):
        """Something was done to the store, or could not be."""

        def __init__(self, said: str, *, failed: bool = False) -> None:
            self.said = said
            self.failed = failed
            super().__init__()

    def __init__(self, context: AppContext) -> None:
        super().__init__()
        self.context = context
        self._shelf: list[ListedRun] | None = None
        self._problem = ""
        self._sort: SortKey = "age"
        self._reverse = False
        self._marked: frozenset[str] = frozenset()
        self._folded: dict[str, bool] = {}
        self._seen: tuple[object, ...] = ()
        self._reading_soon: Timer | None = None

    def compose(self) -> ComposeResult:
        """Put the table between the bar at the top and the details of the row under the cursor."""
        yield TopBar()
        yield Input(placeholder="name, state, corpus or preset", id="filter", compact=True, disabled=True)
        yield RunTable(id="runs")
        yield Static("Reading the store…", id="nothing", markup=False)
        yield Static(id="details")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin with nothing to show."""
        self.add_class("-empty")

    def on_screen_resume(self) -> None:
        """Read the store whenever the screen is looked at again."""
        self.action_refresh()

    def show(self, snapshot: Snapshot) -> None:
        """Read the store again, soon, where training has saved or ended."""
        saved = snapshot.saved.step if snapshot.saved else None
        seen = (saved, snapshot.state in ENDED, snapshot.started is None)
        if seen != self._seen:
            self._seen = seen
            if self._reading_soon is None:
                self._reading_soon = self.set_timer(_SECONDS_PER_READ, self._read_now)

    def _read_now(self) -> None:
        self._reading_soon = None
        self.action_refresh()

    # Reading

    def action_refresh(self) -> None:
        """Read the store again."""
        self._read()

    @work(thread=True, exclusive=True, group="shelf", exit_on_error=False)
    def _read(self) -> None:
        try:
            self.post_message(self.Read(read_run_list(self.context.store)))
        except (ShakegptError, OSError) as error:
            self.post_message(self.Read([], escape_control_characters(str(error))))

    def on_checkpoint_screen_read(self, message: Read) -> None:
        """Show what was read."""
        if self._shelf is None:
            rows = sum(1 + len(run.checkpoints) for run in message.shelf)
            small = rows <= _UNFOLDED_AT_FIRST
            self._folded = {run.name: not small and i > 0 for i, run in enumerate(message.shelf)}
        self._shelf, self._problem = message.shelf, message.problem
        self._marked &= {run.name for run in message.shelf}
        self._arrange()

    def _arrange(self) -> None:
        shelf = self._shelf or []
        wanted = self.query_one("#filter", Input).value
        found = arranged(matching(shelf, wanted), self._sort, reverse=self._reverse)
        rows: list[Row] = []
        for run in found:
            rows.append(Row(run))
            if run.status != "shipped" and not self._folded.get(run.name, False):
                rows += [Row(run, checkpoint) for checkpoint in run.checkpoints]
        self.query_one(RunTable).show(
            rows, marked=self._marked, in_use=self.context.loaded_checkpoint, sort=self._sort, reverse=self._reverse
        )
        self.set_class(not rows, "-empty")
        if rows and self.focused is None:
            self.query_one(RunTable).focus()
        self.query_one("#nothing", Static).update(self._why_empty(wanted))
        self._describe(self.query_one(RunTable).current)

    def _why_empty(self, wanted: str) -> str:
        if self._problem:
            return f"{self._problem}\n\nctrl+r reads it again."
        if wanted and self._shelf:
            return f"Nothing matches “{escape_line(wanted)}”.\n\nEsc shows all."
        return "No run yet.\n\nPress 1, then n, to train the first one."

    # The row under the cursor

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self.query_one(RunTable).current

    def on_data_table_row_highlighted(self, _: DataTable.RowHighlighted) -> None:
        """Tell more about the row under the cursor."""
        self._describe(self.current)

    def on_data_table_row_selected(self, _: DataTable.RowSelected) -> None:
        """Let it speak."""
        self.action_speak()

    def _describe(self, row: Row | None) -> None:
        details = self.query_one("#details", Static)
        if row is None:
            details.update("")
            return
        run, info = row.run, row.checkpoint.info if row.checkpoint else None
        facts = [f"{formatting.compact(run.parameters)} weights", run.corpus]
        facts += [run.preset] if run.preset else []
        facts += [f"seed {run.seed}"] if run.seed is not None else []
        facts += [f"trained for {formatting.duration(info.seconds)}"] if info else []
        name = escape_line(row.key)
        where = str(info.path) if info else run.path
        details.update(
            Content.styled(name, "bold $primary")
            + Content.styled("  " + escape_line(" · ".join(facts)), "$foreground 70%")
            + Content.styled(f"\n{escape_line(where)}", "$foreground 50%")
        )

    def action_speak(self) -> None:
        """Load the checkpoint into the generation screen."""
        if (row := self.current) is None:
            return
        if row.chosen is None:
            self._say(f"{row.run.name} has no checkpoint yet.")
            return
        self.post_message(GenerateFrom(row.chosen.reference))

    def action_resume(self) -> None:
        """Train on from the checkpoint; a run that has taken all its steps is asked for more."""
        row = self.current
        chosen = (row.checkpoint or row.run.last) if row else None
        if row is None or chosen is None:
            self._say("There is no checkpoint here to train on from.")
        elif row.run.name == PRETRAINED:
            self._say("The pretrained model ships without what training needs to go on; begin a run of your own.")
        elif row.run.status == "training":
            self._say(f"{row.run.name} is in training already.")
        elif chosen.info.step < row.run.steps:
            self._resume(chosen.reference, {})
        else:
            question = f"{row.run.name} has taken all its {row.run.steps} steps. Train on to which step?"
            more = partial(self._resume_to, chosen.reference)
            self.app.push_screen(PromptScreen(question, str(2 * row.run.steps), _check_steps(row.run.steps)), more)

    def _resume_to(self, reference: str, steps: str | None) -> None:
        if steps is not None:
            self._resume(reference, {"steps": int(steps)})

    def _resume(self, reference: str, changes: dict[str, int]) -> None:
        self.post_message(StartTraining(TrainingRequest(changes=dict(changes), resume=reference)))

    def action_copy_path(self) -> None:
        """Copy the path, and show it: a clipboard over SSH may not be listening."""
        if (row := self.current) is not None:
            path = str(row.checkpoint.info.path) if row.checkpoint else row.run.path
            self.app.copy_to_clipboard(path)
            self._say(f"Copied {path}")

    # Curves

    def action_mark(self) -> None:
        """Mark the run for the next look at curves, or take the mark off."""
        if (row := self.current) is not None and row.run.name != PRETRAINED:
            self._marked ^= {row.run.name}
            self._arrange()

    def action_curves(self) -> None:
        """Show the curves of the marked runs; where none is marked, that of the run at hand."""
        row = self.current
        names = sorted(self._marked) or ([row.run.name] if row and row.run.name != PRETRAINED else [])
        if names:
            self._read_curves(names)
        else:
            self._say("No curve of its training ships with the pretrained model.")

    @work(thread=True, exclusive=True, group="curves", exit_on_error=False)
    def _read_curves(self, names: list[str]) -> None:
        from shakegpt.tui.chart.chart_screen import ChartScreen, NamedRun

        try:
            curves = [NamedRun(name, self.context.store.run(name).snapshot()) for name in names]
        except (ShakegptError, OSError) as error:
            self.post_message(self.Done(escape_control_characters(str(error)), failed=True))
            return
        self.app.call_later(lambda: self.app.push_screen(ChartScreen(curves)))

    # Rename and delete

    def action_rename(self) -> None:
        """Ask for another name."""
        if (row := self.current) is None or not self._may_change(row.run, "renamed"):
            return
        old = row.run.name
        self.app.push_screen(PromptScreen(f"A new name for {old}:", old, _check_name), partial(self._rename, old))

    def _rename(self, old: str, new: str | None) -> None:
        if new is not None and new != old:
            self._marked -= {old}
            self._folded[new] = self._folded.get(old, False)
            self._do(lambda: self.context.store.run(old).rename(new), f"{old} is {new} now.")

    def action_delete(self) -> None:
        """Ask, then delete the run or the checkpoint."""
        if (row := self.current) is None or not self._may_change(row.run, "deleted"):
            return
        run, checkpoint = row.run, row.checkpoint
        if checkpoint is None:
            many = len(run.checkpoints)
            what = f"the run {run.name} with its {many} checkpoint{'s' * (many != 1)} ({formatting.size(run.bytes)})"
            do = partial(self._delete_run, run.name)
        else:
            what = f"the checkpoint {checkpoint.reference} ({formatting.size(checkpoint.info.bytes)})"
            do = partial(self._delete_checkpoint, run.name, checkpoint.info.step)
        question = f"Delete {what}? It cannot be taken back."

        def answered(yes: bool | None) -> None:
            if yes:
                self._do(do, f"Deleted {what}.")

        self.app.push_screen(ConfirmScreen(question, "delete it"), answered)

    def _delete_run(self, name: str) -> None:
        self.context.store.run(name).remove()

    def _delete_checkpoint(self, name: str, step: int) -> None:
        remove_checkpoint(self.context.store.run(name), step)

    def _may_change(self, run: ListedRun, done: str) -> bool:
        if run.name == PRETRAINED:
            self._say(f"The pretrained model ships with shakegpt and cannot be {done}.")
        elif run.status == "training":
            self._say(f"{run.name} is in training and cannot be {done}; stop it first.")
        else:
            return True
        return False

    @work(thread=True, group="store", exit_on_error=False)
    def _do(self, act: Callable[[], object], said: str) -> None:
        try:
            act()
        except (ShakegptError, OSError) as error:
            self.post_message(self.Done(escape_control_characters(str(error)), failed=True))
        else:
            self.post_message(self.Done(said))

    def on_checkpoint_screen_done(self, message: Done) -> None:
        """Say what was done, and show the store as it is now."""
        self.notify(message.said, severity="error" if message.failed else "information", markup=False)
        self.action_refresh()

    # Order and filter

    def action_sort(self) -> None:
        """Sort by the next key."""
        self._sort = SORT_KEYS[(SORT_KEYS.index(self._sort) + 1) % len(SORT_KEYS)]
        self._reverse = False
        self._arrange()

    def action_reverse(self) -> None:
        """Turn the order around."""
        self._reverse = not self._reverse
        self._arrange()

    def on_run_table_sorted(self, message: RunTable.Sorted) -> None:
        """Sort by the heading clicked; a second click turns the order around."""
        self._reverse = not self._reverse if message.key == self._sort else False
        self._sort = message.key
        self._arrange()

    def action_fold(self) -> None:
        """Fold the run's checkpoints away, or show them."""
        if (row := self.current) is not None:
            self._folded[row.run.name] = not self._folded.get(row.run.name, False)
            self._arrange()

    def action_filter(self) -> None:
        """Ask for words to filter by."""
        self.add_class("-filtering")
        field = self.query_one("#filter", Input)
        field.disabled = False
        field.focus()

    def on_input_changed(self, _: Input.Changed) -> None:
        """Filter while typing."""
        self._arrange()

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Go back to the table, filtered."""
        self._leave_filter()

    def action_clear_filter(self) -> None:
        """Leave the filter: the field first, then the words."""
        field = self.query_one("#filter", Input)
        if not field.has_focus:
            field.value = ""
        self._leave_filter()

    def _leave_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.disabled = not field.value
        self.set_class(bool(field.value), "-filtering")
        self.query_one(RunTable).focus()

    def _say(self, sentence: str) -> None:
        self.notify(escape_line(sentence), markup=False)


def _check_name(name: str) -> str | None:
    try:
        check_run_name(name)
    except ShakegptError as error:
        return str(error)
    return None


def _check_steps(done: int) -> Callable[[str], str | None]:
    def check(steps: str) -> str | None:
        more = steps.isascii() and steps.isdigit() and len(steps) < 10 and int(steps) > done
        return None if more else f"Give a whole number above {done}."

    return check
