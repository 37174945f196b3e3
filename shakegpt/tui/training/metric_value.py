"""The one number of a panel that the eye goes to first."""

from typing import ClassVar

from shakegpt.tui.widgets.diff_widget import DiffWidget, Row
from shakegpt.tui.widgets.sparkline import MARK


class MetricValue(DiffWidget):
    """The value in training, and at the right the newest one of the validation split."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"headline--value", "headline--validation"}
    DEFAULT_CSS = """
    MetricValue {
        height: 1;
        & > .headline--value { color: $foreground; text-style: bold; }
        & > .headline--validation { color: $secondary; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._value = ""
        self._validation = ""

    def show(self, value: str, validation: str = "") -> None:
        """Show two values, already spelled; no validation where it is empty."""
        self._value, self._validation = value, validation
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line; the word goes where there is no room for it."""
        value = (self._value, self.get_component_rich_style("headline--value"))
        if not self._validation:
            return [[value]]
        note = f"{MARK} validation {self._validation}"
        if len(self._value) + len(note) + 2 > width:
            note = note.replace("validation ", "")
        gap = " " * max(1, width - len(self._value) - len(note))
        return [[value, (gap, self.rich_style), (note, self.get_component_rich_style("headline--validation"))]]
