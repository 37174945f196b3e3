"""One quantity of a run: its value now, and how it came there."""

import math
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from shakegpt.runs.downsampling import Downsampler
from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui.chart.curves import Quantity
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row
from shakegpt.tui.widgets.sparkline import MARK, Sparkline


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


class MetricPanel(Vertical, can_focus=True):
    """The value of a quantity above its trend; Enter asks for the full chart."""

    DEFAULT_CSS = """
    MetricPanel {
        width: 1fr;
        border: round $border-blurred;
        border-title-color: $foreground 80%;
        padding: 0 1;
        &:focus { border: round $primary; border-title-color: $primary; border-title-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "zoom", "Zoom", id="training.panel.zoom", key_display="⏎", tooltip="Open this panel's full chart"
        ),
    ]

    class Zoomed(Message):
        """The user wants the full chart of a panel."""

        def __init__(self, quantity: Quantity) -> None:
            self.quantity = quantity
            super().__init__()

    def __init__(self, quantity: Quantity) -> None:
        super().__init__(id=quantity.key)
        self.quantity = quantity
        self.border_title = quantity.title
        self._buckets = Downsampler(quantity.of, 0)

    def compose(self) -> ComposeResult:
        """Put the value above the trend."""
        yield MetricValue()
        yield Sparkline(plunges=self.quantity.plunges)

    def show(self, snapshot: Snapshot) -> None:
        """Show where the quantity stands in a run, and how it came there."""
        self.show_value(snapshot)
        quantity, trend = self.quantity, self.query_one(Sparkline)
        if trend.size.width != self._buckets.columns:
            self._buckets = Downsampler(quantity.of, trend.size.width)
        self._buckets.update(snapshot.train, snapshot.steps)
        marks = self._validation_marks(snapshot) if quantity.validated else {}
        trend.show(self._buckets.means, marks)

    def show_value(self, snapshot: Snapshot) -> None:
        """Show where the quantity stands, and leave the trend for later."""
        quantity = self.quantity
        now = quantity.spell(quantity.of(snapshot.train[-1]) if len(snapshot.train) else None)
        validated = quantity.validated and len(snapshot.validation) > 0
        self.query_one(MetricValue).show(now, quantity.spell(quantity.of(snapshot.validation[-1])) if validated else "")

    def action_zoom(self) -> None:
        """Ask for the full chart."""
        self.post_message(self.Zoomed(self.quantity))

    def on_resize(self) -> None:
        """Have as many buckets as the trend has columns now."""
        self._buckets = Downsampler(self.quantity.of, 0)

    def _validation_marks(self, snapshot: Snapshot) -> dict[int, float]:
        """Return the newest finite evaluation of each column."""
        values = (
            (self._buckets.column_of(point.step), self.quantity.of(point)) for point in snapshot.validation.points()
        )
        return {column: value for column, value in values if column is not None and math.isfinite(value)}
