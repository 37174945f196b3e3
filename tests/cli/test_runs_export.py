"""``shakegpt runs export``."""

import json
import shutil
from pathlib import Path

import pytest

from shakegpt.export.tables import columns
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, objects, one_sentence


@pytest.fixture
def three_runs(store: Store, macbeth: Run) -> Store:
    for name in ("lr-01", "lr-02"):
        shutil.copytree(macbeth.path, store.runs_folder / name)
    return store


@pytest.mark.parametrize(
    "arguments",
    [["macbeth"], ["macbeth", "--csv"], ["--csv", "macbeth"], ["macbeth", "--csv", "-"], ["--csv=-", "macbeth"]],
    ids=" ".join,
)
def test_a_run_is_printed_as_csv(store: Store, invoke: Invoke, arguments: list[str]) -> None:
    done = invoke("runs", "export", *arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == ",".join(columns())
    assert len(done.stdout.splitlines()) == 31


def test_events_are_printed_as_they_are_logged(three_runs: Store, invoke: Invoke) -> None:
    events = objects(invoke("runs", "export", "macbeth", "lr-01", "--json").stdout)
    logged = objects(three_runs.run("macbeth").metrics_path.read_text())
    assert events == [{**event, "run": run} for run in ("macbeth", "lr-01") for event in logged]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["lr-02", "macbeth"], ["lr-02", "macbeth"]),
        (["lr-*"], ["lr-01", "lr-02"]),
        (["lr", "macbeth"], ["lr-01", "lr-02", "macbeth"]),  # a sweep
        (["lr-02", "lr-0?", "*"], ["lr-02", "lr-01", "macbeth"]),
    ],
)
def test_many_runs_are_one_table(three_runs: Store, invoke: Invoke, names: list[str], expected: list[str]) -> None:
    rows = objects(invoke("runs", "export", *names, "--jsonl").stdout)
    assert list(dict.fromkeys(row["run"] for row in rows)) == expected
    assert len(rows) == 30 * len(expected)


def test_a_table_is_written_to_a_file(three_runs: Store, invoke: Invoke, tmp_path: Path) -> None:
    for kind in ("csv", "jsonl"):
        path = tmp_path / f"runs.{kind}"
        done = invoke("runs", "export", "lr-01", "macbeth", f"--{kind}", str(path))
        assert done.stdout == f"{path}\n"
        assert path.read_text() == invoke("runs", "export", "lr-01", "macbeth", f"--{kind}").stdout
    assert json.loads(path.read_text().splitlines()[0])["run"] == "lr-01"


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["macbeth", "--csv", "--json"], 2, "choose one"),
        (["macbeth", "--csv", "a.csv", "--jsonl", "a.jsonl"], 2, "choose one"),
        ([], 2, "Which run?"),
        (["zz*"], 1, "No run's name is like zz*"),
        (["nobody"], 1, "There is no run nobody"),
        (["macbeth", "--parquet", "-"], 2, "name a FILE"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    store: Store, invoke: Invoke, arguments: list[str], code: int, part: str
) -> None:
    assert part in one_sentence(invoke("runs", "export", *arguments), code)


def test_a_damaged_run_is_an_error_before_anything_is_printed(three_runs: Store, invoke: Invoke) -> None:
    (three_runs.runs_folder / "lr-02" / "run.json").write_text("{")
    assert "lr-02 is damaged" in one_sentence(invoke("runs", "export", "lr-01", "lr-02"), 1)
