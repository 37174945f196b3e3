"""One quantity of a run: its value now above its curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from shakegpt.runs.downsampling import Downsampler
from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui.chart.curves import Quantity
from shakegpt.tui.widgets.area_chart import MARK, AreaChart, Level
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_VALUES_IN_A_ROW = 31
"""The width of the two values beside each other."""
_LEAST_HEIGHT_OF_TWO_ROWS = 6
_FINE_COLUMNS = 512
"""The curve is kept finer than any chart is wide, and stretched to the width when it is drawn."""


class MetricValue(DiffWidget):
    """The newest value of the training, and that of the validation split beside it or below."""

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

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the values in two rows, or in one, then without the word "validation" where there is no room."""
        training = (self._training, self.get_component_rich_style("metric-value--training"))
        if not self._validation:
            return [[training]]
        style = self.get_component_rich_style("metric-value--validation")
        validation = f"{MARK} validation {self._validation}"
        if height > 1:
            validation = validation if len(validation) <= width else f"{MARK} {self._validation}"
            return [[training], [(validation, style)]]
        if len(self._training) + len(validation) + 2 > width:
            validation = f"{MARK} {self._validation}"
        gap = " " * max(1, width - len(self._training) - len(validation))
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
            "Chart",
            id="training.panel.zoom",
            key_display="⏎",
            tooltip="Open the full chart",
        ),
    ]

    @dataclass
    class Zoomed(Message):
        """The user wants the full chart of a panel."""

    def __init__(self, quantity: Quantity) -> None:
        super().__init__(id=quantity.key, classes="pane")
        self.quantity = quantity
        self.border_title = quantity.title
        self._downsampler = Downsampler(quantity.value, _FINE_COLUMNS)

    def compose(self) -> ComposeResult:
        """Put the value above the curve."""
        yield MetricValue()
        yield AreaChart(self.quantity.axis)

    def on_resize(self) -> None:
        """Put the two values below each other where they do not fit beside each other."""
        width, height = self.content_size
        narrow = self.quantity.has_validation and width < _VALUES_IN_A_ROW and height >= _LEAST_HEIGHT_OF_TWO_ROWS
        self.query_one(MetricValue).styles.height = 2 if narrow else 1

    def show(self, snapshot: Snapshot) -> None:
        """Show the value and the curve."""
        self.show_value(snapshot)
        curve = snapshot.train
        self._downsampler.update(curve)
        steps = (curve[0].step, curve[-1].step) if len(curve) else (0, 0)
        marks = self._validation_marks(snapshot) if self.quantity.has_validation else []
        self.query_one(AreaChart).show(self._downsampler.means, steps, marks, self.levels())

    def levels(self) -> Sequence[Level]:
        """Return what the curve is compared with: nothing."""
        return ()

    def show_value(self, snapshot: Snapshot) -> None:
        """Show the value, and leave the curve as it is."""
        quantity = self.quantity
        training = quantity.format(quantity.value(snapshot.train[-1]) if len(snapshot.train) else None)
        validation = ""
        if quantity.has_validation:
            training = f"train {training}"
            if len(snapshot.validation):
                validation = quantity.format(quantity.value(snapshot.validation[-1]))
        self.query_one(MetricValue).show(training, validation)

    def action_zoom(self) -> None:
        """Ask for the full chart."""
        self.post_message(self.Zoomed())

    def _validation_marks(self, snapshot: Snapshot) -> list[tuple[int, float]]:
        """Return the steps of the finite evaluations, and their values."""
        values = [(point.step, self.quantity.value(point)) for point in snapshot.validation.points()]
        return [(step, value) for step, value in values if math.isfinite(value)]
