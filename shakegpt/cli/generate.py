"""``shakegpt generate``: one or several texts, to standard output."""

import math
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.command_line import choose_given
from shakegpt.cli.help import MODEL, OUTPUT, SAMPLING
from shakegpt.cli.options import CHECKPOINT_HELP, Json, complete_checkpoints
from shakegpt.cli.output import print_json, print_note
from shakegpt.cli.standard_input import read_text_from_standard_input
from shakegpt.config import SamplingConfig
from shakegpt.errors import UsageError
from shakegpt.system.text import escape_control_characters

if TYPE_CHECKING:
    from shakegpt.generation.stream import Character
    from shakegpt.model.language_model import LanguageModel
    from shakegpt.system.threads import ThreadPool

_DEFAULTS = SamplingConfig()


def generate(
    context: typer.Context,
    text: Annotated[
        str | None,
        typer.Argument(metavar="[PROMPT]", help="The text to continue; - or a pipe reads it from standard input."),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", "-p", metavar="TEXT", help="The same as PROMPT.", rich_help_panel=MODEL),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint",
            "-c",
            metavar="REF",
            help=CHECKPOINT_HELP,
            show_default="default: your newest run that beats the built-in model, or that model",
            autocompletion=complete_checkpoints,
            rich_help_panel=MODEL,
        ),
    ] = None,
    length: Annotated[
        int,
        typer.Option(
            "--length", "-n", "--max-new-tokens", metavar="N", help="Characters to write.", rich_help_panel=OUTPUT
        ),
    ] = _DEFAULTS.length,
    temperature: Annotated[
        float,
        typer.Option(
            "--temperature",
            "-t",
            metavar="X",
            help="Below 1 tamer, above 1 wilder; 0 always takes the likeliest character.",
            rich_help_panel=SAMPLING,
        ),
    ] = _DEFAULTS.temperature,
    top_k: Annotated[
        int,
        typer.Option(
            metavar="K",
            help="Draw from the K likeliest characters only; 0 is off.",
            show_default="default: off",
            rich_help_panel=SAMPLING,
        ),
    ] = 0,
    top_p: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Draw from the smallest set of characters whose probability reaches P; 1 is off.",
            rich_help_panel=SAMPLING,
        ),
    ] = _DEFAULTS.top_p,
    min_p: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Leave out characters less probable than this share of the likeliest one; 0 is off.",
            rich_help_panel=SAMPLING,
        ),
    ] = _DEFAULTS.min_p,
    repetition_penalty: Annotated[
        float,
        typer.Option(
            metavar="X",
            help="Above 1, characters of the context become less likely; 1 is off.",
            rich_help_panel=SAMPLING,
        ),
    ] = _DEFAULTS.repetition_penalty,
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="The same seed, the same text.",
            show_default="default: another one each time",
            rich_help_panel=SAMPLING,
        ),
    ] = None,
    samples: Annotated[int, typer.Option(metavar="N", help="Texts to write.", rich_help_panel=OUTPUT)] = 1,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End before this text; may be given more than once.", rich_help_panel=OUTPUT),
    ] = None,
    logprobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --json: log-probabilities of each character and the N likeliest, before and after the filters.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write text in the manner of what a model was trained on."""
    try:
        settings = SamplingConfig(
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            seed=time.time_ns() % 2**31 if seed is None else seed,
            length=length,
            stop=tuple(stop or ()),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    if samples < 1:
        raise UsageError(f"The number of samples must be a whole number of at least 1, not {samples}.")
    if logprobs is not None and (logprobs < 0 or not json):
        raise UsageError("--logprobs takes a whole number of at least 0, and needs --json.")
    prompt = _read_prompt(choose_given(context, "prompt", argument=text, option=prompt))

    from shakegpt.generation.stream import encode_prompt
    from shakegpt.runs.store import Store
    from shakegpt.system.processors import available_cores
    from shakegpt.system.threads import ThreadPool, configure_process

    configure_process()
    pool = ThreadPool(
        available_cores()
    )  # torch's own threads synchronize after every small tensor, and wait for busy cores
    store = Store.default()
    language_model = store.language_model(checkpoint or store.default_reference(), warn=print_note)
    prompt = prompt or language_model.opening
    encode_prompt(language_model.vocabulary, prompt)  # an unknown character is an error before anything is printed
    if logprobs is not None:
        _write_logprobs(language_model, prompt, settings, samples, logprobs)
    elif samples > 1:
        _write_samples(language_model, prompt, settings, samples, pool, json=json)
    elif json:
        _write_json(language_model, prompt, settings)
    else:
        _write_stream(language_model, prompt, settings)


def _read_prompt(prompt: str | None) -> str | None:
    """Return the prompt, read from standard input for ``-``, and where there is none but a pipe or a file."""
    if prompt == "-" or (prompt is None and not sys.stdin.isatty()):
        return read_text_from_standard_input("prompt")
    return prompt


def _write_stream(language_model: "LanguageModel", prompt: str, settings: SamplingConfig) -> None:
    from shakegpt.generation.stream import Stream

    _write(prompt.lstrip("\n"))
    last = prompt[-1:]
    for character in Stream(language_model, prompt, settings):
        last = character.text
        _write(last)
    if last != "\n":
        _write("\n")


def _write(text: str) -> None:
    """Write text as it is; to a terminal, which control characters could take over, with those escaped."""
    sys.stdout.write(escape_control_characters(text) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def _write_json(language_model: "LanguageModel", prompt: str, settings: SamplingConfig) -> None:
    from shakegpt.generation.stream import Stream

    start = time.perf_counter()
    stream = Stream(language_model, prompt, settings)
    text = "".join(character.text for character in stream)
    seconds = time.perf_counter() - start
    sample = {"text": text, "finish": stream.finish or "length"}
    print_json(_source(language_model, prompt, settings) | sample | _speed(len(text), seconds))


def _write_logprobs(
    language_model: "LanguageModel", prompt: str, settings: SamplingConfig, samples: int, likeliest: int
) -> None:
    """Print one sample, or a list of them, with what each character was drawn from."""
    from shakegpt.generation.stream import Stream

    start = time.perf_counter()
    rows: list[dict[str, Any]] = []
    for number in range(samples):
        stream = Stream(language_model, prompt, settings, sample=number)
        characters = list(stream)
        text = "".join(character.text for character in characters)
        logprobs = [_log_probabilities(character, likeliest) for character in characters]
        rows.append({"sample": number, "text": text, "finish": stream.finish or "length", "logprobs": logprobs})
    speed = _speed(sum(len(row["logprobs"]) for row in rows), time.perf_counter() - start)
    result = {"samples": rows} if samples > 1 else {key: value for key, value in rows[0].items() if key != "sample"}
    print_json(_source(language_model, prompt, settings) | result | speed)


def _log_probabilities(character: "Character", likeliest: int) -> dict[str, Any]:
    """Return a character's log-probabilities, and those of the likeliest before the filters.

    Before them they are the model's own; after them, of what was drawn from: ``null`` where a filter has cut.
    """
    distribution = character.distribution
    before, after = distribution.model_probabilities, distribution.probabilities

    def entry(index: int) -> dict[str, Any]:
        return {
            "character": distribution.characters[index],
            "logprob_before_filters": math.log(before[index]) if before[index] > 0 else None,
            "logprob_after_filters": math.log(after[index]) if after[index] > 0 else None,
        }

    order = sorted(range(len(before)), key=lambda index: -before[index])
    return entry(character.index) | {"likeliest": [entry(index) for index in order[:likeliest]]}


def _write_samples(
    language_model: "LanguageModel",
    prompt: str,
    settings: SamplingConfig,
    count: int,
    pool: "ThreadPool",
    *,
    json: bool,
) -> None:
    from shakegpt.generation.samples import generate_samples

    start = time.perf_counter()
    completions = generate_samples(language_model, prompt, settings, count, pool=pool)
    if json:
        samples = list(completions)
        speed = _speed(sum(len(sample.text) for sample in samples), time.perf_counter() - start)
        rows = [{"sample": i, "text": sample.text, "finish": sample.finish} for i, sample in enumerate(samples)]
        print_json(_source(language_model, prompt, settings) | {"samples": rows} | speed)
        return
    for number, sample in enumerate(completions, start=1):
        print_note(f"sample {number:,} of {count:,}")
        _write((prompt + sample.text).strip("\n") + "\n\n")


def _source(language_model: "LanguageModel", prompt: str, settings: SamplingConfig) -> dict[str, Any]:
    return {"checkpoint": language_model.name, "prompt": prompt, "seed": settings.seed}


def _speed(characters: int, seconds: float) -> dict[str, Any]:
    return {
        "characters": characters,
        "seconds": round(seconds, 6),
        "characters_per_second": round(characters / seconds, 1) if seconds > 0 else 0.0,
    }
