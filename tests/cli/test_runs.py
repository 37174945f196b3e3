"""``shakegpt runs``."""

import re

import pytest

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, objects, one_sentence


def test_runs_list_json(store: Store, invoke: Invoke) -> None:
    (result,) = objects(invoke("runs", "list", "--json").stdout)
    (row,) = result["runs"]
    assert list(row) == [
        "name", "status", "step", "steps", "best_val_loss", "checkpoints", "corpus", "created", "bytes",
    ]  # fmt: skip
    assert (row["name"], row["status"], row["step"], row["steps"], row["corpus"]) == (
        "macbeth",
        "finished",
        30,
        30,
        "demo",
    )


def test_runs_list_for_people(store: Store, invoke: Invoke) -> None:
    assert re.search(r"macbeth +finished +30/30 ", invoke("runs", "list").stdout)


def test_an_empty_store_says_how_to_begin(invoke: Invoke) -> None:
    done = invoke("runs", "list")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "shakegpt train" in done.stderr
    assert objects(invoke("runs", "list", "--json").stdout) == [{"runs": []}]


def test_runs_show(store: Store, invoke: Invoke) -> None:
    done = invoke("runs", "show", "macbeth")
    assert done.exit_code == 0
    assert re.search(r"macbeth@30 .* last", done.stdout)
    assert "best" in done.stdout
    (result,) = objects(invoke("runs", "show", "macbeth", "--json").stdout)
    assert result["record"]["corpus"] == "demo"
    assert [checkpoint["step"] for checkpoint in result["checkpoint_list"]][-1] == 30


def test_runs_path(store: Store, macbeth: Run, invoke: Invoke) -> None:
    assert invoke("runs", "path", "macbeth").stdout == f"{macbeth.path}\n"
    assert invoke("runs", "path", "macbeth@30").stdout == f"{macbeth.checkpoint_path(30)}\n"
    assert invoke("runs", "path", "last").stdout == f"{macbeth.checkpoint_path(30)}\n"


def test_runs_remove_asks_or_needs_yes(store: Store, macbeth: Run, invoke: Invoke) -> None:
    assert "--yes" in one_sentence(invoke("runs", "remove", "macbeth"), 2)
    assert macbeth.path.exists()
    with macbeth.lock():
        one_sentence(invoke("runs", "remove", "macbeth", "--yes"), 1)
    assert invoke("runs", "remove", "macbeth", "--yes").exit_code == 0
    assert not macbeth.path.exists()


def test_runs_rename(store: Store, macbeth: Run, invoke: Invoke) -> None:
    assert "There is a run macbeth already" in one_sentence(invoke("runs", "rename", "macbeth", "macbeth"), 1)
    assert "cannot be called last" in one_sentence(invoke("runs", "rename", "macbeth", "last"), 2)
    with macbeth.lock():
        one_sentence(invoke("runs", "rename", "macbeth", "hamlet"), 1)
    assert invoke("runs", "rename", "macbeth", "hamlet").exit_code == 0
    assert [run.name for run in store.runs()] == ["hamlet"]
    assert store.find("hamlet").step == 30


@pytest.mark.parametrize("arguments", [["show", "nobody"], ["remove", "nobody", "--yes"], ["path", "nobody"]])
def test_a_missing_run_is_an_error(store: Store, invoke: Invoke, arguments: list[str]) -> None:
    assert "There is no run nobody; the runs here are macbeth." in one_sentence(invoke("runs", *arguments), 1)
