"""``shakegpt runs``."""

import errno
import os
import re
import shutil
from pathlib import Path

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, objects, one_sentence


def test_runs_list_json(store: Store, invoke: Invoke) -> None:
    (result,) = objects(invoke("runs", "list", "--json").stdout)
    (row,) = result["runs"]
    assert list(row) == [
        "name", "status", "step", "steps", "best_val_loss", "checkpoints", "corpus", "created", "bytes",
        "note", "tags",
    ]  # fmt: skip
    assert (row["name"], row["status"], row["step"], row["steps"], row["corpus"]) == (
        "macbeth",
        "finished",
        30,
        30,
        "demo",
    )


def test_runs_list_for_people(store: Store, invoke: Invoke) -> None:
    assert re.search(r"macbeth +finished +30 / 30 ", invoke("runs", "list").stdout)


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


@pytest.mark.parametrize(
    ("name", "hint"), [("macbeht", "did you mean macbeth?"), ("zzz", ", and 3 more that `shakegpt runs list` shows.")]
)
def test_a_missing_run_is_answered_with_near_names_or_how_many_there_are(
    macbeth: Run, invoke: Invoke, name: str, hint: str
) -> None:
    for number in range(10):
        shutil.copytree(macbeth.path, macbeth.path.parent / f"other-{number}")
    assert hint in one_sentence(invoke("runs", "show", name), 1)
    assert "did you mean pretrained?" in one_sentence(invoke("generate", "-c", "pretraind"), 1)


def test_the_folder_of_a_run_is_a_reference_to_its_best(
    store: Store, macbeth: Run, invoke: Invoke, tmp_path: Path
) -> None:
    best = store.find("macbeth")
    folder = invoke("runs", "path", "macbeth").stdout.strip()
    assert store.find(folder).reference == store.find(f"{folder}/").reference == best.reference
    assert store.find(f"{folder}@last").reference == "macbeth@30"
    (result,) = objects(invoke("generate", "-c", folder, "-n", "1", "--json").stdout)
    assert result["checkpoint"] == best.reference
    elsewhere = shutil.copytree(macbeth.path, tmp_path / "elsewhere")
    assert store.find(str(elsewhere)).step == best.step


def test_remove_is_called_rm_too(store: Store, macbeth: Run, invoke: Invoke) -> None:
    assert invoke("runs", "rm", "macbeth", "--yes").exit_code == 0
    assert not macbeth.path.exists()


def test_one_block_is_not_called_1_blocks(store: Store, invoke: Invoke) -> None:
    assert "1 block, 4 heads" in invoke("runs", "show", "macbeth").stdout


@pytest.mark.parametrize(("number", "space"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False)])
def test_space_is_asked_for_only_where_it_is_the_matter(
    store: Store, macbeth: Run, number: int, space: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("shakegpt.runs.store.create_run", refuse)
    with pytest.raises(ShakegptError, match=os.strerror(number)) as caught:
        store.create(macbeth.metadata)
    assert ("free some space" in str(caught.value)) is space
