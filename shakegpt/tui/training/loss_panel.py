"""The loss of a run beside what tables of characters reach on the same text."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import work

from shakegpt.runs.snapshot import Snapshot
from shakegpt.runs.store import Store
from shakegpt.tui.chart.curves import LOSS, levels_of
from shakegpt.tui.training.metric_panel import MetricPanel
from shakegpt.tui.widgets.area_chart import Level

if TYPE_CHECKING:
    from shakegpt.evaluation.ngrams import TableLosses


class LossPanel(MetricPanel):
    """The loss, with a line for each table, and in the border what the newest validation loss has beaten.

    Args:
        store: where the runs are whose texts are counted.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(LOSS)
        self._store = store
        self._run: str | None = None
        self._snapshot: Snapshot | None = None
        self.tables: TableLosses | None = None
        """What tables reach on the run's text; ``None`` while that is not known, or where the text is not here."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the value and the curve; of a new run, look for the tables."""
        self._snapshot = snapshot
        run = snapshot.started.run if snapshot.started else None
        if run != self._run:
            self._run, self.tables = run, None
            if run is not None:
                self._count(run)
        super().show(snapshot)

    def show_value(self, snapshot: Snapshot) -> None:
        """Show the value, and what it has beaten."""
        super().show_value(snapshot)
        loss = snapshot.validation[-1].loss if len(snapshot.validation) else None
        sentences = reached(loss, self.tables) if loss is not None and self.tables is not None else ("",)
        room = self.outer_size.width - 6
        self.border_subtitle = next((text for text in sentences if len(text) <= room), "")

    def levels(self) -> Sequence[Level]:
        """Return a line for each table."""
        return levels_of(self.tables, self.quantity) if self.tables is not None else ()

    @work(thread=True, group="tables", exclusive=True, exit_on_error=False)
    def _count(self, run: str) -> None:
        from shakegpt.evaluation.ngrams import tables_of_run

        tables = tables_of_run(self._store, run)
        self.app.call_from_thread(self._show_tables, run, tables)

    def _show_tables(self, run: str, tables: "TableLosses | None") -> None:
        if run == self._run and tables is not None:
            self.tables = tables
            if self._snapshot is not None:
                self.show(self._snapshot)


def reached(loss: float, tables: "TableLosses") -> Sequence[str]:
    """Return what a validation loss has beaten, in a sentence and in fewer words."""
    beaten = tables.beaten(loss) if math.isfinite(loss) else 0
    if beaten == len(tables.losses):
        return ("beats every table",)
    if not beaten:
        return ("not yet better than any table", "beats no table yet")
    characters = f"{beaten} character{'s' if beaten > 1 else ''}"
    return (f"better than a table of {characters}", f"beats a table of {characters}", f"beats a table of {beaten}")
