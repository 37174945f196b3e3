"""Under a chart: where the cursor stands, and what the curves are there."""

from typing import ClassVar

from rich.style import Style

from shakegpt.tui.widgets.diff_widget import DiffWidget, Row


class CursorLine(DiffWidget):
    """A caret under the plot that costs a few bytes to move, where a line through the plot would redraw all of it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"cursor-line--caret"}
    DEFAULT_CSS = """
    CursorLine {
        height: 1;
        & > .cursor-line--caret { color: $accent; text-style: bold; }
    }
    """
    column: int | None = None

    def move(self, column: int | None) -> None:
        """Stand under a column; nowhere with ``None``."""
        self.column = column
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line with the caret."""
        if self.column is None or not 0 <= self.column < width:
            return []
        return [[(" " * self.column, self.rich_style), ("▲", self.get_component_rich_style("cursor-line--caret"))]]


class Readout(DiffWidget):
    """The values under the cursor, each in its curve's colour: the legend of the chart as well."""

    DEFAULT_CSS = "Readout { height: auto; min-height: 1; max-height: 4; margin: 0 1; }"

    def __init__(self) -> None:
        super().__init__(id="readout")
        self._values: list[tuple[str, str]] = []

    @property
    def text(self) -> str:
        """What is read out."""
        return "   ".join(text for text, _ in self._values)

    def show(self, values: list[tuple[str, str]]) -> None:
        """Show texts and their colours, as rich spells them."""
        self._values = values
        self.styles.height = len(self._wrapped(max(20, self.size.width)))
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the values, on as many lines as they take."""
        return self._wrapped(width)

    def _wrapped(self, width: int) -> list[Row]:
        rows: list[Row] = [[]]
        used = 0
        for text, colour in self._values:
            if used and used + len(text) > width:
                rows.append([])
                used = 0
            style = self.rich_style + Style(color=colour or None)
            rows[-1] += [(text, style), ("   ", self.rich_style)]
            used += len(text) + 3
        return rows
