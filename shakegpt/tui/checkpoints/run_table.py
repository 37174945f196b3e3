"""The table of runs and their checkpoints."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable, Static

from shakegpt.events import perplexity
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting
from shakegpt.tui.checkpoints.listed_runs import ListedCheckpoint, ListedRun
from shakegpt.tui.checkpoints.run_list import Row, RunList, SortKey, age
from shakegpt.tui.checkpoints.sweep_groups import ListedSweep, mean_and_spread
from shakegpt.tui.themes import RUN_COLOURS, run_colour_rules


@dataclass(frozen=True)
class _Column:
    """A column of the table."""

    key: str
    title: str
    width: int
    min_table_width: int = 0
    """The narrowest table that has room for it."""
    right: bool = True
    sort: SortKey | None = None


# 55 cells for those that are always there, with a cell on either side of each column and one for the scroll bar.
_COLUMNS = (
    _Column("name", "Run", 16, right=False, sort="name"),
    _Column("state", "State", 9, right=False),
    _Column("step", "Step", 13, sort="step"),
    _Column("loss", "Val. loss", 9, sort="loss"),
    _Column("perplexity", "Perpl.", 6, 87),
    _Column("corpus", "Text", 16, 105, right=False),
    _Column("preset", "Preset", 6, 78, right=False),
    _Column("age", "Age", 4, 62, sort="age"),
    _Column("size", "Size", 7, 70, sort="size"),
)
_MAX_NAME_WIDTH = 40
_MOST_DONE = 4
"""Characters of "5/8", beside which there is room for a word."""
_PADDING = 2
_SCROLLBAR = 1


class RunTable(DataTable[Text]):
    """Runs, each with its checkpoints under it unless it is folded; a click on a heading asks for another order.

    The columns depend on the terminal's width; the cursor stays on its row when the order changes.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-table--dim",
        "run-table--training",
        "run-table--failed",
        "run-table--good",
        "run-table--mark",
        *(f"run-table--mark-{number}" for number in range(len(RUN_COLOURS))),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Listen", id="runs.speak", key_display="⏎", tooltip="Generate text from it"),
        Binding("j,down", "cursor_down", "Down", id="runs.down", tooltip="Go to the next row", show=False),
        Binding("k,up", "cursor_up", "Up", id="runs.up", tooltip="Go to the row above", show=False),
        Binding("g,home", "scroll_top", "First", id="runs.first", tooltip="Go to the first row", show=False),
        Binding("G,end", "scroll_bottom", "Last", id="runs.last", tooltip="Go to the last row", show=False),
        Binding("h,left", "screen.fold", "Fold", id="runs.fold", tooltip="Hide what is under it", show=False),
        Binding("l,right", "screen.unfold", "Unfold", id="runs.unfold", tooltip="Show them again", show=False),
    ]
    DEFAULT_CSS: ClassVar[str] = """
    RunTable {
        height: 1fr;
        background: $background;
        &:focus { background-tint: $background 0%; }
        & > .datatable--header { background: $background; color: $foreground 75%; text-style: none; }
        & > .datatable--cursor { background: $panel; color: $foreground; text-style: none; }
        &:focus > .datatable--cursor { background: $primary 30%; color: $foreground; text-style: none; }
        & > .run-table--dim { color: $foreground 75%; }
        & > .run-table--training { color: $success; }
        & > .run-table--failed { color: $error; }
        & > .run-table--good { color: $primary; }
        & > .run-table--mark { color: $accent; text-style: bold; }
        &:ansi > .datatable--header { background: ansi_default; color: ansi_default; text-style: underline; }
        &:ansi > .datatable--cursor { background: ansi_default; text-style: reverse; }
        &:ansi:focus > .datatable--cursor { background: ansi_default; text-style: reverse; }
        &:nocolor > .datatable--cursor, &:nocolor:focus > .datatable--cursor { text-style: reverse; }
    }
    """ + run_colour_rules("RunTable > .run-table--mark-")

    @dataclass
    class HeadingClicked(Message):
        """The heading of a column was clicked."""

        key: SortKey

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  (Textual's name)
        super().__init__(
            id=id,
            cursor_type="row",
            cursor_foreground_priority="renderable",
            zebra_stripes=False,
            show_row_labels=False,
        )
        self._run_list = RunList()
        self._loaded_checkpoint: str | None = None
        self._colouring = self._run_list.colouring
        self._shown_rows: list[Row] = []
        self._headings: list[tuple[Text, int, str]] = []
        self._row_keys: list[str] = []
        self._cell_texts: list[list[Text]] = []

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self._shown_rows[self.cursor_row] if 0 <= self.cursor_row < len(self._shown_rows) else None

    def show(self, run_list: RunList, loaded_checkpoint: str | None) -> None:
        """Fill the table; the loaded checkpoint is the one that the generation screen uses."""
        before = self.current.keys if self.current else []
        cursor_row = self.cursor_row
        self._run_list, self._loaded_checkpoint = run_list, loaded_checkpoint
        self._colouring = run_list.colouring
        self.border_subtitle = self._legend()
        self._shown_rows = run_list.rows()
        self._fill()
        keys = self._row_keys
        key = next((key for key in before if key in keys), None)  # what it has been folded into, where it was
        self.move_cursor(row=min(cursor_row, len(keys) - 1) if key is None else keys.index(key), animate=False)

    def on_resize(self, _: events.Resize) -> None:
        """Show the columns that there is room for."""
        cursor_row = self.cursor_row
        self._fill()
        self.move_cursor(row=cursor_row, animate=False)

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Ask for the order of a heading that was clicked."""
        event.stop()
        sort = next((column.sort for column in _COLUMNS if column.key == event.column_key.value), None)
        if sort is not None:
            self.post_message(self.HeadingClicked(sort))

    def _fill(self) -> None:
        """Draw the table; where its rows and columns are the same, only the cells that differ, to save a slow link."""
        columns = self._fitting_columns()
        headings = [(self._heading(column), width, column.key) for column, width in columns]
        lines: list[list[Text]] = []
        for row in self._shown_rows:
            cells = self._cells(row)
            lines.append([_cut(cells.get(column.key, Text()), width, right=column.right) for column, width in columns])
        keys = [row.key for row in self._shown_rows]
        if (headings, keys) == (self._headings, self._row_keys):
            self._update_cells(lines)
        else:
            self.clear(columns=True)
            for heading, width, key in headings:
                self.add_column(heading, width=width, key=key)
            for line, key in zip(lines, keys, strict=True):
                self.add_row(*line, key=key)
        self._headings, self._row_keys, self._cell_texts = headings, keys, lines

    def _heading(self, column: _Column) -> Text:
        """Return the title of a column, with the order that it is in; of a sweep, the steps give way to its mean."""
        run_list, title = self._run_list, column.title
        arrow = ("▲" if run_list.reverse else "▼") if column.sort == run_list.sort else ""
        if column.key == "step" and any(row.sweep is not None for row in self._shown_rows):
            title = "Step, mean ±"
        return Text(f"{arrow}{title}", justify="right") if column.right else Text(f"{title}{arrow}")

    def _update_cells(self, lines: list[list[Text]]) -> None:
        for y, (new, old) in enumerate(zip(lines, self._cell_texts, strict=True)):
            for x, (cell, before) in enumerate(zip(new, old, strict=True)):
                if (cell, cell.style) != (before, before.style):  # == ignores the base style of a text
                    self.update_cell_at(Coordinate(y, x), cell)

    def _fitting_columns(self) -> list[tuple[_Column, int]]:
        width = max(0, self.outer_size.width - self.gutter.width)  # 0 before the first layout
        columns = [column for column in _COLUMNS if column.min_table_width <= width]
        spare = width - _SCROLLBAR - sum(column.width + _PADDING for column in columns)
        name = max(8, min(_MAX_NAME_WIDTH, columns[0].width + spare))
        return [(column, name if column.key == "name" else column.width) for column in columns]

    def _cells(self, row: Row) -> dict[str, Text]:
        loaded = row.key == self._loaded_checkpoint
        if row.sweep is not None:
            return self._sweep_cells(row.sweep)
        if row.checkpoint is None:
            return self._run_cells(row.run, loaded=loaded)
        return self._checkpoint_cells(row.run, row.checkpoint, loaded=loaded)

    def _run_cells(self, run: ListedRun, *, loaded: bool) -> dict[str, Text]:
        dim = self._style("dim")
        state = {"training": "training", "finished": "good", "failed": "failed", "killed": "failed"}.get(run.status)
        indent = "   " if run.sweep is not None else " "
        name = Text.assemble(self._mark(run, loaded=loaded), indent, (escape_line(run.title), Style(bold=True)))
        return {
            "name": name,
            "state": Text(run.status, style=self._style(state) if state else dim),
            "step": Text(_progress(run.step, run.steps)),
            "loss": Text(formatting.decimal(run.best_loss)),
            "perplexity": Text(_perplexity(run.best_loss)),
            "corpus": Text(escape_line(run.corpus), style=dim),
            "preset": Text(escape_line(run.preset), style=dim),
            "age": Text(age(run.created), style=dim),
            "size": Text(formatting.size(run.bytes), style=dim),
        }

    def _sweep_cells(self, sweep: ListedSweep) -> dict[str, Text]:
        dim, best = self._style("dim"), sweep.best
        folded = sweep.name not in self._run_list.unfolded_sweeps
        marked = sum(run.name in self._run_list.marked for run in sweep.runs)
        mark = " " if not marked else "●" if marked == len(sweep.runs) else "○"
        done = f"{sweep.finished}/{sweep.size}"
        state = "training" if sweep.training else "failed" if sweep.failed else "good" if sweep.finished else "dim"
        return {
            "name": Text.assemble(
                (mark, Style(bold=True)), f" {'▸' if folded else '▾'} ", (escape_line(sweep.name), Style(bold=True))
            ),
            "state": Text(f"{done} done" if len(done) <= _MOST_DONE else done, style=self._style(state)),
            "step": Text(mean_and_spread(sweep.runs)),
            "loss": Text(formatting.decimal(best.best_loss)),
            "perplexity": Text(_perplexity(best.best_loss)),
            "corpus": Text(_common(run.corpus for run in sweep.runs), style=dim),
            "preset": Text(_common(run.preset for run in sweep.runs), style=dim),
            "age": Text(age(sweep.created), style=dim),
            "size": Text(formatting.size(sweep.bytes), style=dim),
        }

    def _checkpoint_cells(self, run: ListedRun, checkpoint: ListedCheckpoint, *, loaded: bool) -> dict[str, Text]:
        dim = self._style("dim")
        info = checkpoint.info
        indent = "   " if run.sweep is not None else " "
        branch = "└" if run.checkpoints[-1] is checkpoint else "├"
        marks = " ".join(word for word, applies in (("best", checkpoint.best), ("last", checkpoint.last)) if applies)
        return {
            "name": Text.assemble(self._loaded_mark(loaded=loaded), (f"{indent}{branch} ", dim), f"@{info.step}"),
            "state": Text(marks, style=self._style("good") if checkpoint.best else dim),
            "step": Text(formatting.count(info.step)),
            "loss": Text("ema " * info.ema + formatting.decimal(info.val_loss)),
            "perplexity": Text(_perplexity(info.val_loss)),
            "age": Text(age(info.created), style=dim),
            "size": Text(formatting.size(info.bytes), style=dim),
        }

    def _mark(self, run: ListedRun, *, loaded: bool) -> tuple[str, Style]:
        """Return the mark of a run: loaded, or marked in the colour that its curve has in the chart."""
        if run.name in self._run_list.marked:
            return self._colouring.mark(run.name), self._style(f"mark-{self._colouring.colour(run.name)}")
        return self._loaded_mark(loaded=loaded)

    def _loaded_mark(self, *, loaded: bool) -> tuple[str, Style]:
        # A blank has no colour: reversed, under the cursor, that would be a block.
        return ("▶", self._style("mark")) if loaded else (" ", Style())

    def _legend(self) -> Content:
        """Return what the marks stand for, where a setting chooses them."""
        colouring = self._colouring
        if colouring.setting is None:
            return Content()
        parts = [Content.styled(f"{colouring.setting} ", "$foreground 80%")]
        for number, label in enumerate(colouring.labels):
            colour = RUN_COLOURS[number % len(RUN_COLOURS)]
            parts.append(Content.styled(f" {colouring.mark_of(number)} ", f"bold {colour}"))
            parts.append(Content.styled(label, "$foreground"))
        return Content.assemble(*parts)

    def _style(self, name: str) -> Style:
        styles = self.get_component_styles(f"run-table--{name}")
        colour = self.background_colors[1] + styles.color  # blends a translucent colour
        return Style(color=colour.rich_color) + styles.text_style


class RowDetails(Static):
    """More about the row under the cursor, and its path."""

    DEFAULT_CSS: ClassVar[str] = """
    RowDetails { height: 2; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def show(self, row: Row | None) -> None:
        """Show the details of a row, or nothing."""
        if row is None:
            self.update("")
            return
        if row.sweep is not None:
            self.update(_describe_sweep(row.sweep, row.path))
            return
        run = row.run
        details = [run.varied] if run.varied else []
        details += [f"{formatting.compact(run.parameters)} weights", run.corpus, formatting.size(run.bytes)]
        details += [run.preset] if run.preset else []
        details += [", ".join(run.tags)] if run.tags else []
        details += [f"trained for {formatting.duration(row.checkpoint.info.seconds)}"] if row.checkpoint else []
        self.update(
            Content.styled(escape_line(row.key), "bold $primary")
            + Content.styled("  " + escape_line(" · ".join(details)), "$foreground 80%")
            + Content.styled(f"\n{escape_line(row.path)}", "$foreground 75%")
        )


def _describe_sweep(sweep: ListedSweep, path: str) -> Content:
    best = f"best {formatting.decimal(sweep.best.best_loss)} ({sweep.best.name}), mean {mean_and_spread(sweep.runs)}"
    return (
        Content.styled(escape_line(sweep.name), "bold $primary")
        + Content.styled(f"  {sweep.progress} · {best}", "$foreground 80%")
        + Content.styled(f"\n{escape_line(path)}", "$foreground 75%")
    )


def _common(values: Iterable[str]) -> str:
    """Return what all runs of a sweep have in common."""
    found = set(values)
    return escape_line(found.pop()) if len(found) == 1 else "several"


def _progress(step: int, steps: int) -> str:
    return formatting.count(steps) if step == steps else f"{formatting.count(step)} / {formatting.count(steps)}"


def _perplexity(loss: float | None) -> str:
    return formatting.decimal(perplexity(loss) if loss is not None else None)


def _cut(text: Text, width: int, *, right: bool) -> Text:
    text = text.copy()
    text.truncate(width, overflow="ellipsis")
    text.justify = "right" if right else "left"
    return text
