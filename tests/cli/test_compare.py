"""``shakegpt runs compare``: its table, its verdict, and its JSON."""

from shakegpt.runs.run import Run
from tests.cli.cli_results import Invoke, objects, one_sentence
from tests.conftest import TrainNano


def test_two_runs_beside_each_other(macbeth: Run, train_nano: TrainNano, invoke: Invoke) -> None:
    train_nano(run_name="lear", steps=4, eval_every=2, learning_rate=1e-3)
    text = invoke("runs", "compare", "macbeth", "lear").stdout
    assert "learning_rate 0.003" in text
    assert "learning_rate 0.001" in text
    assert "Cannot tell" in text
    assert max(map(len, text.splitlines())) <= 120
    (result,) = objects(invoke("runs", "compare", "macbeth", "lear", "--reach", "3.6", "--json").stdout)
    assert [run["name"] for run in result["runs"]] == ["macbeth", "lear"]
    assert result["runs"][0]["reached_step"] is not None
    assert result["runs"][1]["reached_step"] is None
    assert [group["verdict"] for group in result["groups"]] == [None, "cannot tell"]
    assert result["reach"] == 3.6


def test_the_runs_of_a_printed_sweep_are_found_by_their_names(macbeth: Run, invoke: Invoke) -> None:
    macbeth.rename("scots-01")
    (result,) = objects(invoke("runs", "compare", "scots", "--json").stdout)
    assert [run["name"] for run in result["runs"]] == ["scots-01"]


def test_what_is_neither_a_run_nor_a_sweep_is_an_error(macbeth: Run, invoke: Invoke) -> None:
    assert "There is no run mcbeth; did you mean macbeth?" in one_sentence(invoke("runs", "compare", "mcbeth"), 1)
