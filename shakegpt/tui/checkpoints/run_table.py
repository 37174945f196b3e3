"""The table of runs and their checkpoints."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable

from shakegpt.events import perplexity
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting
from shakegpt.tui.checkpoints.run_list import ListedCheckpoint, ListedRun, SortKey, age


@dataclass(frozen=True)
class _Column:
    """A column, and the narrowest terminal that has room for it."""

    key: str
    title: str
    width: int
    wide: int
    right: bool = True
    sort: SortKey | None = None


# 78 cells at 80, with a cell on either side of each column and two for the scroll bar.
_COLUMNS = (
    _Column("name", "Run", 19, 0, right=False, sort="name"),
    _Column("state", "State", 9, 0, right=False),
    _Column("step", "Step", 11, 0, sort="step"),
    _Column("loss", "Loss", 6, 0, sort="loss"),
    _Column("perplexity", "Perpl.", 6, 80),
    _Column("corpus", "Corpus", 18, 120, right=False),
    _Column("preset", "Preset", 8, 120, right=False),
    _Column("parameters", "Weights", 7, 120),
    _Column("age", "Age", 4, 0, sort="age"),
    _Column("size", "Size", 7, 80, sort="size"),
)
_WIDEST_NAME = 40
_PADDING = 2
_SCROLLBAR = 1


@dataclass(frozen=True)
class Row:
    """What stands behind a row: a run, or one of its checkpoints."""

    run: ListedRun
    checkpoint: ListedCheckpoint | None = None

    @property
    def key(self) -> str:
        """What names the row from one reading of the store to the next."""
        return self.checkpoint.reference if self.checkpoint else self.run.name

    @property
    def chosen(self) -> ListedCheckpoint | None:
        """The checkpoint that is meant: this one, or the run's best."""
        return self.checkpoint or self.run.best


class RunTable(DataTable[Text]):
    """Runs, each with its checkpoints under it where it is unfolded; a click on a heading asks for another order.

    The columns follow the terminal's width; the cursor stays on its run however the rows are arranged.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-table--faint",
        "run-table--training",
        "run-table--failed",
        "run-table--good",
        "run-table--mark",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "Speak", id="runs.speak", tooltip="Load it into the generation screen"),
        Binding("home", "scroll_top", "First", id="runs.first", tooltip="Go to the first row", show=False),
        Binding("end", "scroll_bottom", "Last", id="runs.last", tooltip="Go to the last row", show=False),
    ]
    DEFAULT_CSS: ClassVar[str] = """
    RunTable {
        height: 1fr;
        background: $background;
        &:focus { background-tint: $background 0%; }
        & > .datatable--header { background: $background; color: $foreground 60%; text-style: none; }
        & > .datatable--cursor { background: $panel; color: $foreground; text-style: none; }
        &:focus > .datatable--cursor { background: $primary 30%; color: $foreground; text-style: none; }
        & > .run-table--faint { color: $foreground 60%; }
        & > .run-table--training { color: $success; }
        & > .run-table--failed { color: $error; }
        & > .run-table--good { color: $primary; }
        & > .run-table--mark { color: $accent; text-style: bold; }
        &:ansi > .datatable--header { background: ansi_default; color: ansi_default; text-style: underline; }
        &:ansi > .datatable--cursor { background: ansi_default; text-style: reverse; }
        &:ansi:focus > .datatable--cursor { background: ansi_default; text-style: reverse; }
        &:nocolor > .datatable--cursor, &:nocolor:focus > .datatable--cursor { text-style: reverse; }
    }
    """

    class Sorted(Message):
        """A column's heading was clicked."""

        def __init__(self, key: SortKey) -> None:
            self.key = key
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  (Textual's name)
        super().__init__(
            id=id,
            cursor_type="row",
            cursor_foreground_priority="renderable",
            zebra_stripes=False,
            show_row_labels=False,
        )
        self._shown: list[Row] = []
        self._frame: tuple[list[tuple[Text, int, str]], list[str]] = ([], [])
        self._lines: list[list[Text]] = []
        self._arguments: tuple[frozenset[str], str | None, SortKey, bool] = (frozenset(), None, "age", False)

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        return self._shown[self.cursor_row] if 0 <= self.cursor_row < len(self._shown) else None

    def show(
        self,
        rows: Iterable[Row],
        *,
        marked: frozenset[str] = frozenset(),
        in_use: str | None = None,
        sort: SortKey = "age",
        reverse: bool = False,
    ) -> None:
        """Fill the table; ``marked`` runs are those whose curves are to be laid over one another."""
        key = self.current.key if self.current else None
        place = self.cursor_row
        self._shown = list(rows)
        self._arguments = (marked, in_use, sort, reverse)
        self._fill()
        keys = [row.key for row in self._shown]
        self.move_cursor(row=keys.index(key) if key in keys else min(place, len(keys) - 1), animate=False)

    def on_resize(self, _: events.Resize) -> None:
        """Show the columns that there is room for."""
        place = self.cursor_row
        self._fill()
        self.move_cursor(row=place, animate=False)

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Sort by a heading that was clicked."""
        event.stop()
        sort = next((column.sort for column in _COLUMNS if column.key == event.column_key.value), None)
        if sort is not None:
            self.post_message(self.Sorted(sort))

    def _fill(self) -> None:
        """Draw the table; where its rows and columns stay, only the cells that differ, for the sake of slow links."""
        marked, in_use, sort, reverse = self._arguments
        columns = self._columns_that_fit()
        headings = [(_heading(column, sort, reverse=reverse), width, column.key) for column, width in columns]
        lines: list[list[Text]] = []
        for row in self._shown:
            cells = self._cells(row, marked=row.checkpoint is None and row.run.name in marked, in_use=in_use)
            lines.append([_cut(cells[column.key], width, right=column.right) for column, width in columns])
        keys = [row.key for row in self._shown]
        if (headings, keys) == self._frame:
            self._touch_up(lines)
        else:
            self.clear(columns=True)
            for heading, width, key in headings:
                self.add_column(heading, width=width, key=key)
            for line, key in zip(lines, keys, strict=True):
                self.add_row(*line, key=key)
        self._frame, self._lines = (headings, keys), lines

    def _touch_up(self, lines: list[list[Text]]) -> None:
        for y, (new, old) in enumerate(zip(lines, self._lines, strict=True)):
            for x, (cell, before) in enumerate(zip(new, old, strict=True)):
                if (cell, cell.style) != (before, before.style):  # texts compare equal whatever their base style
                    self.update_cell_at(Coordinate(y, x), cell)

    def _columns_that_fit(self) -> list[tuple[_Column, int]]:
        width = self.app.size.width
        columns = [column for column in _COLUMNS if column.wide <= width]
        spare = width - _SCROLLBAR - sum(column.width + _PADDING for column in columns)
        name = max(8, min(_WIDEST_NAME, columns[0].width + spare))
        return [(column, name if column.key == "name" else column.width) for column in columns]

    def _cells(self, row: Row, *, marked: bool, in_use: str | None) -> dict[str, Text]:
        if row.checkpoint is None:
            return self._run_cells(row.run, marked=marked, speaking=in_use == row.run.name)
        return self._checkpoint_cells(row.run, row.checkpoint, speaking=in_use == row.checkpoint.reference)

    def _run_cells(self, run: ListedRun, *, marked: bool, speaking: bool) -> dict[str, Text]:
        faint = self._style("faint")
        state = {"training": "training", "finished": "good", "failed": "failed", "killed": "failed"}.get(run.status)
        sign = "▶" if speaking else "●" if marked else " "
        name = Text.assemble((sign, self._style("mark")), " ", (_plain(run.name), Style(bold=True)))
        return {
            "name": name,
            "state": Text(run.status, style=self._style(state) if state else faint),
            "step": Text(f"{run.step}/{run.steps}" if run.step != run.steps else f"{run.steps}"),
            "loss": Text(formatting.decimal(run.best_loss)),
            "perplexity": Text(_perplexity(run.best_loss)),
            "corpus": Text(_plain(run.corpus), style=faint),
            "preset": Text(_plain(run.preset), style=faint),
            "parameters": Text(formatting.compact(run.parameters), style=faint),
            "age": Text(age(run.created), style=faint),
            "size": Text(formatting.size(run.bytes), style=faint),
        }

    def _checkpoint_cells(self, run: ListedRun, checkpoint: ListedCheckpoint, *, speaking: bool) -> dict[str, Text]:
        faint = self._style("faint")
        info = checkpoint.info
        branch = "└" if run.checkpoints[-1] is checkpoint else "├"
        marks = " ".join(word for word, applies in (("best", checkpoint.best), ("last", checkpoint.last)) if applies)
        return {
            "name": Text.assemble(
                ("▶" if speaking else " ", self._style("mark")), (f" {branch} ", faint), f"@{info.step}"
            ),
            "state": Text(marks, style=self._style("good") if checkpoint.best else faint),
            "step": Text(f"{info.step}"),
            "loss": Text(formatting.decimal(info.val_loss)),
            "perplexity": Text(_perplexity(info.val_loss)),
            "corpus": Text(""),
            "preset": Text(""),
            "parameters": Text(""),
            "age": Text(age(info.created), style=faint),
            "size": Text(formatting.size(info.bytes), style=faint),
        }

    def _style(self, name: str) -> Style:
        styles = self.get_component_styles(f"run-table--{name}")
        colour = self.background_colors[1] + styles.color  # a share of a colour, as much as a cell can show of it
        return Style(color=colour.rich_color) + styles.text_style


def _heading(column: _Column, sort: SortKey, *, reverse: bool) -> Text:
    arrow = ("▲" if reverse else "▼") if column.sort == sort else ""
    if column.right:
        return Text(f"{arrow}{column.title}", justify="right")
    return Text(f"{column.title}{arrow}")


def _perplexity(loss: float | None) -> str:
    return formatting.decimal(perplexity(loss) if loss is not None else None)


def _plain(text: str) -> str:
    return escape_line(text)


def _cut(text: Text, width: int, *, right: bool) -> Text:
    text = text.copy()
    text.truncate(width, overflow="ellipsis")
    text.justify = "right" if right else "left"
    return text
