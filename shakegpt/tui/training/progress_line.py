"""How many of a run's steps are done, how long the rest takes, and when the next evaluation comes."""

from typing import ClassVar

from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.tui import formatting
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row


class ProgressLine(DiffWidget):
    """A bar, the current step, the share done and the time left; below it, what comes next."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"progress--done", "progress--to-do", "progress--step", "progress--rest"}
    DEFAULT_CSS = """
    ProgressLine {
        height: 2;
        margin: 0 1;
        &.-one-line { height: 1; }
        & > .progress--done { color: $primary; }
        & > .progress--to-do { color: $foreground 30%; }
        & > .progress--step { text-style: bold; }
        & > .progress--rest { color: $foreground 75%; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="progress-line")
        self._snapshot = Snapshot()

    def show(self, snapshot: Snapshot) -> None:
        """Show the progress of a run."""
        self._snapshot = snapshot
        self.set_class(not what_comes_next(snapshot), "-one-line")
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the lines."""
        current, steps, style = self._snapshot.current_step, self._snapshot.steps, self.get_component_rich_style
        share = min(1.0, current / steps) if steps else 0.0
        total = formatting.count(steps)
        step = f"{formatting.count(current):>{len(total)}} / {total}" if steps else ""
        rest = f"{int(100 * share):>4} %{_time(self._snapshot):>15}" if steps else ""
        bar_width = max(0, width - len(step) - len(rest) - 2)
        done = int(share * bar_width)
        bar: Row = [
            ("━" * done, style("progress--done")),
            ("·" * (bar_width - done), style("progress--to-do")),
            ("  ", self.rich_style),
            (step, style("progress--step")),
            (rest, style("progress--rest")),
        ]
        return [bar, [(what_comes_next(self._snapshot), style("progress--rest"))]]


def what_comes_next(snapshot: Snapshot) -> str:
    """Return when the next sample and evaluation come, such as ``next sample and evaluation in 41 steps, 6s``."""
    step = snapshot.next_evaluation
    if step is None:
        return ""
    steps = step - snapshot.current_step
    if not steps:
        return "Evaluating: the model reads the validation text, then writes a sample."
    seconds = snapshot.seconds_until(step)
    time = f", {formatting.duration(seconds)}" if seconds is not None else ""
    which = "Last" if step == snapshot.steps else "Next"
    return f"{which} sample and evaluation in {formatting.count(steps)} step{'s' * (steps != 1)}{time}"


def _time(snapshot: Snapshot) -> str:
    if snapshot.state in ENDED:
        return f"{formatting.duration(snapshot.step.seconds)} in all" if snapshot.step else ""
    return f"{formatting.duration(snapshot.seconds_left)} left"
