"""How many of a run's steps are done, and how long the rest takes."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Horizontal

from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.tui import formatting
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_DONE, _TO_DO = "━", "·"


class ProgressBar(DiffWidget):
    """The share of the steps that are done, as a line."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"progress-bar--done", "progress-bar--to-do"}
    DEFAULT_CSS = """
    ProgressBar {
        width: 1fr;
        height: 1;
        & > .progress-bar--done { color: $primary; }
        & > .progress-bar--to-do { color: $border-blurred; }
    }
    """
    share_done = 0.0

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line."""
        done, style = int(self.share_done * width), self.get_component_rich_style
        return [
            [
                (_DONE * done, style("progress-bar--done")),
                (_TO_DO * (width - done), style("progress-bar--to-do")),
            ]
        ]


class ProgressText(DiffWidget):
    """The current step, and after it the share done and the time left."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"progress-text--step", "progress-text--rest"}
    DEFAULT_CSS = """
    ProgressText {
        height: 1;
        margin-left: 2;
        & > .progress-text--step { text-style: bold; }
        & > .progress-text--rest { color: $foreground 65%; }
    }
    """
    step = ""
    rest = ""

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line."""
        style = self.get_component_rich_style
        return [[(self.step, style("progress-text--step")), (self.rest, style("progress-text--rest"))]]


class ProgressLine(Horizontal):
    """A bar and a text in one line: two widgets, because the text changes far more often than the bar."""

    DEFAULT_CSS = "ProgressLine { height: 1; }"

    def __init__(self) -> None:
        super().__init__(id="progress-line")

    def compose(self) -> ComposeResult:
        """Put the bar left of the text."""
        yield ProgressBar()
        yield ProgressText()

    def show(self, snapshot: Snapshot) -> None:
        """Show the progress of a run."""
        bar, text = self.query_one(ProgressBar), self.query_one(ProgressText)
        bar.share_done = min(1.0, snapshot.current_step / snapshot.steps) if snapshot.steps else 0.0
        steps = formatting.count(snapshot.steps)
        text.step = f"{formatting.count(snapshot.current_step):>{len(steps)}} / {steps}" if snapshot.steps else ""
        text.rest = f"{int(100 * bar.share_done):>4} %{_time(snapshot):>15}" if snapshot.steps else ""
        text.styles.width = len(text.step) + len(text.rest)
        bar.redraw()
        text.redraw()


def _time(snapshot: Snapshot) -> str:
    if snapshot.state in ENDED:
        return f"{formatting.duration(snapshot.step.seconds)} in all" if snapshot.step else ""
    return f"{formatting.duration(snapshot.seconds_left)} left"
