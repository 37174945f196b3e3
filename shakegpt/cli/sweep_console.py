"""What a sweep shows: a live table with all curves on a terminal, plain lines elsewhere, or events as JSON."""

import os
import select
import string
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from shakegpt.cli.console import describe, format_duration
from shakegpt.cli.curves import Line, draw_lines, loss_points
from shakegpt.cli.output import print_json, print_note
from shakegpt.events import Evaluation, Event, Failed, Finished, Started, Warning
from shakegpt.system.text import count, escape_line
from shakegpt.training.sweep import SweepRow

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

_MARKS = string.ascii_letters
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red", "bright_cyan", "bright_magenta", "bright_green")
_REFRESHES_PER_SECOND = 1
_LEAST_CHART, _MOST_CHART, _CHART_FRAME = 5, 14, 4
_HEADINGS = ["run", "settings", "step", "loss", "best", "chars/s", "left", "where"]
_RUN, _SETTINGS, _STEP, _LOSS, _BEST, _SPEED, _LEFT, _WHERE = range(8)
_LEFT_OUT_FIRST = (_SPEED, _LEFT, _LOSS)
"""Columns that a narrow terminal lacks, in this order."""
_GAP = 2
Rows = Callable[[], Sequence[SweepRow]]


def describe_settings(row: SweepRow) -> str:
    """Return what sets a run of the sweep apart: ``learning-rate 1e-3, seed 1338``."""
    return ", ".join(f"{name} {value}" for name, value in row.settings.items())


def best_loss(row: SweepRow) -> float | None:
    """Return the lowest validation loss of a run so far."""
    return None if row.snapshot.best is None else row.snapshot.best.val_loss


def mark_of(number: int) -> str:
    """Return the letter that stands for a run in the chart."""
    return _MARKS[number % len(_MARKS)]


def seconds_left(rows: Sequence[SweepRow]) -> float | None:
    """Return about how long the rest of a sweep takes: each run that has begun tells its speed."""
    training = [row.snapshot for row in rows if row.state == "training" and row.snapshot.seconds_left is not None]
    begun = [row.snapshot for row in rows if row.snapshot.step is not None and row.snapshot.started is not None]
    if not training:
        return None
    left = [snapshot.seconds_left or 0.0 for snapshot in training]
    whole = [
        snapshot.steps * snapshot.step.seconds / max(1, snapshot.current_step)
        for snapshot in begun
        if snapshot.step is not None
    ]
    waiting = sum(row.state in ("waiting", "loading") for row in rows)
    return max(max(left), (sum(left) + waiting * sum(whole) / len(whole)) / len(training))


def choose_console(rows: Rows, *, json: bool) -> "SweepConsole":
    """Return a console: JSON if asked for, a live table on a terminal, otherwise plain lines."""
    if json:
        return JsonConsole(rows)
    return LiveConsole(rows) if sys.stderr.isatty() else SweepConsole(rows)


class SweepConsole:
    """Plain lines, for logs and pipes; what the others have in common."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._told: dict[str, str] = {}

    def start(self) -> None:
        """Begin to show the sweep."""

    def show(self, name: str, event: Event | None) -> None:
        """Show what happened to a run. Raises ``OSError`` when nothing reads the output any more."""
        row = next((row for row in self.rows() if row.name == name), None)
        if row is None:
            if isinstance(event, Warning):  # of the sweep itself
                self._tell(name, f"warning: {event.message}")
        elif isinstance(event, Started):
            self._tell(name, f"begins ({describe_settings(row)}), {row.device}" if row.settings else "begins")
        elif isinstance(event, Evaluation | Warning):
            self._tell(name, describe(event, row.snapshot))
        elif isinstance(event, Failed):
            self._tell(name, f"failed: {event.message}")
        elif isinstance(event, Finished):
            best = best_loss(row)
            self._tell(name, f"{event.outcome} at step {event.step:,}" + (f", best {best:.4f}" if best else ""))

    def _tell(self, name: str, text: str) -> None:
        if self._told.get(name) != text:  # a failure may be in the log and be found out as well
            self._told[name] = text
            print_note(f"{name}: {text}")

    def detach(self) -> None:
        """Stop drawing what only a terminal shows: it has gone."""

    def restore_terminal(self) -> None:
        """Undo what changed the terminal before the process ends at once. Never blocks."""

    def finish(self) -> None:
        """Print the result: the runs, the best first."""
        for line in result_table(self.rows()):
            print(line, flush=True)


class JsonConsole(SweepConsole):
    """One JSON object per event, with its run's name."""

    def show(self, name: str, event: Event | None) -> None:
        """Print an event."""
        if event is not None:
            print_json({"run": name} | event.to_json())

    def finish(self) -> None:
        """Print nothing more: every run has had its last event."""


def result_table(rows: Sequence[SweepRow]) -> list[str]:
    """Return the runs in lines, those of lowest loss first, with what sets them apart."""
    width = max(len(row.name) for row in rows)
    ordered = sorted(rows, key=lambda row: (best_loss(row) is None, best_loss(row) or 0.0))
    lines = [f"{'RUN':<{width}} {'BEST':>8} {'STEP':>7}  {'STATUS':<8}  SETTINGS"]
    for row in ordered:
        best = best_loss(row)
        loss = "-" if best is None else f"{best:.4f}"
        lines.append(
            f"{row.name:<{width}} {loss:>8} {row.snapshot.current_step:>7,}  {row.state:<8}  "
            f"{escape_line(row.message or describe_settings(row))}".rstrip()
        )
    return lines


class LiveConsole(SweepConsole):
    """A table of all runs and a chart of their curves, drawn again once a second."""

    def __init__(self, rows: Rows) -> None:
        super().__init__(rows)
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            get_renderable=self._draw,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._detached = False

    def start(self) -> None:
        """Begin to draw."""
        self._live.start()

    def detach(self) -> None:
        """Stop drawing: the terminal has gone."""
        self._detached = True
        self._live.stop()

    def restore_terminal(self) -> None:
        """Show the cursor again, if the terminal accepts it without blocking."""
        if not self._detached and select.select([], [2], [], 0)[1]:
            os.write(2, b"\r\n\x1b[?25h")

    def show(self, name: str, event: Event | None) -> None:
        """Print a failure above the table, which shows everything else of a run."""
        if self._detached:
            return
        if isinstance(event, Failed):
            self._console.print(escape_line(f"{name}: failed: {event.message}"), soft_wrap=True)
        elif isinstance(event, Warning) and event.kind == "notify":
            self._console.print(escape_line(f"{name}: warning: {event.message}"), soft_wrap=True)

    def finish(self) -> None:
        """Take the table away and print the result."""
        if not self._detached:
            self._live.stop()
            for line in self._chart(min(self._console.width, 100) - 10, _MOST_CHART):
                self._console.print(line)
        super().finish()

    def _draw(self) -> "Group":
        from rich.console import Group

        rows, height = list(self.rows()), self._console.height - 2
        shown = self._most_telling(rows, max(3, height - _LEAST_CHART - _CHART_FRAME - 3))
        room = height - len(shown) - _CHART_FRAME - 3
        pieces: list[RenderableType] = [self._table(rows, shown)]
        if len(shown) < len(rows):
            pieces.append(f"and {count(len(rows) - len(shown), 'more run')}")
        if room >= _LEAST_CHART:
            pieces += self._chart(max(20, min(self._console.width, 120) - 10), min(_MOST_CHART, room))
        pieces.append(self._summary(rows))
        return Group(*pieces)

    def _most_telling(self, rows: list[SweepRow], most: int) -> list[SweepRow]:
        """Return the rows there is room for, in their order: those in training, then failures, then the best."""
        order = {"training": 0, "loading": 1, "failed": 2}
        ranked = sorted(rows, key=lambda row: (order.get(row.state, 3), best_loss(row) or 1e9))[:most]
        return [row for row in rows if row in ranked]

    def _table(self, rows: list[SweepRow], shown: list[SweepRow]) -> Any:
        from rich.table import Table
        from rich.text import Text

        leader = min((loss for row in rows if (loss := best_loss(row)) is not None), default=None)
        cells = [_HEADINGS, *([*self._cells(row)] for row in shown)]
        widths = [max(len(line[column]) for line in cells) + _GAP for column in range(len(_HEADINGS))]
        columns, room = list(range(len(_HEADINGS))), self._console.width - 1 - _GAP
        for column in _LEFT_OUT_FIRST:
            if sum(widths[kept] for kept in columns) > room:
                columns.remove(column)
        room -= sum(widths[column] for column in columns if column != _SETTINGS) + _GAP
        table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="bold", expand=False)
        table.add_column("")
        for column in columns:
            left = column in (_RUN, _SETTINGS, _WHERE)
            most = max(len(_HEADINGS[_SETTINGS]), room) if column == _SETTINGS else None
            table.add_column(_HEADINGS[column], justify="left" if left else "right", no_wrap=True, max_width=most)
        for row, line in zip(shown, cells[1:], strict=True):
            number, best = rows.index(row), best_loss(row)
            styled: list[str | Text] = list(line)
            if best is not None and best == leader:
                styled[_BEST] = Text(line[_BEST], style="bold")
            table.add_row(
                Text(mark_of(number), style=_COLOURS[number % len(_COLOURS)]), *(styled[column] for column in columns)
            )
        return table

    def _cells(self, row: SweepRow) -> list[str]:
        snapshot, best, training = row.snapshot, best_loss(row), row.state == "training"
        step, left = snapshot.step, snapshot.seconds_left if training else None
        return [
            row.name,
            escape_line(describe_settings(row)),
            f"{snapshot.current_step:,} / {snapshot.steps:,}" if snapshot.steps else "-",
            f"{step.loss:.4f}" if step else "-",
            "-" if best is None else f"{best:.4f}",
            f"{step.tokens_per_second:,.0f}" if step and training else "-",
            "-" if left is None else format_duration(left),
            row.device if row.state in ("training", "loading") else row.state,
        ]

    def _chart(self, width: int, height: int) -> list[Any]:
        from rich.text import Text

        rows = list(self.rows())
        validation = all(len(row.snapshot.validation) > 1 for row in rows if len(row.snapshot.train))
        lines = [
            Line(mark_of(number), loss_points(row.snapshot, width, validation=validation), connected=True)
            for number, row in enumerate(rows)
        ]
        last = max((step for line in lines for step, _ in line.points), default=0)
        title = "validation" if validation else "train"
        drawn = []
        for text in draw_lines(
            lines, width=width, height=height, ends=("0", f"step {last:,.0f}"), title=f"{title} loss, a letter a run"
        ):
            styled = Text(text, no_wrap=True, overflow="crop")
            for column in range(text.find("|") + 1, len(text)) if "|" in text else ():
                if text[column] != " ":
                    colour = _COLOURS[_MARKS.index(text[column]) % len(_COLOURS)]
                    styled.stylize(colour, column, column + 1)
            drawn.append(styled)
        return drawn

    def _summary(self, rows: list[SweepRow]) -> str:
        done = sum(row.state == "finished" for row in rows)
        failed = sum(row.state == "failed" for row in rows)
        left = seconds_left(rows)
        return f"{done} of {count(len(rows), 'run')} finished" + (f", {failed} failed" if failed else "") + (
            "" if left is None else f", about {format_duration(left)} left"
        ) + "; Ctrl-C saves all and stops"  # fmt: skip
