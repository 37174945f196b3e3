"""The figures of a run that are read, not watched."""

from textual.app import ComposeResult
from textual.containers import Horizontal

from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui import formatting as figures
from shakegpt.tui.training.memory import GpuUsage
from shakegpt.tui.widgets.diff_widget import Frugal, Row


class FactColumn(Frugal):
    """The names, or the figures: one a line, and in columns of their own so that a new figure leaves its name alone."""

    DEFAULT_CSS = """
    FactColumn {
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


class Facts(Horizontal):
    """Names and figures in two columns, the ones that matter most first."""

    DEFAULT_CSS = """
    Facts {
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
        yield FactColumn(classes="-names")
        yield FactColumn(classes="-figures")

    def show(self, snapshot: Snapshot, memory: int | None = None, gpu: GpuUsage | None = None) -> None:
        """Show a run's figures, and the memory that it takes."""
        names, values = zip(*facts(snapshot, memory, gpu), strict=True)
        self.query_one(".-names", FactColumn).show(list(names))
        self.query_one(".-figures", FactColumn).show(list(values))


def facts(snapshot: Snapshot, memory: int | None, gpu: GpuUsage | None) -> list[tuple[str, str]]:
    """Return what there is to say of a run, as names and spelled figures."""
    step, best, saved = snapshot.step, snapshot.best, snapshot.saved
    lines = [
        ("Best", f"{figures.decimal(best.val_loss)} at {figures.count(best.step)}" if best else figures.NOTHING),
        ("Saved", f"step {figures.count(saved.step)}{', best' * saved.best}" if saved else figures.NOTHING),
        ("Speed", f"{figures.count(step.tokens_per_second)} tokens/s" if step else figures.NOTHING),
        ("Gradient", f"{figures.decimal(step.grad_norm)}" if step else figures.NOTHING),
        ("Memory", figures.size(memory) if memory is not None else figures.NOTHING),
    ]
    if gpu is not None:
        busy = "" if gpu.busy is None else f", {gpu.busy:.0%} busy"
        lines.append(("GPU", f"{figures.size(gpu.used)} of {figures.size(gpu.total)}{busy}"))
    evaluation = snapshot.evaluation
    lines += [
        ("Trained", figures.duration(step.seconds) if step else figures.NOTHING),
        ("Read", f"{figures.magnitude(step.tokens)} tokens" if step else figures.NOTHING),
        ("Bits/char", figures.decimal(evaluation.bits_per_character) if evaluation else figures.NOTHING),
    ]
    return lines
