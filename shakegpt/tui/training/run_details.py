"""The figures of a run that change slowly or matter less."""

from typing import ClassVar

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.gpu import GpuUsage
from shakegpt.tui import formatting
from shakegpt.tui.formatting import NO_VALUE
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row


class RunDetails(DiffWidget):
    """Labels and values, the ones that matter most first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"details--label"}
    DEFAULT_CSS = """
    RunDetails {
        width: 36;
        & > .details--label { color: $foreground 75%; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="details", classes="pane")
        self.border_title = "Details"
        self._details: dict[str, str] = {}

    def show(self, snapshot: Snapshot, memory_bytes: int | None = None, gpu: GpuUsage | None = None) -> None:
        """Show a run's figures, and the memory that this process takes."""
        self._details = run_details(snapshot, memory_bytes, gpu)
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return one line for each label, its value at the right."""
        style = self.get_component_rich_style("details--label")
        rows: list[Row] = []
        for label, value in self._details.items():
            gap = max(1, width - len(label) - len(value))
            rows.append([(label, style), (" " * gap, self.rich_style), (value, self.rich_style)])
        return rows


def run_details(snapshot: Snapshot, memory_bytes: int | None, gpu: GpuUsage | None) -> dict[str, str]:
    """Return the figures of a run by their labels, formatted."""
    step, best, saved, evaluation = snapshot.step, snapshot.best, snapshot.saved, snapshot.evaluation
    details = {
        "Best validation loss": formatting.decimal(best.val_loss) if best else NO_VALUE,
        "Best at step": formatting.count(best.step) if best else NO_VALUE,
        "Saved at step": f"{formatting.count(saved.step)}{', best' * saved.best}" if saved else NO_VALUE,
        "Speed": f"{formatting.count(step.tokens_per_second)} characters/s" if step else NO_VALUE,
        "Gradient norm": formatting.decimal(step.grad_norm) if step else NO_VALUE,
        "Memory": formatting.size(memory_bytes) if memory_bytes is not None else NO_VALUE,
    }
    if snapshot.inspections and step:  # the heads may have taken the place of its panel
        details["Learning rate"] = formatting.scientific(step.learning_rate)
    if gpu is not None:
        details["GPU memory"] = f"{formatting.size(gpu.used_bytes)} of {formatting.size(gpu.total_bytes)}"
        busy = [] if gpu.busy is None else [f"{gpu.busy:.0%} busy"]
        warmth = [] if gpu.celsius is None else [f"{gpu.celsius}°C"]
        if busy or warmth:
            details["GPU"] = ", ".join(busy + warmth)
    details["Trained for"] = formatting.duration(step.seconds) if step else NO_VALUE
    details["Read"] = f"{formatting.compact(step.tokens)} characters" if step else NO_VALUE
    details["Validation bits/character"] = formatting.decimal(evaluation.bits_per_character) if evaluation else NO_VALUE
    return details
