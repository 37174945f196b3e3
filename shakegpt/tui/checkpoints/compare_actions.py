"""Runs beside each other: marks, the setting that chooses their colours, and their curves in one chart."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import work
from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen

from shakegpt.errors import ShakegptError
from shakegpt.runs.run import RunMetadata
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_control_characters, escape_line
from shakegpt.tui.chart.colouring import differing_settings, next_setting
from shakegpt.tui.checkpoints.log_reader import LogReader
from shakegpt.tui.checkpoints.run_list import Row, RunList
from shakegpt.tui.context import AppContext

if TYPE_CHECKING:
    from shakegpt.evaluation.ngrams import TableLosses
    from shakegpt.tui.chart.chart_screen import ChartScreen

_CURVES = Binding.Group("Curves")


COMPARE_BINDINGS: tuple[Binding, ...] = (
    Binding(
        "z",
        "curves",
        "Curves",
        id="runs.curve",
        tooltip="Show its curve, or those of all marked runs",
        group=_CURVES,
    ),
    Binding("m", "mark", "Mark", id="runs.mark", tooltip="Mark the run, to compare curves", group=_CURVES),
    Binding(
        "W",
        "mark_sweep",
        "Mark sweep",
        id="runs.mark_sweep",
        tooltip="Mark all runs of its sweep, to compare curves",
        group=_CURVES,
        show=False,
    ),
    Binding(
        "C",
        "colour",
        "Colour by",
        id="runs.colour",
        tooltip="Colour the marked runs by what differs",
        group=_CURVES,
    ),
)


class CompareActions(Screen[None]):
    """What can be done with several of the listed runs at once, none of which changes the store."""

    @dataclass
    class CurvesRead(Message):
        """The logs were read that were asked for the ``number``-th time; or ``error`` says why they could not be."""

        number: int
        runs: list[tuple[str, Snapshot, RunMetadata]]
        error: str = ""

    @dataclass
    class TablesRead(Message):
        """It is known what tables reach on the text of the one run of a chart."""

        chart: "ChartScreen"
        tables: "TableLosses | None"

    def __init__(self, context: AppContext) -> None:
        super().__init__()
        self.context = context
        self.run_list = RunList()
        self.logs = LogReader()
        self._curves_asked = 0

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        raise NotImplementedError

    def show_runs(self) -> None:
        """Show the list as it is now."""
        raise NotImplementedError

    def say(self, sentence: str) -> None:
        """Show a sentence for a while."""
        self.notify(escape_line(sentence), markup=False)

    def action_mark(self) -> None:
        """Mark the run for a comparison of curves, or remove its mark."""
        row = self.current
        if row is not None and row.sweep is not None:
            self.action_mark_sweep()
        elif row is not None and not row.run.is_built_in:
            self.run_list.toggle_mark(row.run.name)
            self.show_runs()

    def action_mark_sweep(self) -> None:
        """Mark all runs of the sweep that the run belongs to, or remove their marks."""
        if (row := self.current) is None or not (names := self.run_list.sweep_of(row.run)):
            self.say("This run belongs to no sweep; begin one with `shakegpt sweep`.")
            return
        self.run_list.toggle_marks(names)
        self.show_runs()

    def action_colour(self) -> None:
        """Colour by the next setting; where nothing is marked, mark the sweep under the cursor."""
        run_list = self.run_list
        if not run_list.marked and (row := self.current) is not None:
            run_list.toggle_marks(run_list.sweep_of(row.run))
        marked = run_list.marked_settings
        known = [metadata for metadata in marked.values() if metadata is not None]
        if not differing_settings(known):
            self.say("Mark runs that differ in a setting first: m marks one, W a whole sweep.")
            return
        run_list.colour_by = next_setting(run_list.colouring.setting, marked)
        self.show_runs()

    def action_curves(self) -> None:
        """Show the curves of the marked runs; where none is marked, those of the sweep or the run under the cursor."""
        row = self.current
        names = list(self.run_list.marked)
        if not names and row is not None and row.sweep is not None:
            names = [run.name for run in row.sweep.runs]
        elif not names and row is not None and not row.run.is_built_in:
            names = [row.run.name]
        if names:
            self._curves_asked += 1
            self._read_curves(self._curves_asked, names)
        else:
            self.say("The built-in model ships without its training curve.")

    @work(thread=True, group="curves", exit_on_error=False)
    def _read_curves(self, number: int, names: list[str]) -> None:
        try:
            found = [self.context.store.run(name) for name in names]
            runs = [(run.name, self.logs.read(run), run.metadata) for run in found]
        except (ShakegptError, OSError) as error:
            self.post_message(self.CurvesRead(number, [], escape_control_characters(str(error))))
        else:
            self.post_message(self.CurvesRead(number, runs))

    def on_compare_actions_curves_read(self, message: CurvesRead) -> None:
        """Open the chart, unless another one was asked for meanwhile, or the user has gone to another screen."""
        from shakegpt.tui.chart.chart_screen import ChartScreen
        from shakegpt.tui.chart.lines import NamedRun

        if message.number != self._curves_asked or not self.is_current:
            return
        if message.error:
            self.notify(message.error, severity="error", markup=False)
            return
        runs = [NamedRun(name, snapshot, metadata=metadata) for name, snapshot, metadata in message.runs]
        chart = ChartScreen(runs, colour_by=self.run_list.colour_by)
        self.app.push_screen(chart, lambda _: self._take_colour(chart.colour_by))
        if len(runs) == 1:
            self._read_tables(chart, runs[0].name)

    @work(thread=True, group="tables", exit_on_error=False)
    def _read_tables(self, chart: "ChartScreen", name: str) -> None:
        from shakegpt.evaluation.ngrams import tables_of_run

        self.post_message(self.TablesRead(chart, tables_of_run(self.context.store, name)))

    def on_compare_actions_tables_read(self, message: TablesRead) -> None:
        """Compare the run of the chart with tables."""
        message.chart.show_tables(message.tables)

    def _take_colour(self, setting: str | None) -> None:
        """Colour the list as the chart was when it was closed."""
        if len(self.run_list.marked) > 1 and setting != self.run_list.colour_by:
            self.run_list.colour_by = setting
            self.show_runs()
