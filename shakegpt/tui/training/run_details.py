"""The figures of a run that change slowly or matter less."""

from typing import ClassVar

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.memory import GpuUsage
from shakegpt.tui import formatting
from shakegpt.tui.formatting import NO_VALUE
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row


class RunDetails(DiffWidget):
    """Labels and values, the ones that matter most first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"details--label"}
    DEFAULT_CSS = """
    RunDetails {
        width: 34;
        & > .details--label { color: $foreground 60%; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="details")
        self.border_title = "Details"
        self._details: dict[str, str] = {}

    def show(self, snapshot: Snapshot, memory_bytes: int | None = None, gpu: GpuUsage | None = None) -> None:
        """Show a run's figures, and the memory that this process takes."""
        self._details = run_details(snapshot, memory_bytes, gpu)
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return one line for each label."""
        style = self.get_component_rich_style("details--label")
        return [[(f"{label:<10}", style), (value, self.rich_style)] for label, value in self._details.items()]


def run_details(snapshot: Snapshot, memory_bytes: int | None, gpu: GpuUsage | None) -> dict[str, str]:
    """Return the figures of a run by their labels, formatted."""
    step, best, saved, evaluation = snapshot.step, snapshot.best, snapshot.saved, snapshot.evaluation
    details = {
        "Best": f"{formatting.decimal(best.val_loss)} at {formatting.count(best.step)}" if best else NO_VALUE,
        "Saved": f"step {formatting.count(saved.step)}{', best' * saved.best}" if saved else NO_VALUE,
        "Speed": f"{formatting.count(step.tokens_per_second)} tokens/s" if step else NO_VALUE,
        "Gradient": formatting.decimal(step.grad_norm) if step else NO_VALUE,
        "Memory": formatting.size(memory_bytes) if memory_bytes is not None else NO_VALUE,
    }
    if gpu is not None:
        busy = "" if gpu.busy is None else f", {gpu.busy:.0%} busy"
        details["GPU"] = f"{formatting.size(gpu.used_bytes)} of {formatting.size(gpu.total_bytes)}{busy}"
    details["Trained"] = formatting.duration(step.seconds) if step else NO_VALUE
    details["Read"] = f"{formatting.compact(step.tokens)} tokens" if step else NO_VALUE
    details["Bits/char"] = formatting.decimal(evaluation.bits_per_character) if evaluation else NO_VALUE
    return details
