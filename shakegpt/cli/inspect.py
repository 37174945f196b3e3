"""``shakegpt inspect``: what happens inside a model that reads a text."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.command_line import choose_given
from shakegpt.cli.options import CHECKPOINT_HELP, Json, SameCheckpoint, complete_checkpoints
from shakegpt.cli.output import print_json, print_note
from shakegpt.cli.standard_input import read_text_from_standard_input
from shakegpt.errors import UsageError
from shakegpt.system.text import escape_line

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shakegpt.data.corpus import Corpus
    from shakegpt.inspection.heads import HeadScores
    from shakegpt.inspection.trace import Trace
    from shakegpt.model.language_model import LanguageModel
    from shakegpt.system.threads import ThreadPool

_LIKELIEST = 5
_DECIMALS = 6  # in JSON: what single precision means
_SCORES = ("back", "previous", "itself", "newline", "speaker", "distance", "entropy")


def inspect(
    context: typer.Context,
    reference: Annotated[
        str | None, typer.Argument(metavar="[REF]", help=CHECKPOINT_HELP, autocompletion=complete_checkpoints)
    ] = None,
    checkpoint: SameCheckpoint = None,
    text: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="What to read; - or a pipe is standard input.",
            show_default="default: the beginning of the validation split",
        ),
    ] = None,
    mute: Annotated[
        list[str] | None,
        typer.Option(metavar="B.H", help="Do without a head, such as 1.4: block 1, head 4. May be repeated."),
    ] = None,
    characters: Annotated[
        int, typer.Option(metavar="N", help="Score the heads on so much of the validation split; 0 does not.")
    ] = 6_400,
    costs: Annotated[
        bool, typer.Option("--costs", help="Also measure what muting each head costs, a pass for each.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw where each head looks, as .svg or .png.")
    ] = None,
    json: Json = False,
) -> None:
    """Look inside a model that reads a text: attention, logit lens, what adds to the next character, head scores."""
    checkpoint = choose_given(context, "checkpoint", argument=reference, option=checkpoint)
    muted = [_parse_head(head) for head in mute or ()]
    if text == "-" or (text is None and not sys.stdin.isatty()):
        text = read_text_from_standard_input("text") or None

    from shakegpt.export.plots import plot_attention
    from shakegpt.inspection import trace as inspection
    from shakegpt.inspection.corpora import find_corpus
    from shakegpt.model.language_model import LanguageModel
    from shakegpt.runs.store import Store
    from shakegpt.system.processors import available_cores
    from shakegpt.system.threads import ThreadPool, configure_process

    configure_process()
    store = Store.default()
    info, found = store.read(checkpoint or store.default_reference(), warn=print_note)
    language_model = LanguageModel(model=found.model(), vocabulary=found.vocabulary, name=info.reference)
    corpus = None
    if text is None or characters > 0:
        corpus = find_corpus(store, info.run, found.vocabulary, print_note)
    if text is None:
        text = corpus.validation_text[: found.config.block_size] if corpus else language_model.opening
    trace = inspection.inspect(language_model, text, muted)
    if plot is not None:
        plot_attention(trace, plot)
        if not json:
            print(plot)
            return
    scores = None
    if corpus is not None and characters > 0:
        scores = _score(language_model, corpus, characters, ThreadPool(available_cores()), costs=costs)
    if json:
        print_json(_as_json(info.reference, trace, scores))
    else:
        _print_trace(info.reference, trace)
        _print_heads(trace, scores)


def _parse_head(text: str) -> tuple[int, int]:
    block, _, head = text.partition(".")
    if not (block.isdecimal() and head.isdecimal()):
        raise UsageError(f"A head is named by its block and its number in it, such as 1.4, not {text!r}.")
    return int(block) - 1, int(head) - 1


def _score(
    language_model: "LanguageModel", corpus: "Corpus", characters: int, pool: "ThreadPool", *, costs: bool
) -> dict[str, Any] | None:
    """Return where the heads look on the first characters of the validation split, by the name of the score."""
    from shakegpt.inspection.heads import mute_costs, score_heads, score_induction

    windows, text = max(1, characters // language_model.model.config.block_size), corpus.validation_text
    try:
        heads = score_heads(language_model, text, windows=windows, pool=pool)
        found: dict[str, Any] = {"corpus": corpus.name, "heads": heads, "induction": score_induction(language_model)}
        if costs:
            found["cost"] = mute_costs(language_model, text, windows=windows, pool=pool)
    except UsageError as error:  # a text shorter than a window
        print_note(f"The heads are not scored: {error}")
        return None
    return found


def _as_json(checkpoint: str, trace: "Trace", scores: dict[str, Any] | None) -> dict[str, Any]:
    import math

    from shakegpt.inspection.head import head_name

    (answer, _), *_ = trace.likeliest()
    attribution = trace.attribution(answer)
    heads = None
    if scores is not None:
        measured: HeadScores = scores["heads"]
        heads = {
            "corpus": scores["corpus"],
            "characters": measured.characters,
            **{name: _numbers(getattr(measured, name)) for name in _SCORES},
            "induction": _numbers(scores["induction"]),
            "mute_cost": _numbers(scores["cost"]) if "cost" in scores else None,
        }
    layers, positions = range(len(trace.lens)), range(len(trace.text))
    return {
        "checkpoint": checkpoint,
        "text": trace.text,
        "skipped": trace.skipped,
        "muted": [head_name(head) for head in trace.muted],
        "loss": None if math.isnan(trace.mean_loss) else trace.mean_loss,
        "characters": [
            {"character": character, "loss": loss}
            for character, loss in zip(trace.text, _numbers(trace.loss), strict=True)
        ],
        "attention": _numbers(trace.attention),
        "lens": [
            [
                [
                    {"character": character, "probability": round(probability, _DECIMALS)}
                    for character, probability in trace.likeliest(position, _LIKELIEST, layer=layer)
                ]
                for position in positions
            ]
            for layer in layers
        ],
        "decided_at": [trace.decided_at(position) for position in positions],
        "attribution": {
            "character": attribution.character,
            "position": attribution.position,
            "logit": attribution.logit,
            "heads": _numbers(attribution.heads),
            "mlps": _numbers(attribution.mlps),
            "token": attribution.token,
            "place": attribution.place,
            "biases": _numbers(attribution.biases),
            "constant": attribution.constant,
        },
        "heads": heads,
    }


def _numbers(array: "NDArray[np.floating]") -> Any:
    """Return an array as nested lists, with ``None`` where there is no number."""
    import numpy as np

    cells = np.round(array.astype(np.float64), _DECIMALS).astype(object)
    cells[np.isnan(array)] = None
    return cells.tolist()


def _print_trace(name: str, trace: "Trace") -> None:
    skipped = f", the last window of {trace.skipped + len(trace.text):,}" if trace.skipped else ""
    print(f"{name} reads {len(trace.text)} characters{skipped}: {_quote(trace.text)}")
    if len(trace.text) > 1:
        print(f"  loss {trace.mean_loss:.4f} nats per character, over all but the first")
    print("\nWhat comes next, as read off after each layer (logit lens):")
    for layer in range(len(trace.lens)):
        odds = "  ".join(f"{_quote(c)} {p:6.1%}" for c, p in trace.likeliest(-1, _LIKELIEST, layer=layer))
        print(f"  {_layer_name(layer):<10} {odds}")
    (answer, _), *_ = trace.likeliest()
    print(f"  {_quote(answer)} leads from {_layer_name(trace.decided_at())} on.")
    found = trace.attribution(answer)
    print(f"\nWhat adds to the logit of {_quote(answer)}, {found.logit:.2f} in all:")
    for layer, (heads, mlp) in enumerate(zip(found.heads, found.mlps, strict=True), start=1):
        print(f"  block {layer}: heads {' '.join(f'{value:+.2f}' for value in heads)}, MLP {mlp:+.2f}")
    rest = found.biases.sum() + found.constant
    print(f"  the last character {found.token:+.2f}, its position {found.place:+.2f}, biases {rest:+.2f}")


def _print_heads(trace: "Trace", scores: dict[str, Any] | None) -> None:
    from shakegpt.inspection.head import head_name

    layers, count, length, _ = trace.attention.shape
    heads: HeadScores | None = scores["heads"] if scores else None
    if scores and heads:
        print(f"\nWhere the heads look, over {heads.characters:,} characters of the validation split of")
        print(f"{scores['corpus']}, in percent of their attention; after {_quote(trace.text[-8:])}, most at:\n")
        cost = "    cost" if "cost" in scores else ""
        print(f"  head  before  itself  newline  name  copies  back  spread{cost}   here")
    else:
        print(f"\nWhere the heads look most after {_quote(trace.text[-8:])}:\n")
    for layer in range(layers):
        for number in range(count):
            head = (layer, number)
            place = int(trace.attention[layer, number, -1].argmax())
            here = (
                f"{_quote(trace.text[place])} {length - 1 - place} back {trace.attention[layer, number, -1, place]:.0%}"
            )
            columns = ""
            if scores and heads:
                shares = (heads.previous, heads.itself, heads.newline, heads.speaker, scores["induction"])
                widths = (8, 8, 9, 6, 8)
                columns = "".join(
                    f"{_percent(share[head]):>{width}}" for share, width in zip(shares, widths, strict=True)
                )
                columns += f"{heads.distance[head]:6.1f}{2 ** heads.entropy[head]:8.1f}"
                columns += f"{scores['cost'][head]:+8.4f}" if "cost" in scores else ""
            print(f"  {head_name(head):<4}{columns}   {here}{' (muted)' if head in trace.muted else ''}")
    if scores and heads:
        every = [(layer, number) for layer in range(layers) for number in range(count)]
        clear = [head for head in every if heads.main_target(head)]
        print("".join(f"\n  {head_name(head)} {heads.describe(head)}" for head in clear))
        print("\ncopies: at what followed the same character before, on random text read twice")
        print("(induction). back: characters, on average. spread: over so many characters.")
        if "cost" in scores:
            print("cost: what muting the head adds to the loss, in nats per character.")


def _percent(share: float) -> str:
    return "-" if share != share else f"{100 * share:.1f}"


def _layer_name(layer: int) -> str:
    return f"block {layer}" if layer else "embedding"


def _quote(text: str) -> str:
    return f'"{escape_line(text)}"'
