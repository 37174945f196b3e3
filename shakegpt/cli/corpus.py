"""``shakegpt corpus``: the texts known by name, and the bar that is drawn while one is fetched."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shakegpt.cli.help import Command, Group
from shakegpt.cli.options import Encoding, Json
from shakegpt.cli.output import print_json
from shakegpt.errors import CorpusError
from shakegpt.system.text import escape_line

if TYPE_CHECKING:
    from rich.progress import Progress

    from shakegpt.data.catalog import OnProgress

app = typer.Typer(cls=Group, help="The texts that are known by name.", no_args_is_help=True)


@app.command("list", cls=Command)
def list_(json: Json = False) -> None:
    """List the texts, and where each one is."""
    from shakegpt.data.catalog import known_corpora

    rows = [
        {
            "name": corpus.name,
            "source": corpus.source,
            "path": str(corpus.path) if corpus.on_disk else None,
            "bytes": corpus.path.stat().st_size if corpus.on_disk else None,
        }
        for corpus in known_corpora()
    ]
    if json:
        print_json({"corpora": rows})
        return
    for row in rows:
        size = f"{row['bytes']:>12,} bytes" if row["bytes"] is not None else " " * 18
        print(escape_line(f"{row['name']:<20} {row['source']:<14} {size}  {row['path'] or ''}".rstrip()))


@app.command(cls=Command)
def fetch(json: Json = False) -> None:
    """Fetch Tiny Shakespeare, so that training needs no network."""
    from shakegpt.data.catalog import TINY_SHAKESPEARE, find_corpus

    with download_bar() as on_progress:
        found = find_corpus(TINY_SHAKESPEARE, on_progress=on_progress)
    if json:
        print_json({"name": found.name, "path": str(found.path), "bytes": found.path.stat().st_size})
    else:
        print(str(found.path))


@app.command(cls=Command)
def add(
    file: Annotated[Path, typer.Argument(help="A text file.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call it.", show_default="default: the file's name")
    ] = None,
    encoding: Encoding = "utf-8",
    json: Json = False,
) -> None:
    """Copy a text into the cache under a name, so that `shakegpt train --corpus NAME` finds it."""
    from shakegpt.data.catalog import add_corpus
    from shakegpt.data.corpus import decode_text

    if file.is_dir():
        raise CorpusError(f"{file} is a folder; give one text file.")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CorpusError(f"{file} cannot be read: {error.strerror}.") from error
    text = decode_text(data, file, encoding)
    added = add_corpus(file, name or file.stem, text.encode())
    if json:
        print_json({"name": added.name, "path": str(added.path), "characters": len(text)})
    else:
        print(f"{added.name}: {len(text):,} characters; train on it with `shakegpt train --corpus {added.name}`.")


@contextmanager
def download_bar() -> Iterator["OnProgress | None"]:
    """Draw a bar on standard error while a text is fetched. Yields ``None`` where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    progress: Progress | None = None  # none is drawn where nothing is fetched

    def show(fetched: int, size: int) -> None:
        nonlocal progress
        if progress is None:
            progress = _start_bar()
        progress.update(progress.task_ids[0], completed=fetched, total=size or None)

    try:
        yield show
    finally:
        if progress is not None:
            progress.stop()


def _start_bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.add_task("Tiny Shakespeare", total=None)
    progress.start()
    return progress
