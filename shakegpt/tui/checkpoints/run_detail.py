"""The chosen run beside the list: its curve, what it wrote and its settings."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Container

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui.chart.curves import LOSS
from shakegpt.tui.checkpoints.run_list import Row
from shakegpt.tui.checkpoints.run_settings import RunSettings
from shakegpt.tui.training.metric_panel import MetricPanel
from shakegpt.tui.training.sample_panel import SamplePanel


class RunDetail(Container):
    """Shows one run, or one of its checkpoints: then the sample of that step is chosen."""

    DEFAULT_CSS: ClassVar[str] = """
    RunDetail {
        & > #loss, & > SamplePanel, & > RunSettings { width: 1fr; height: 1fr; }
        &.-no-log > #loss, &.-no-log > SamplePanel { display: none; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="detail", classes="-no-log")
        self._row: Row | None = None
        self._snapshot: Snapshot | None = None

    def compose(self) -> ComposeResult:
        """Put the curve first."""
        for panel in (MetricPanel(LOSS), SamplePanel(), RunSettings()):
            yield panel.add_class("pane")

    def show(self, row: Row | None, snapshot: Snapshot | None) -> None:
        """Show a row and the log of its run; ``None`` where that is not known, or there is none."""
        self._row, self._snapshot = row, snapshot
        has_log = snapshot is not None and snapshot.started is not None
        appears = has_log and self.has_class("-no-log")
        self.set_class(not has_log, "-no-log")
        self.query_one(RunSettings).show(row, snapshot)
        if row is None or snapshot is None or not has_log:
            return
        if appears:  # the panels have no size yet
            self.call_after_refresh(self._show_log, row, snapshot)
        else:
            self._show_log(row, snapshot)

    def _show_log(self, row: Row, snapshot: Snapshot) -> None:
        curve, sample = self.query_one(MetricPanel), self.query_one(SamplePanel)
        best = ", its best run" if row.sweep is not None else ""
        curve.border_title = f"Loss of {escape_line(row.run.title)}{best}"
        curve.show(snapshot)
        sample.show(snapshot)
        sample.select(_sample_index(row, snapshot))

    @property
    def shown(self) -> Row | None:
        """The row on show."""
        return self._row

    @property
    def snapshot(self) -> Snapshot | None:
        """The run on show, as far as its log was read."""
        return self._snapshot

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(lambda: self.show(self._row, self._snapshot))


def _sample_index(row: Row, snapshot: Snapshot) -> int:
    """Return the index of the newest sample, or of the newest up to the step of a checkpoint."""
    samples = snapshot.samples
    if row.checkpoint is None:
        return len(samples) - 1
    step = row.checkpoint.info.step
    return max((index for index, sample in enumerate(samples) if sample.step <= step), default=0)
