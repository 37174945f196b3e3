"""``shakegpt evaluate`` and ``shakegpt doctor``: what is so, in figures."""

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.options import CHECKPOINT_HELP, Encoding, Json, complete_checkpoints, complete_corpora
from shakegpt.cli.output import note, reports_errors, say, say_json
from shakegpt.data.catalog import TINY_SHAKESPEARE
from shakegpt.errors import CorpusError, UsageError

if TYPE_CHECKING:
    from shakegpt.data.corpus import Corpus
    from shakegpt.runs.checkpoint import Checkpoint


@reports_errors
def evaluate(
    checkpoint: Annotated[
        str | None, typer.Argument(metavar="[REF]", help=CHECKPOINT_HELP, autocompletion=complete_checkpoints)
    ] = None,
    corpus: Annotated[
        str | None,
        typer.Option(help="The text; by default the one it was trained on.", autocompletion=complete_corpora),
    ] = None,
    split: Annotated[str, typer.Option(help="validation (the last 10 %) or train (the first 90 %).")] = "validation",
    encoding: Encoding = "utf-8",
    copying: Annotated[
        int,
        typer.Option(
            metavar="N", help="Also write N characters, and tell how much of them stands word for word in the text."
        ),
    ] = 0,
    json: Json = False,
) -> None:
    """Measure how well a model predicts a text: one full pass, deterministic, in fp32."""
    if split not in ("validation", "train"):
        raise UsageError(f"The split must be validation or train, not {split!r}.")
    from shakegpt.data.corpus import Corpus
    from shakegpt.evaluation import loss as evaluation
    from shakegpt.runs.store import Store
    from shakegpt.system.device import available_cores
    from shakegpt.system.threads import ThreadPool, configure_process

    configure_process()
    store = Store.default()
    reference = checkpoint or store.default_reference()
    info, opened = store.read(reference, warn=note)
    if corpus is None and info.run is not None:
        run = store.run(info.run)
        corpus, encoding = run.corpus_source, run.metadata.encoding
    text = Corpus.load(corpus or TINY_SHAKESPEARE, encoding=encoding)
    unknown = sorted(set(text.vocabulary.characters) - set(opened.vocabulary.characters))
    if unknown:
        raise CorpusError(
            f"The corpus {text.name} has {len(unknown)} characters that {info.reference} has never seen, such as "
            f"{unknown[0]!r}; give the text it was trained on with --corpus."
        )
    text.require(opened.config.block_size)
    pool = ThreadPool(available_cores())
    loss = evaluation.evaluate(opened.model(), text.ids_for(opened.vocabulary, split), pool=pool)
    result: dict[str, Any] = {
        "checkpoint": info.reference,
        "corpus": text.name,
        "split": split,
        "characters": loss.characters,
        "loss": loss.nats,
        "perplexity": loss.perplexity,
        "bits_per_character": loss.bits_per_character,
        "parameters": opened.config.parameters,
    }
    if copying > 0:
        result["copying"] = _measure_copying(opened, text, copying)
    if json:
        say_json(result)
        return
    say(f"{info.reference} ({opened.config.parameters:,} weights) on the {split} split of {text.name}:")
    say(f"  loss        {loss.nats:.4f} nats per character, over {loss.characters:,} characters")
    say(f"  perplexity  {loss.perplexity:.4f}")
    say(f"  bits        {loss.bits_per_character:.4f} per character")
    if copying > 0:
        found = result["copying"]
        longest, written = found["longest_run"], found["characters"]
        say(f"  copying     {longest} characters: the longest run of {written:,} written that stands in the training")
        say(f"              split; {found['copied_share']:.2%} of windows of {found['window']} stand there")


def _measure_copying(opened: "Checkpoint", text: "Corpus", characters: int) -> dict[str, Any]:
    """Write as the model itself would (temperature 1, nothing cut) and compare with the training split."""
    from shakegpt.config import SamplingConfig
    from shakegpt.evaluation.memorization import WINDOW, measure_memorization
    from shakegpt.generation.stream import Stream
    from shakegpt.model.language_model import LanguageModel

    language_model = LanguageModel(model=opened.model(), vocabulary=opened.vocabulary, name="")
    settings = SamplingConfig(temperature=1.0, length=characters)
    written = "".join(character.text for character in Stream(language_model, "\n", settings))
    found = measure_memorization(written, text.training_text)
    return {
        "characters": found.characters,
        "longest_run": len(found.longest_run),
        "longest_run_text": found.longest_run,
        "window": WINDOW,
        "copied_share": found.copied_share,
    }


@reports_errors
def doctor(json: Json = False) -> None:
    """Show the device, precision, versions, paths and terminal that shakegpt finds here."""
    import torch

    from shakegpt.data import catalog as library
    from shakegpt.runs.store import Store
    from shakegpt.system.device import choose_device_plan
    from shakegpt.system.paths import corpora_folder
    from shakegpt.version import versions

    device_plan = choose_device_plan()
    store = Store.default()
    facts: dict[str, Any] = {
        "device": device_plan.device.type,
        "device_name": device_plan.name,
        "precision": device_plan.precision,
        "reason": device_plan.reason,
        "threads": device_plan.threads,
        "versions": versions() | {"cuda": torch.version.cuda or "none"},
        "paths": {
            "home": str(store.home),
            "corpora": str(corpora_folder()),
            "corpus_path": os.environ.get(library.CORPUS_PATH, ""),
        },
        "disk_free_bytes": _free_bytes(store.home),
        "runs": len(store.runs()),
        "corpora": {corpus.name: corpus.source for corpus in library.known_corpora()},
        "terminal": _terminal(),
    }
    if json:
        say_json(facts)
        return
    say(f"device     {facts['device_name']} ({facts['device']}), {facts['precision']}, {facts['threads']} threads")
    say(f"why        {facts['reason']}")
    say("versions   " + ", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    say(f"home       {facts['paths']['home']} ({facts['runs']} runs, {facts['disk_free_bytes'] / 1e9:.1f} GB free)")
    say("corpora    " + ", ".join(f"{name} ({source})" for name, source in facts["corpora"].items()))
    terminal = facts["terminal"]
    say(
        f"terminal   {terminal['columns']}x{terminal['rows']}, TERM={terminal['term'] or 'unset'}, "
        f"{terminal['encoding']}, {'a terminal' if terminal['interactive'] else 'not a terminal'}"
        + (", NO_COLOR" if terminal["no_color"] else "")
    )
    if device_plan.device.type == "cpu" and torch.version.cuda is None and shutil.which("nvidia-smi"):
        note(
            "An NVIDIA driver is here, but this torch was built without CUDA; install a CUDA build of torch to use it."
        )


def _free_bytes(path: Path) -> int:
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _terminal() -> dict[str, Any]:
    columns, rows = shutil.get_terminal_size()
    return {
        "columns": columns,
        "rows": rows,
        "term": os.environ.get("TERM", ""),
        "encoding": sys.stdout.encoding,
        "interactive": sys.stdout.isatty(),
        "no_color": bool(os.environ.get("NO_COLOR")),
    }
