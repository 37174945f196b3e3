"""One quantity of a run: its value now above its curve."""

import math
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from shakegpt.runs.downsampling import Downsampler
from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui.chart.curves import Quantity
from shakegpt.tui.training.sparkline import MARK, Sparkline
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row


class MetricValue(DiffWidget):
    """The newest value of the training, and at the right that of the validation split."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"metric-value--training", "metric-value--validation"}
    DEFAULT_CSS = """
    MetricValue {
        height: 1;
        & > .metric-value--training { color: $foreground; text-style: bold; }
        & > .metric-value--validation { color: $secondary; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._training = ""
        self._validation = ""

    def show(self, training: str, validation: str = "") -> None:
        """Show two values, already formatted; no validation where it is empty."""
        self._training, self._validation = training, validation
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line, without the word "validation" where there is no room for it."""
        training = (self._training, self.get_component_rich_style("metric-value--training"))
        if not self._validation:
            return [[training]]
        validation = f"{MARK} validation {self._validation}"
        if len(self._training) + len(validation) + 2 > width:
            validation = f"{MARK} {self._validation}"
        gap = " " * max(1, width - len(self._training) - len(validation))
        style = self.get_component_rich_style("metric-value--validation")
        return [[training, (gap, self.rich_style), (validation, style)]]


class MetricPanel(Vertical, can_focus=True):
    """The value of a quantity above its curve; Enter opens the full chart."""

    DEFAULT_CSS = """
    MetricPanel { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "zoom",
            "Zoom",
            id="training.panel.zoom",
            key_display="⏎",
            tooltip="Open the full chart",
        ),
    ]

    @dataclass
    class Zoomed(Message):
        """The user wants the full chart of a panel."""

    def __init__(self, quantity: Quantity) -> None:
        super().__init__(id=quantity.key)
        self.quantity = quantity
        self.border_title = quantity.title
        self._downsampler = Downsampler(quantity.value, 0)

    def compose(self) -> ComposeResult:
        """Put the value above the curve."""
        yield MetricValue()
        yield Sparkline(falls_steeply=self.quantity.falls_steeply)

    def show(self, snapshot: Snapshot) -> None:
        """Show the value and the curve."""
        self.show_value(snapshot)
        quantity, sparkline = self.quantity, self.query_one(Sparkline)
        if sparkline.size.width != self._downsampler.columns:
            self._downsampler = Downsampler(quantity.value, sparkline.size.width)
        self._downsampler.update(snapshot.train, snapshot.steps)
        marks = self._validation_marks(snapshot) if quantity.has_validation else {}
        sparkline.show(self._downsampler.means, marks)

    def show_value(self, snapshot: Snapshot) -> None:
        """Show the value, and leave the curve as it is."""
        quantity = self.quantity
        training = quantity.format(quantity.value(snapshot.train[-1]) if len(snapshot.train) else None)
        validation = ""
        if quantity.has_validation and len(snapshot.validation):
            validation = quantity.format(quantity.value(snapshot.validation[-1]))
        self.query_one(MetricValue).show(training, validation)

    def action_zoom(self) -> None:
        """Ask for the full chart."""
        self.post_message(self.Zoomed())

    def _validation_marks(self, snapshot: Snapshot) -> dict[int, float]:
        """Return the newest finite evaluation of each column."""
        marks = {}
        for point in snapshot.validation.points():
            column, value = self._downsampler.column_of(point.step), self.quantity.value(point)
            if column is not None and math.isfinite(value):
                marks[column] = value
        return marks
