"""The steps of runs as a table: what is in a row, and the three files it is written to."""

import csv
import io
import json
import math
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from shakegpt.config import TrainingConfig
from shakegpt.errors import ShakegptError
from shakegpt.events import Evaluation, Event, Started, Step
from shakegpt.export.tables import Format, columns, rows_of, save_table, step_rows, write_table
from shakegpt.runs.run import Run
from shakegpt.runs.run_settings import setting_types, settings_of
from tests.conftest import TrainNano


def text_of(runs: list[Run], kind: Format) -> str:
    file = io.BytesIO()
    write_table(runs, file, kind)
    return file.getvalue().decode()


@pytest.fixture
def events(macbeth: Run) -> list[Event]:
    return list(macbeth.log.events())


def test_a_row_has_the_numbers_of_a_step(macbeth: Run, events: list[Event]) -> None:
    rows = list(csv.DictReader(io.StringIO(text_of([macbeth], "csv"))))
    steps = [event for event in events if isinstance(event, Step)]
    evaluations = {event.step: event for event in events if isinstance(event, Evaluation)}
    assert [int(row["step"]) for row in rows] == [event.step for event in steps] == list(range(1, 31))
    for row, event in zip(rows, steps, strict=True):
        assert float(row["loss"]) == event.loss
        assert float(row["learning_rate"]) == event.learning_rate
        assert float(row["grad_norm"]) == event.grad_norm
        if event.step in evaluations:
            assert float(row["val_loss"]) == evaluations[event.step].val_loss
        else:
            assert row["val_loss"] == ""


def test_a_row_has_the_name_and_the_settings_of_its_run(macbeth: Run) -> None:
    row = rows_of(macbeth)[-1]
    training, model = macbeth.metadata.training, macbeth.metadata.model
    assert (row["run"], row["preset"], row["corpus"], row["precision"]) == ("macbeth", "nano", "demo", "fp32")
    assert (row["steps"], row["seed"], row["d_model"]) == (training.steps, training.seed, model.d_model)
    assert row["peak_learning_rate"] == training.learning_rate
    assert row["learning_rate"] < training.learning_rate  # that of the step, which has its own column
    assert set(row) <= set(columns())


def test_every_setting_has_its_type(macbeth: Run) -> None:
    settings = settings_of(macbeth.metadata)
    assert list(settings) == list(setting_types())
    for name, kind in setting_types().items():
        assert kind in (str, int, float, bool)
        assert settings[name] is None or isinstance(settings[name], kind)
    left_out = {field.name for field in fields(TrainingConfig)} - set(settings)
    assert left_out == {"save_every", "save_seconds", "keep", "sample_prompt", "sample_length", "device", "precision"}


def test_repeated_steps_are_there_once(events: list[Event]) -> None:
    started = next(event for event in events if isinstance(event, Started))
    again = [replace(event, loss=9.0) for event in events if isinstance(event, Step) and event.step > 20]
    for resumed in ([replace(started, step=20)], []):
        rows = step_rows([*events, *resumed, *again])
        assert [row["step"] for row in rows] == list(range(1, 31))
        assert [row["loss"] for row in rows[20:]] == [9.0] * 10
        assert "val_loss" not in rows[-1]  # the evaluation of the step as it was before


def test_a_resumed_run_says_what_each_of_its_steps_was_taken_on(events: list[Event]) -> None:
    started = next(event for event in events if isinstance(event, Started))
    again = [event for event in events if isinstance(event, Step) and event.step > 20]
    rows = step_rows([*events, replace(started, step=20, precision="bf16"), *again])
    assert [row["precision"] for row in rows] == ["fp32"] * 20 + ["bf16"] * 10


def test_numbers_that_are_not_finite_are_missing(events: list[Event]) -> None:
    rows = step_rows(replace(event, loss=math.nan) for event in events if isinstance(event, Step))
    assert rows
    assert not [row for row in rows if "loss" in row]


def test_json_lines_have_every_column(macbeth: Run) -> None:
    rows = [json.loads(line) for line in text_of([macbeth], "jsonl").splitlines()]
    assert [list(row) for row in rows] == [list(columns())] * 30
    assert [{name: cell for name, cell in row.items() if cell is not None} for row in rows] == [
        {name: cell for name, cell in row.items() if cell is not None} for row in rows_of(macbeth)
    ]


def test_parquet_reads_back_as_the_same_rows(macbeth: Run, train_nano: TrainNano, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    hamlet, _ = train_nano(run_name="hamlet", steps=2, eval_every=1)
    save_table([macbeth, hamlet], tmp_path / "runs.parquet", "parquet")
    found = parquet.read_table(tmp_path / "runs.parquet")
    assert found.column_names == list(columns())
    assert {str(found.schema.field(name).type) for name in ("step", "loss", "run")} == {"int64", "double", "string"}
    expected = [dict.fromkeys(columns()) | row for run in (macbeth, hamlet) for row in rows_of(run)]
    assert found.to_pylist() == expected
    assert len(expected) == 32


def test_without_pyarrow_the_error_says_what_to_install(
    macbeth: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ShakegptError, match=r"pip install 'shakegpt\[parquet\]'"):
        save_table([macbeth], tmp_path / "runs.parquet", "parquet")
    assert list(tmp_path.glob("*parquet*")) == []


def test_a_failure_leaves_the_file_from_before(macbeth: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Run) -> Any:
        raise ShakegptError("The run is damaged.")

    (tmp_path / "runs.csv").write_text("before")
    monkeypatch.setattr("shakegpt.export.tables.rows_of", fail)
    with pytest.raises(ShakegptError, match="damaged"):
        save_table([macbeth], tmp_path / "runs.csv", "csv")
    assert (tmp_path / "runs.csv").read_text() == "before"
    assert [path.name for path in tmp_path.glob("*runs.csv*")] == ["runs.csv"]


def test_a_file_that_cannot_be_written_is_one_error(macbeth: Run, tmp_path: Path) -> None:
    with pytest.raises(ShakegptError, match="cannot be written: No such file or directory"):
        save_table([macbeth], tmp_path / "missing" / "runs.csv", "csv")
