"""``shakegpt evaluate``: how well a model predicts a text, and how much it copies from it."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.command_line import choose_given
from shakegpt.cli.options import CHECKPOINT_HELP, Encoding, Json, SameCheckpoint, complete_checkpoints, complete_corpora
from shakegpt.cli.output import print_json, print_note
from shakegpt.config import SamplingConfig
from shakegpt.errors import CorpusError

if TYPE_CHECKING:
    from shakegpt.model.language_model import LanguageModel


def evaluate(
    context: typer.Context,
    reference: Annotated[
        str | None, typer.Argument(metavar="[REF]", help=CHECKPOINT_HELP, autocompletion=complete_checkpoints)
    ] = None,
    checkpoint: SameCheckpoint = None,
    corpus: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The name of a text, or a file.",
            show_default="default: what it was trained on",
            autocompletion=complete_corpora,
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(metavar="SPLIT", help="validation (the last 10 %) or train (the first 90 %).")
    ] = "validation",
    encoding: Encoding = "utf-8",
    eval_windows: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Take a fixed subset of N windows, where the split has more.",
            show_default="default: all",
        ),
    ] = 0,
    copying: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Also generate N characters, and measure how much of them the text contains.",
            show_default="default: none",
        ),
    ] = 0,
    json: Json = False,
) -> None:
    """Measure how well a model predicts a text, in one deterministic pass."""
    reference = choose_given(context, "checkpoint", argument=reference, option=checkpoint)
    from shakegpt.data.catalog import TINY_SHAKESPEARE
    from shakegpt.data.corpus import Corpus
    from shakegpt.evaluation import loss as evaluation
    from shakegpt.model.language_model import LanguageModel
    from shakegpt.runs.store import Store
    from shakegpt.system.processors import available_cores
    from shakegpt.system.threads import ThreadPool, configure_process

    configure_process()
    store = Store.default()
    info, found = store.read(reference or store.default_reference(), warn=print_note)
    if corpus is None and info.run is not None:
        run = store.run(info.run)
        corpus, encoding = run.corpus_source, run.metadata.encoding
    text = Corpus.load(corpus or TINY_SHAKESPEARE, encoding=encoding, vocabulary=found.vocabulary)
    unknown = sorted(set(text.vocabulary.characters) - set(found.vocabulary.characters))
    if unknown:
        raise CorpusError(
            f"The corpus {text.name} has {len(unknown)} characters that {info.reference} has never seen, such as "
            f"{unknown[0]!r}; give the text it was trained on with --corpus."
        )
    text.check_length(found.config.block_size)
    language_model = LanguageModel(model=found.model(), vocabulary=found.vocabulary, name=info.reference)
    ids = text.encode_split(found.vocabulary, split)
    loss = evaluation.evaluate(language_model.model, ids, pool=ThreadPool(available_cores()), windows=eval_windows)
    result: dict[str, Any] = {
        "checkpoint": info.reference,
        "corpus": text.name,
        "split": split,
        "characters": loss.characters,
        "loss": loss.nats,
        "perplexity": loss.perplexity,
        "bits_per_character": loss.bits_per_character,
        "parameters": found.config.parameters,
    }
    partial = loss.windows < loss.all_windows
    if partial:
        result |= {"windows": loss.windows, "all_windows": loss.all_windows}
    if copying > 0:
        result["copying"] = _measure_copying(language_model, text.training_text, copying)
    if json:
        print_json(result)
        return
    print(f"{info.reference} ({found.config.parameters:,} weights) on the {split} split of {text.name}:")
    subset = f" in {loss.windows:,} of {loss.all_windows:,} windows" if partial else ""
    print(f"  loss        {loss.nats:.4f} nats per character, over {loss.characters:,} characters{subset}")
    print(f"  perplexity  {loss.perplexity:.4f}")
    print(f"  bits        {loss.bits_per_character:.4f} per character")
    if copying > 0:
        copied = result["copying"]
        print(
            f"  copying     of {copied['characters']:,} generated characters, the longest run found in the training\n"
            f"              split has {copied['longest_run']} characters; {copied['copied_share']:.2%} of windows of "
            f"{copied['window']} are found there"
        )


def _measure_copying(language_model: "LanguageModel", training_text: str, characters: int) -> dict[str, Any]:
    """Sample from the model's own distribution (temperature 1, no filter) and compare with the training split."""
    from shakegpt.evaluation.memorization import WINDOW, measure_memorization
    from shakegpt.generation.stream import Stream

    settings = SamplingConfig(temperature=1.0, length=characters)
    generated = "".join(character.text for character in Stream(language_model, "", settings))
    copied = measure_memorization(generated, training_text)
    return {
        "characters": copied.characters,
        "longest_run": len(copied.longest_run),
        "longest_run_text": copied.longest_run,
        "window": WINDOW,
        "copied_share": copied.copied_share,
    }
