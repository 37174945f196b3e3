"""Deleting with a way back: what is in the trash is out of the store, and returns whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from shakegpt.config import PRESETS
from shakegpt.errors import RunBusyError, ShakegptError
from shakegpt.runs.run import Run, RunMetadata
from shakegpt.runs.store import Store
from shakegpt.runs.trash import Trash, empty_abandoned_trash


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "home")
    for name in ("hamlet", "lear"):
        run = store.create(
            RunMetadata(
                preset="nano",
                model=PRESETS["nano"].model_config(65),
                training=PRESETS["nano"].training_config(),
                corpus="demo",
                corpus_sha256="0" * 64,
                created="2026-11-01T20:00:00+00:00",
                versions={},
            ),
            name,
        )
        for step in (100, 200):
            run.checkpoint_path(step).mkdir()
            (run.checkpoint_path(step) / "weights").write_bytes(b"w" * step)
    return store


def names(store: Store) -> set[str]:
    return {run.name for run in store.runs()}


def on_disk(store: Store) -> int:
    """How many folders there are among the runs, the trash included."""
    return len(list(store.runs_folder.iterdir()))


def steps(run: Run) -> list[int]:
    return [step for step, _ in run.checkpoint_folders()]


def test_a_deleted_run_is_out_of_the_store_and_returns_whole(store: Store) -> None:
    trash = Trash(store.runs_folder)
    trash.delete(store.run("hamlet"))
    assert names(store) == {"lear"}
    assert len(trash) == 1
    assert trash.restore() == "hamlet"
    assert names(store) == {"hamlet", "lear"}
    assert (store.run("hamlet").checkpoint_path(200) / "weights").read_bytes() == b"w" * 200


def test_what_was_deleted_last_returns_first(store: Store) -> None:
    trash = Trash(store.runs_folder)
    hamlet = store.run("hamlet")
    trash.delete(hamlet, 100)
    assert steps(hamlet) == [200]
    trash.delete(hamlet)
    assert [trash.restore(), trash.restore()] == ["hamlet", "hamlet@100"]
    assert steps(hamlet) == [100, 200]
    with pytest.raises(ShakegptError, match="nothing to restore"):
        trash.restore()


def test_a_checkpoint_returns_to_its_run_under_the_name_of_now(store: Store) -> None:
    trash = Trash(store.runs_folder)
    hamlet = store.run("hamlet")
    trash.delete(hamlet, 100)
    renamed = hamlet.rename("ophelia")
    trash.follow_rename(hamlet.path, renamed.path)
    assert trash.restore() == "ophelia@100"
    assert steps(renamed) == [100, 200]


def test_a_run_whose_name_is_taken_stays_in_the_trash(store: Store) -> None:
    trash = Trash(store.runs_folder)
    trash.delete(store.run("hamlet"))
    other = store.run("lear").rename("hamlet")
    with pytest.raises(ShakegptError, match="another one of that name"):
        trash.restore()
    other.rename("lear")
    assert trash.restore() == "hamlet"


def test_a_run_in_training_is_not_deleted(store: Store) -> None:
    trash = Trash(store.runs_folder)
    with store.run("hamlet").lock(), pytest.raises(RunBusyError):
        trash.delete(store.run("hamlet"))
    assert names(store) == {"hamlet", "lear"}


def test_emptying_frees_the_disk(store: Store) -> None:
    trash = Trash(store.runs_folder)
    trash.delete(store.run("hamlet"))
    assert on_disk(store) == 2
    trash.empty()
    assert (on_disk(store), names(store)) == (1, {"lear"})
    trash.delete(store.run("lear"))  # it can be used again
    assert trash.restore() == "lear"


def test_the_trash_of_a_living_process_is_left_alone(store: Store) -> None:
    trash = Trash(store.runs_folder)
    trash.delete(store.run("hamlet"))
    empty_abandoned_trash(store.runs_folder)
    assert trash.restore() == "hamlet"


def test_the_trash_of_a_killed_process_is_emptied(store: Store) -> None:
    code = (
        "import os, pathlib; from shakegpt.runs.run import Run; from shakegpt.runs.trash import Trash\n"
        f"trash = Trash(pathlib.Path({str(store.runs_folder)!r}))\n"
        f"trash.delete(Run(pathlib.Path({str(store.run('hamlet').path)!r}))); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert on_disk(store) == 2
    empty_abandoned_trash(store.runs_folder)
    assert (on_disk(store), names(store)) == (1, {"lear"})


def test_a_new_run_empties_the_trash_of_killed_processes(store: Store) -> None:
    (store.runs_folder / ".trash.1.1").mkdir()
    store.create(store.run("hamlet").metadata)
    assert not (store.runs_folder / ".trash.1.1").exists()
