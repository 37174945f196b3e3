"""``shakegpt score``: how likely a model finds each character of a text."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.command_line import choose_given, is_typed
from shakegpt.cli.options import CHECKPOINT_HELP, Encoding, Json, SameCheckpoint, complete_checkpoints
from shakegpt.cli.output import print_json, print_note
from shakegpt.cli.standard_input import read_standard_input
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.system.text import escape_line

if TYPE_CHECKING:
    from shakegpt.data.vocabulary import Vocabulary
    from shakegpt.evaluation.score import Score

_SURPRISES = 10  # places that are shown of a text
_BEFORE, _AFTER = 24, 8  # characters that are shown around such a place


def score(
    context: typer.Context,
    reference: Annotated[
        str | None, typer.Argument(metavar="[REF]", help=CHECKPOINT_HELP, autocompletion=complete_checkpoints)
    ] = None,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="The text; - or a pipe is read from standard input.")
    ] = None,
    checkpoint: SameCheckpoint = None,
    top: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Also show each character, and the N likeliest in its place.",
            show_default="default: none",
        ),
    ] = 0,
    encoding: Encoding = "utf-8",
    json: Json = False,
) -> None:
    """Measure how likely a model finds each character of a text, given those before it.

    Windows overlap by half, so that each character has at least half a window of context, or all there is.
    """
    option_given = is_typed(context, "checkpoint")
    if file is None and reference is not None and (option_given or reference == "-" or Path(reference).is_file()):
        reference, file = None, reference  # a text alone
    checkpoint = choose_given(context, "checkpoint", argument=reference, option=checkpoint)
    if top < 0:
        raise UsageError(f"The number of likeliest characters must be at least 0, not {top}.")
    data, name = _read(file)

    from shakegpt.evaluation import score as evaluation
    from shakegpt.runs.store import Store
    from shakegpt.system.processors import available_cores
    from shakegpt.system.threads import ThreadPool, configure_process

    configure_process()
    store = Store.default()
    language_model = store.language_model(checkpoint or store.default_reference(), warn=print_note)
    text = _decode(data, name, encoding, language_model.vocabulary)
    found = evaluation.score(language_model, text, top=top, pool=ThreadPool(available_cores()))
    if json:
        print_json(_as_json(language_model.name, found, top))
        return
    print(f"{language_model.name} on {name}, {len(text):,} characters:")
    print(f"  loss        {found.loss:.4f} nats per character, over all but the first")
    print(f"  perplexity  {found.perplexity:.4f}")
    print(f"  bits        {found.bits_per_character:.4f} per character")
    if len(text) - 1 > language_model.model.config.block_size:
        print(f"Windows overlap by half: after the first, each character has at least {found.context} of context.")
    print()
    if top:
        _print_characters(found)
    else:
        _print_surprises(found)


def _read(file: str | None) -> tuple[bytes, str]:
    """Return the bytes of a file or of standard input, and what to call them."""
    if file is None and sys.stdin.isatty():
        raise UsageError("There is no text to score: give a file after the checkpoint, or pipe a text in.")
    if file is None or file == "-":
        return read_standard_input("text"), "standard input"
    try:
        return Path(file).read_bytes(), file
    except OSError as error:
        raise ShakegptError(f"The text {file} cannot be read: {error.strerror}.") from error


def _decode(data: bytes, name: str, encoding: str, vocabulary: "Vocabulary") -> str:
    from shakegpt.data.corpus import decode_text

    return decode_text(data, Path(name), encoding, vocabulary=vocabulary) if data else ""


def _as_json(checkpoint: str, found: "Score", top: int) -> dict[str, Any]:
    characters: list[dict[str, Any]] = []
    for position, character in enumerate(found.text):
        value = float(found.log_probabilities[position]) if position else None  # the first is not predicted
        entry: dict[str, Any] = {"character": character, "logprob": value}
        if top:
            likeliest = found.likeliest(position)
            entry["likeliest"] = [{"character": other, "logprob": logprob} for other, logprob in likeliest]
        characters.append(entry)
    return {
        "checkpoint": checkpoint,
        "text": found.text,
        "loss": found.loss,
        "perplexity": found.perplexity,
        "bits_per_character": found.bits_per_character,
        "context": found.context,
        "characters": characters,
    }


def _print_characters(found: "Score") -> None:
    """Print a line for each character: its probability, and the likeliest in its place."""
    for position, character in enumerate(found.text):
        likeliest = "  ".join(f"{_quote(c)} {math.exp(value):.1%}" for c, value in found.likeliest(position))
        odds = f"{math.exp(found.log_probabilities[position]):.2%}" if position else "-"
        print(f"{_quote(character):>6} {odds:>7}   {likeliest}".rstrip())


def _print_surprises(found: "Score") -> None:
    """Print the places where the text is least like what the model expects, in the order of the text."""
    order = found.log_probabilities[1:].argsort(kind="stable")[:_SURPRISES] + 1
    print("least expected, in brackets, with the probability that the model gave it:")
    for position in sorted(order.tolist()):
        text = found.text
        before = escape_line(text[max(0, position - _BEFORE) : position])
        after = escape_line(text[position + 1 : position + 1 + _AFTER])
        odds = math.exp(found.log_probabilities[position])
        print(f"  {odds:8.3%}  at {position + 1:>7,}  {before}[{escape_line(text[position])}]{after}")


def _quote(text: str) -> str:
    return f'"{escape_line(text)}"'
