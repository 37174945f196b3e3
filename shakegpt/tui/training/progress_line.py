"""How far a run has come."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.tui import formatting
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_DONE, _TO_DO = "━", "·"


class ProgressBar(DiffWidget):
    """The share of the steps that are done, drawn as a line."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"progress-bar--done", "progress-bar--to-do"}
    DEFAULT_CSS = """
    ProgressBar {
        width: 1fr;
        height: 1;
        & > .progress-bar--done { color: $primary; }
        & > .progress-bar--to-do { color: $border-blurred; }
    }
    """
    share = 0.0

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line."""
        done, style = int(self.share * width), self.get_component_rich_style
        return [
            [
                (_DONE * done, style("progress-bar--done")),
                (_TO_DO * (width - done), style("progress-bar--to-do")),
            ]
        ]


class ProgressFigures(DiffWidget):
    """The step of the steps, the share, and the time left."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"progress-figures--step", "progress-figures--note"}
    DEFAULT_CSS = """
    ProgressFigures {
        height: 1;
        margin-left: 2;
        & > .progress-figures--step { text-style: bold; }
        & > .progress-figures--note { color: $foreground 65%; }
    }
    """
    step = ""
    note = ""

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line."""
        style = self.get_component_rich_style
        return [[(self.step, style("progress-figures--step")), (self.note, style("progress-figures--note"))]]


class ProgressLine(Horizontal):
    """A bar and its figures in one line: two widgets, because the figures change far more often than the bar."""

    DEFAULT_CSS = "ProgressLine { height: 1; }"

    def __init__(self) -> None:
        super().__init__(id="progress-line")

    def compose(self) -> ComposeResult:
        """Let the bar take what the figures leave."""
        yield ProgressBar()
        yield ProgressFigures()

    def show(self, snapshot: Snapshot) -> None:
        """Show how far a run has come."""
        bar, figures_ = self.query_one(ProgressBar), self.query_one(ProgressFigures)
        bar.share = min(1.0, snapshot.current_step / snapshot.steps) if snapshot.steps else 0.0
        steps = formatting.count(snapshot.steps)
        figures_.step = f"{formatting.count(snapshot.current_step):>{len(steps)}} / {steps}" if snapshot.steps else ""
        figures_.note = f"{int(100 * bar.share):>4} %{_time(snapshot):>15}" if snapshot.steps else ""
        figures_.styles.width = len(figures_.step) + len(figures_.note)
        bar.redraw()
        figures_.redraw()


def _time(snapshot: Snapshot) -> str:
    if snapshot.state in ENDED:
        return f"{formatting.duration(snapshot.step.seconds)} in all" if snapshot.step else ""
    return f"{formatting.duration(snapshot.seconds_left)} left"
