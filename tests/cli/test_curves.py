"""The chart of a run, as ``shakegpt runs`` prints it."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from shakegpt.cli.curves import Line, draw_chart, draw_lines
from shakegpt.runs.snapshot import Curve, Point, Snapshot
from shakegpt.runs.store import Store


def snapshot_of(train: dict[int, float], validation: dict[int, float] | None = None) -> Snapshot:
    curves = [Curve(Point(step, 0.0, 0, loss) for step, loss in each.items()) for each in (train, validation or {})]
    return Snapshot(train=curves[0], validation=curves[1])


# The chart


def test_a_falling_loss_falls() -> None:
    chart = draw_chart(snapshot_of({step: 4 - step / 10 for step in range(1, 21)}), width=20, height=5)
    assert chart == [
        " loss  . train loss",
        "3.900 | ...",
        "      |    .....",
        "      |         ....",
        "      |             .....",
        "2.000 |                  ..",
        "      +--------------------",
        "       0            step 20",
    ]


def test_validation_is_marked_over_training() -> None:
    chart = draw_chart(snapshot_of({1: 3.0, 2: 2.0}, {2: 2.0}), width=10, height=3)
    assert "o validation" in chart[0]
    assert chart[3].endswith("o")


@pytest.mark.parametrize(
    "train", [{}, {1: math.nan}, {1: math.inf, 2: -math.inf}], ids=["no step", "not a number", "infinite"]
)
def test_nothing_finite_draws_nothing(train: dict[int, float]) -> None:
    assert draw_chart(snapshot_of(train)) == []


@pytest.mark.parametrize("train", [{1: 2.0}, {5: 2.0, 6: 2.0}, {0: 1.0}, {1: 1e300, 2: 0.0}])
def test_any_curve_fits_the_frame(train: dict[int, float]) -> None:
    chart = draw_chart(snapshot_of(train), width=30, height=6)
    assert len(chart) == 9
    assert all(line.isascii() for line in chart)


def test_a_run_is_summarized_in_plain_text(invoke: Callable[..., Any], store: Store) -> None:
    done = invoke("runs", "show", "macbeth")
    assert done.exit_code == 0
    assert done.stdout.startswith("macbeth: finished, step 30 of 30\n")
    for part in ("best      loss", "perplexity", "macbeth@30", "o validation", "step 30"):
        assert part in done.stdout
    assert done.stdout.isascii()
    assert max(map(len, done.stdout.splitlines())) < 80


def test_two_runs_are_summarized_one_after_the_other(invoke: Callable[..., Any], store: Store) -> None:
    import shutil

    shutil.copytree(store.run("macbeth").path, store.runs_folder / "hamlet")
    done = invoke("runs", "show", "macbeth", "hamlet")
    assert [line.split(":")[0] for line in done.stdout.splitlines() if "of 30" in line] == ["macbeth", "hamlet"]
    described = json.loads(invoke("runs", "show", "macbeth", "hamlet", "--json").stdout)
    assert [run["name"] for run in described["runs"]] == ["macbeth", "hamlet"]
    assert json.loads(invoke("runs", "show", "macbeth", "--json").stdout)["name"] == "macbeth"


def test_connected_points_make_a_line_without_gaps() -> None:
    apart, together = (
        draw_lines(
            [Line("a", [(0, 2.0), (50, 1.0), (100, 0.0)], connected=connected)], width=20, height=5, ends=("", "")
        )
        for connected in (False, True)
    )
    assert sum(row.count("a") for row in apart) == 3
    columns = {index for row in together[1:6] for index, character in enumerate(row) if character == "a"}
    assert len(columns) == 20
