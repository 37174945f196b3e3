"""The steps of any number of runs as one table: comma-separated values, JSON lines or Parquet."""

import csv
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from shakegpt.errors import ShakegptError
from shakegpt.events import Evaluation, Event, Started, Step
from shakegpt.runs.run import Run
from shakegpt.runs.run_settings import setting_types, settings_of

if TYPE_CHECKING:
    from types import ModuleType

Format = Literal["csv", "jsonl", "parquet"]
Row = dict[str, Any]

_STEP_COLUMNS: dict[str, type] = {
    "step": int,
    "seconds": float,
    "tokens": int,
    "loss": float,
    "perplexity": float,
    "learning_rate": float,
    "grad_norm": float,
    "tokens_per_second": float,
}
_OTHER_NAMES = {"learning_rate": "peak_learning_rate"}
"""What a setting is called whose own name is that of a step's number."""
_SESSION_COLUMNS: dict[str, type] = {"device": str, "precision": str, "threads": int}


def columns() -> dict[str, type]:
    """Return the columns of the table in their order, and the type of each; any cell but the first may be empty."""
    evaluation = {"val_loss": float, "val_perplexity": float}
    return {**_STEP_COLUMNS, **evaluation, "run": str, **_SESSION_COLUMNS, **_renamed(setting_types())}


def rows_of(run: Run) -> list[Row]:
    """Return one row for each step of a run, with the run's name and settings; a number that is not finite is missing.

    Of steps that were repeated, after a roll-back or by a resumed run, only the last attempt is there. A fork has the
    steps after its parent's.

    Raises:
        ShakegptError: what the run is cannot be read.
    """
    settings = {"run": run.name, **_renamed(settings_of(run.metadata))}
    return [{**row, **settings} for row in step_rows(run.log.events())]


def step_rows(events: Iterable[Event]) -> list[Row]:
    """Return one row for each step of a log of events, as for ``rows_of``, without the run's name and settings."""
    rows: dict[int, Row] = {}
    session: Row = {}
    for event in events:
        match event:
            case Started():
                session = {name: getattr(event, name) for name in _SESSION_COLUMNS}
                while rows and next(reversed(rows)) > event.step:
                    rows.popitem()
            case Step():
                while rows and next(reversed(rows)) >= event.step:
                    rows.popitem()
                rows[event.step] = _finite({name: getattr(event, name) for name in _STEP_COLUMNS}) | session
            case Evaluation():
                shared = {"step": event.step, "seconds": event.seconds, "tokens": event.tokens, **session}
                row = rows.setdefault(event.step, shared)
                row.update(_finite({"val_loss": event.val_loss, "val_perplexity": event.perplexity}))
    return list(rows.values())


def write_table(runs: Iterable[Run], file: BinaryIO, kind: Format) -> None:
    """Write the table of some runs, one run after the other.

    Raises:
        OSError: the file cannot be written.
        ShakegptError: pyarrow is not installed, or what a run is cannot be read.
    """
    writers: dict[Format, Callable[[Iterator[list[Row]], BinaryIO], None]] = {
        "csv": _write_csv,
        "jsonl": _write_json_lines,
        "parquet": _write_parquet,
    }
    writers[kind]((rows_of(run) for run in runs), file)


def save_table(runs: Iterable[Run], path: Path, kind: Format) -> None:
    """Write the table of some runs to a file, whole or not at all; to a pipe or a device, as it comes.

    Raises:
        ShakegptError: as for ``write_table``, or the file cannot be written.
    """
    try:
        with _new_file(path) as file:
            write_table(runs, file, kind)
    except OSError as error:
        raise ShakegptError(f"{path} cannot be written: {error.strerror}.") from error


def _write_csv(tables: Iterator[list[Row]], file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    try:
        writer = csv.DictWriter(text, list(columns()), restval="", lineterminator="\n")
        writer.writeheader()
        for rows in tables:
            writer.writerows(rows)
    finally:
        text.detach()  # the file is the caller's to close


def _write_json_lines(tables: Iterator[list[Row]], file: BinaryIO) -> None:
    empty = dict.fromkeys(columns())
    for rows in tables:
        for row in rows:
            file.write(json.dumps(empty | row, allow_nan=False).encode() + b"\n")


def _write_parquet(tables: Iterator[list[Row]], file: BinaryIO) -> None:
    arrow, parquet = _import_pyarrow()
    kinds = {int: arrow.int64(), float: arrow.float64(), str: arrow.string(), bool: arrow.bool_()}
    schema = arrow.schema([(name, kinds[kind]) for name, kind in columns().items()])
    with parquet.ParquetWriter(file, schema) as writer:
        for rows in tables:
            if rows:
                writer.write_table(arrow.Table.from_pylist(rows, schema=schema))


def _import_pyarrow() -> "tuple[ModuleType, ModuleType]":
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ShakegptError(
            "Writing Parquet needs pyarrow: pip install 'shakegpt[parquet]'; --csv and --jsonl do without."
        ) from error
    return pyarrow, pyarrow.parquet


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes its place once it is whole; what is no regular file is written to as it is."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path = path.resolve()  # a link stays one
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _renamed(settings: dict[str, Any]) -> dict[str, Any]:
    return {_OTHER_NAMES.get(name, name): value for name, value in settings.items()}


def _finite(values: Row) -> Row:
    return {name: value for name, value in values.items() if math.isfinite(value)}
