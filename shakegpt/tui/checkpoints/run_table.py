"""The table of runs and their checkpoints."""

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
from shakegpt.tui.checkpoints.run_list import ListedCheckpoint, ListedRun, Row, RunList, SortKey, age
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
        Binding("h,left", "screen.fold", "Fold", id="runs.fold", tooltip="Hide the run's checkpoints", show=False),
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
        key = self.current.key if self.current else None
        cursor_row = self.cursor_row
        self._run_list, self._loaded_checkpoint = run_list, loaded_checkpoint
        self._shown_rows = run_list.rows()
        self._fill()
        keys = self._row_keys
        if key is not None and key not in keys:
            key = key.partition("@")[0]  # its run, where that has been folded
        self.move_cursor(row=keys.index(key) if key in keys else min(cursor_row, len(keys) - 1), animate=False)

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
        sort, reverse = self._run_list.sort, self._run_list.reverse
        headings = [(_heading(column, sort, reverse=reverse), width, column.key) for column, width in columns]
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
        if row.checkpoint is None:
            return self._run_cells(row.run, loaded=loaded)
        return self._checkpoint_cells(row.run, row.checkpoint, loaded=loaded)

    def _run_cells(self, run: ListedRun, *, loaded: bool) -> dict[str, Text]:
        dim = self._style("dim")
        state = {"training": "training", "finished": "good", "failed": "failed", "killed": "failed"}.get(run.status)
        name = Text.assemble(self._mark(run, loaded=loaded), " ", (escape_line(run.title), Style(bold=True)))
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

    def _checkpoint_cells(self, run: ListedRun, checkpoint: ListedCheckpoint, *, loaded: bool) -> dict[str, Text]:
        dim = self._style("dim")
        info = checkpoint.info
        branch = "└" if run.checkpoints[-1] is checkpoint else "├"
        marks = " ".join(word for word, applies in (("best", checkpoint.best), ("last", checkpoint.last)) if applies)
        return {
            "name": Text.assemble(self._loaded_mark(loaded=loaded), (f" {branch} ", dim), f"@{info.step}"),
            "state": Text(marks, style=self._style("good") if checkpoint.best else dim),
            "step": Text(formatting.count(info.step)),
            "loss": Text("ema " * info.ema + formatting.decimal(info.val_loss)),
            "perplexity": Text(_perplexity(info.val_loss)),
            "age": Text(age(info.created), style=dim),
            "size": Text(formatting.size(info.bytes), style=dim),
        }

    def _mark(self, run: ListedRun, *, loaded: bool) -> tuple[str, Style]:
        """Return the mark of a run: loaded, or marked in the colour that its curve has in the chart."""
        marked = self._run_list.marked
        if run.name in marked:
            return "●", self._style(f"mark-{marked.index(run.name) % len(RUN_COLOURS)}")
        return self._loaded_mark(loaded=loaded)

    def _loaded_mark(self, *, loaded: bool) -> tuple[str, Style]:
        # A blank has no colour: reversed, under the cursor, that would be a block.
        return ("▶", self._style("mark")) if loaded else (" ", Style())

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
        run = row.run
        details = [f"{formatting.compact(run.parameters)} weights", run.corpus, formatting.size(run.bytes)]
        details += [run.preset] if run.preset else []
        details += [", ".join(run.tags)] if run.tags else []
        details += [f"trained for {formatting.duration(row.checkpoint.info.seconds)}"] if row.checkpoint else []
        self.update(
            Content.styled(escape_line(row.key), "bold $primary")
            + Content.styled("  " + escape_line(" · ".join(details)), "$foreground 80%")
            + Content.styled(f"\n{escape_line(row.path)}", "$foreground 75%")
        )


def _heading(column: _Column, sort: SortKey, *, reverse: bool) -> Text:
    arrow = ("▲" if reverse else "▼") if column.sort == sort else ""
    if column.right:
        return Text(f"{arrow}{column.title}", justify="right")
    return Text(f"{column.title}{arrow}")


def _progress(step: int, steps: int) -> str:
    return formatting.count(steps) if step == steps else f"{formatting.count(step)} / {formatting.count(steps)}"


def _perplexity(loss: float | None) -> str:
    return formatting.decimal(perplexity(loss) if loss is not None else None)


def _cut(text: Text, width: int, *, right: bool) -> Text:
    text = text.copy()
    text.truncate(width, overflow="ellipsis")
    text.justify = "right" if right else "left"
    return text
