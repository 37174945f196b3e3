"""The figures of a run that are read, not watched."""

from textual.app import ComposeResult
from textual.containers import Horizontal

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.memory import GpuUsage
from shakegpt.tui import formatting
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row


class DetailColumn(DiffWidget):
    """The names, or the figures: one a line, and in columns of their own so that a new figure leaves its name alone."""

    DEFAULT_CSS = """
    DetailColumn {
        width: 1fr;
        &.-names { width: 10; color: $foreground 60%; }
    }
    """

    def __init__(self, *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._lines: list[str] = []

    def show(self, lines: list[str]) -> None:
        """Show these lines."""
        self._lines = lines
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the lines as they are."""
        return [[(line, self.rich_style)] for line in self._lines]


class RunDetails(Horizontal):
    """Names and figures in two columns, the ones that matter most first."""

    DEFAULT_CSS = """
    RunDetails {
        width: 34;
        border: round $border-blurred;
        border-title-color: $foreground 80%;
        padding: 0 1;
    }
    """

    def __init__(self) -> None:
        super().__init__(id="facts")
        self.border_title = "Vital signs"

    def compose(self) -> ComposeResult:
        """Put the names left of the figures."""
        yield DetailColumn(classes="-names")
        yield DetailColumn(classes="-figures")

    def show(self, snapshot: Snapshot, memory: int | None = None, gpu: GpuUsage | None = None) -> None:
        """Show a run's figures, and the memory that it takes."""
        names, values = zip(*facts(snapshot, memory, gpu), strict=True)
        self.query_one(".-names", DetailColumn).show(list(names))
        self.query_one(".-figures", DetailColumn).show(list(values))


def facts(snapshot: Snapshot, memory: int | None, gpu: GpuUsage | None) -> list[tuple[str, str]]:
    """Return what there is to say of a run, as names and spelled figures."""
    step, best, saved = snapshot.step, snapshot.best, snapshot.saved
    lines = [
        (
            "Best",
            f"{formatting.decimal(best.val_loss)} at {formatting.count(best.step)}" if best else formatting.NOTHING,
        ),
        ("Saved", f"step {formatting.count(saved.step)}{', best' * saved.best}" if saved else formatting.NOTHING),
        ("Speed", f"{formatting.count(step.tokens_per_second)} tokens/s" if step else formatting.NOTHING),
        ("Gradient", f"{formatting.decimal(step.grad_norm)}" if step else formatting.NOTHING),
        ("Memory", formatting.size(memory) if memory is not None else formatting.NOTHING),
    ]
    if gpu is not None:
        busy = "" if gpu.busy is None else f", {gpu.busy:.0%} busy"
        lines.append(("GPU", f"{formatting.size(gpu.used_bytes)} of {formatting.size(gpu.total_bytes)}{busy}"))
    evaluation = snapshot.evaluation
    lines += [
        ("Trained", formatting.duration(step.seconds) if step else formatting.NOTHING),
        ("Read", f"{formatting.magnitude(step.tokens)} tokens" if step else formatting.NOTHING),
        ("Bits/char", formatting.decimal(evaluation.bits_per_character) if evaluation else formatting.NOTHING),
    ]
    return lines
