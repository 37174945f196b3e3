import math
from collections.abc import Callable

import pytest

from shakegpt.evaluation.ngrams import TableLosses
from shakegpt.runs.snapshot import Snapshot
from shakegpt.runs.store import Store
from shakegpt.tui.chart.chart_screen import ChartScreen
from shakegpt.tui.training.loss_panel import LossPanel, reached
from tests.tui.training_app import TrainingApp

TABLES = TableLosses(losses=(3.348, 2.492, 1.987, 1.685, 1.557, 1.573), uniform=4.174)


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        (4.2, "not yet better than any table"),
        (math.nan, "not yet better than any table"),
        (3.0, "better than a table of 1 character"),
        (1.7, "better than a table of 3 characters"),
        (1.56, "better than a table of 4 characters"),
        (1.44, "beats every table"),
    ],
)
def test_what_a_loss_has_reached(loss: float, sentence: str) -> None:
    assert reached(loss, TABLES)[0] == sentence


async def test_the_loss_is_compared_with_tables_of_the_runs_text(
    store: Store, snapshots: Callable[[str], Snapshot]
) -> None:
    app = TrainingApp(snapshots("training"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        panel = app.training_screen.query_one(LossPanel)
        assert panel.tables is not None
        assert panel.border_subtitle == "beats a table of 2 characters"
        await pilot.press("z")
        await pilot.pause()
        assert isinstance(app.screen, ChartScreen)
        assert app.screen.runs[0].tables is panel.tables
