"""``shakegpt export`` and ``shakegpt import``: models for other programs, and from them."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from shakegpt.cli.options import CheckpointArgument, Json
from shakegpt.cli.output import print_json, print_note
from shakegpt.system.text import escape_line


def export(
    reference: CheckpointArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder to write.")],
    format_: Annotated[
        Literal["hf", "gguf"],
        typer.Option(
            "--format",
            envvar="SHAKEGPT_EXPORT_FORMAT",
            metavar="hf|gguf",
            help="hf: a directory that transformers loads. gguf: a file for llama.cpp.",
        ),
    ] = "hf",
    json: Json = False,
) -> None:
    """Write a model for Hugging Face's transformers or for llama.cpp."""
    from shakegpt.export.bundle import check_free, write_bundle
    from shakegpt.runs.store import Store

    check_free(folder)
    store = Store.default()
    info = store.find(reference)
    checkpoint = store.open(reference)
    if format_ == "hf":
        from shakegpt.export.huggingface import export_files

        files = export_files(checkpoint, name=info.reference, metadata=store.metadata(info))
    else:
        from shakegpt.export import gguf

        files = gguf.export_files(checkpoint, name=info.reference)
    write_bundle(folder, files)
    if json:
        sizes = {name: len(data) for name, data in files.items()}
        print_json({"checkpoint": info.reference, "format": format_, "path": str(folder.absolute()), "files": sizes})
        return
    for name in files:
        print(escape_line(str(folder / name)))
    if format_ == "gguf":
        print_note("llama.cpp approximates GELU by tanh: its logits differ from ours in the third decimal.")
    if (block_size := checkpoint.config.block_size) < 1024:
        print_note(f"The model sees {block_size} characters; other programs do not slide that window.")


def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that holds a character-level GPT-2.")],
    run: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What to call the run.", show_default="default: the name of a play"),
    ] = None,
    json: Json = False,
) -> None:
    """Make a run from what `shakegpt export` or transformers wrote."""
    from shakegpt.export.huggingface import import_run
    from shakegpt.runs.store import Store

    imported = import_run(Store.default(), folder.expanduser(), run)
    last = imported.last()
    if json:
        print_json({"run": imported.name, "checkpoint": last.reference if last else None, "path": str(imported.path)})
    else:
        weights = imported.metadata.model.parameters
        print(f"{imported.name}: {weights:,} weights; try it with `shakegpt generate --checkpoint {imported.name}`.")
