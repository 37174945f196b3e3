"""``shakegpt export`` and ``shakegpt import``: models on their way to other programs, and back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shakegpt.cli.options import CHECKPOINT_HELP, Json, complete_checkpoints
from shakegpt.cli.output import note, reports_errors, say, say_json
from shakegpt.system.text import escape_line

if TYPE_CHECKING:
    from shakegpt.export.huggingface import Origin
    from shakegpt.runs.run import CheckpointInfo
    from shakegpt.runs.store import Store


@reports_errors
def export(
    reference: Annotated[str, typer.Argument(metavar="REF", help=CHECKPOINT_HELP, autocompletion=complete_checkpoints)],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder to write.")],
    format_: Annotated[
        Literal["hf", "gguf"],
        typer.Option(
            "--format",
            envvar="SHAKEGPT_EXPORT_FORMAT",
            help="hf: a directory that transformers loads. gguf: a file for llama.cpp.",
        ),
    ] = "hf",
    json: Json = False,
) -> None:
    """Write a model for another program: Hugging Face's transformers, or llama.cpp."""
    from shakegpt.export.bundle import check_free, write_bundle
    from shakegpt.runs.store import Store

    check_free(folder)
    store = Store.default()
    info = store.find(reference)
    checkpoint = store.open(reference)
    if format_ == "hf":
        from shakegpt.export.huggingface import export_files

        files = export_files(checkpoint, name=info.reference, origin=_origin(store, info))
    else:
        from shakegpt.export import gguf

        files = gguf.export_files(checkpoint, name=info.reference)
    write_bundle(folder, files)
    if json:
        sizes = {name: len(data) for name, data in files.items()}
        say_json({"checkpoint": info.reference, "format": format_, "path": str(folder.absolute()), "files": sizes})
        return
    for name in files:
        say(escape_line(str(folder / name)))
    if format_ == "gguf":
        note("llama.cpp computes GELU by its tanh approximation: its figures differ from ours in the third decimal.")
    if checkpoint.config.block_size < 1024:
        note(f"The model sees {checkpoint.config.block_size} characters; other programs do not slide that window.")


@reports_errors
def import_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that holds a character-level GPT-2.")],
    run: Annotated[str | None, typer.Option(help="What to call the run.")] = None,
    json: Json = False,
) -> None:
    """Make a run of a directory that `shakegpt export` or `save_pretrained` wrote."""
    from shakegpt.export.huggingface import import_run
    from shakegpt.runs.store import Store

    made = import_run(Store.default(), folder.expanduser(), run)
    last = made.last()
    if json:
        say_json({"run": made.name, "checkpoint": last.reference if last else None, "path": str(made.path)})
    else:
        weights = f"{made.metadata.model.parameters:,} weights"
        say(f"{made.name}: {weights}; hear it by `shakegpt generate --checkpoint {made.name}`.")


def _origin(store: "Store", info: "CheckpointInfo") -> "Origin":
    """Say where weights come from, as far as the store knows."""
    from shakegpt.export.huggingface import Origin

    if info.run is None:
        return Origin(step=info.step)
    record = store.run(info.run).metadata
    return Origin(step=info.step, corpus=record.corpus, corpus_sha256=record.corpus_sha256)
