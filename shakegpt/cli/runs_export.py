"""``shakegpt runs export``: the numbers of runs for other programs."""

import sys
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.help import Command
from shakegpt.cli.options import complete_runs_and_sweeps
from shakegpt.cli.output import print_json
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.system.text import escape_line

if TYPE_CHECKING:
    from shakegpt.export.tables import Format
    from shakegpt.runs.run import Run
    from shakegpt.runs.store import Store

_STANDARD_OUTPUT = "-"
_WITH_FILE = ("--csv", "--jsonl")
_PATTERN_CHARACTERS = frozenset("*?[")


class ExportCommand(Command):
    """The command, whose ``--csv`` and ``--jsonl`` need no value: without one they mean standard output."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with ``-`` for a file that was left out."""
        complete = []
        for argument, next_one in pairwise([*args, "--"]):
            complete.append(argument)
            if argument in _WITH_FILE and next_one.startswith("-") and next_one != _STANDARD_OUTPUT:
                complete.append(_STANDARD_OUTPUT)
        return super().parse_args(ctx, complete)


def export(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN...",
            help="Runs, or sweeps for all their runs; 'verse-*' means all whose names begin so.",
            autocompletion=complete_runs_and_sweeps,
        ),
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option("--csv", metavar="FILE", help="Comma-separated values; by default, to standard output."),
    ] = None,
    jsonl: Annotated[
        str | None, typer.Option("--jsonl", metavar="FILE", help="The same rows as JSON objects, one a line.")
    ] = None,
    parquet: Annotated[
        Path | None, typer.Option("--parquet", metavar="FILE", help="The same rows as a Parquet file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per event, as in metrics.jsonl.")] = False,
) -> None:
    """Export the numbers of runs for a spreadsheet, a notebook or a database.

    A table has one row for each step of each run, with the run's name and settings. Without a FILE, or with `-`, it is
    printed.
    """
    from shakegpt.runs.store import Store

    files: dict[Format, str | None] = {
        "csv": csv,
        "jsonl": jsonl,
        "parquet": None if parquet is None else str(parquet),
    }
    asked = [(kind, file) for kind, file in files.items() if file is not None]
    if len(asked) + json > 1:
        raise UsageError("Runs are exported as --csv, --jsonl, --parquet or --json; choose one.")
    kind, file = asked[0] if asked else ("csv", _STANDARD_OUTPUT)
    if not runs and kind != "parquet" and file != _STANDARD_OUTPUT:
        runs, file = [file], _STANDARD_OUTPUT  # `runs export --csv RUN`, from when --csv took no file
    found = _find_runs(Store.default(), runs or [])
    if json:
        for run in found:
            for event in run.log.events():
                print_json({**event.to_json(), "run": run.name})
    else:
        _write(found, kind, file)


def _write(runs: "list[Run]", kind: "Format", file: str) -> None:
    from shakegpt.export.tables import save_table, write_table

    if file != _STANDARD_OUTPUT:
        save_table(runs, Path(file).expanduser(), kind)
        print(escape_line(file))
    elif kind == "parquet":
        raise UsageError("A Parquet file is not text: name a FILE for it.")
    else:
        sys.stdout.flush()
        write_table(runs, sys.stdout.buffer, kind)
        sys.stdout.flush()


def _find_runs(store: "Store", names: list[str]) -> "list[Run]":
    """Return the runs of some names, sweeps and patterns, each once.

    Raises:
        UsageError: there are no names.
        ShakegptError: there is no such run, or what it is cannot be read.
    """
    if not names:
        raise UsageError("Which run? Name one or several, or '*' for all.")
    from shakegpt.runs.sweeps import runs_of

    found: dict[str, Run] = {}
    for name in names:
        if _PATTERN_CHARACTERS.isdisjoint(name):
            matches = runs_of(store, name)
        else:
            matches = sorted((run for run in store.runs() if fnmatchcase(run.name, name)), key=lambda run: run.name)
            if not matches:
                raise ShakegptError(f"No run's name is like {escape_line(name)}; `shakegpt runs list` shows them all.")
        for run in matches:
            run.metadata  # noqa: B018  (a damaged run is an error before anything is printed)
            found.setdefault(run.name, run)
    return list(found.values())
