"""The explanations of a run have its figures in them."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from shakegpt.evaluation.ngrams import TableLosses
from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui.explanations.training import explain_run
from tests.runs.test_overfitting import run_with
from tests.tui.training.test_head_history import inspections

TABLES = TableLosses(losses=(3.348, 2.492, 1.987, 1.685, 1.557, 1.573), uniform=4.174)


@pytest.mark.parametrize(
    ("topic", "figures"),
    [
        ("loss", ["2.008", "13 %", "65", "4.174"]),
        ("tables", ["3.35, 2.49, 1.99, 1.69, 1.56", "2.008", "up to 2"]),
        ("perplexity", ["7.45", "2.90", "65"]),
        ("learning-rate", ["1.7e-3", "240 of 500", "3.0e-3"]),
        ("gradient", ["0.495"]),
        ("speed", ["16 pieces of 64", "1,024", "51,200", "50.0 steps", "246 k"]),
        ("heads", ["Of 4 heads", "1.2", "95 %", "5.0 %", "step 250", "step 50", "256"]),
    ],
)
def test_the_figures_of_the_run_are_in_the_text(
    snapshots: Callable[[str], Snapshot], topic: str, figures: list[str]
) -> None:
    snapshot = replace(snapshots("training"), inspections=inspections())
    (text,) = (one.text for one in explain_run(snapshot, TABLES) if one.topic == topic)
    assert [figure for figure in figures if figure not in text] == []


def test_what_is_not_known_is_not_explained(snapshots: Callable[[str], Snapshot]) -> None:
    assert explain_run(Snapshot()) == []
    assert explain_run(snapshots("fresh")) == []
    topics = {one.topic for one in explain_run(snapshots("training"))}
    assert not topics & {"tables", "heads", "overfitting"}


def test_overfitting_is_explained_where_there_is_some() -> None:
    snapshot = run_with([2.0, 1.8, 1.6, 1.4], [1.7, 1.75, 1.8, 1.9])
    assert explain_run(snapshot)[-1].text.startswith("Overfitting: since step 10")
