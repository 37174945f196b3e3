"""The lines under a chart: the cursor, and the values of the curves there."""

from typing import ClassVar

from rich.style import Style

from shakegpt.tui.widgets.diff_widget import DiffWidget, Row


class CursorLine(DiffWidget):
    """A caret under the plot; moving it costs a few bytes, where a line through the plot would redraw all of it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"cursor-line--caret"}
    DEFAULT_CSS = """
    CursorLine {
        height: 1;
        & > .cursor-line--caret { color: $accent; text-style: bold; }
    }
    """
    column: int | None = None

    def move(self, column: int | None) -> None:
        """Move the caret to a column; hide it with ``None``."""
        self.column = column
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line."""
        if self.column is None or not 0 <= self.column < width:
            return []
        return [[(" " * self.column, self.rich_style), ("▲", self.get_component_rich_style("cursor-line--caret"))]]


class CursorValues(DiffWidget):
    """The values at the cursor, each in its curve's colour; also the legend of the chart."""

    DEFAULT_CSS = "CursorValues { height: auto; min-height: 1; max-height: 4; margin: 0 1; }"

    def __init__(self) -> None:
        super().__init__(id="cursor-values")
        self._values: list[tuple[str, str]] = []

    @property
    def text(self) -> str:
        """The values as one text."""
        return "   ".join(text for text, _ in self._values)

    def show(self, values: list[tuple[str, str]]) -> None:
        """Show texts, each with its colour in rich's notation."""
        self._values = values
        self.styles.height = len(self._wrap(max(20, self.size.width)))
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the values, on as many lines as they need."""
        return self._wrap(width)

    def _wrap(self, width: int) -> list[Row]:
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
