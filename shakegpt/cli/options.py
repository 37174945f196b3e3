"""Options that several commands share, those made of a configuration, and the completion of values without torch."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, get_type_hints

import typer

from shakegpt.config import PRESETS, ModelConfig, TrainingConfig, field_docs
from shakegpt.errors import ShakegptError

_NOT_OFFERED = {"beta1", "beta2", "save_seconds", "sample_prompt", "sample_length"}
"""Fields of ``TrainingConfig`` that only a preset or a program sets."""


def complete_runs(incomplete: str) -> list[str]:
    """Return the names of runs that begin with ``incomplete``."""
    from shakegpt.runs.store import Store

    try:
        return [run.name for run in Store.default().runs() if run.name.startswith(incomplete)]
    except ShakegptError:
        return []


def complete_checkpoints(incomplete: str) -> list[str]:
    """Return the references to checkpoints that begin with ``incomplete``."""
    from shakegpt.runs.store import Store

    references = ["pretrained", "last"]
    try:
        for run in Store.default().runs():
            references += [run.name, f"{run.name}@best", f"{run.name}@last"]
            references += [info.reference for info in run.checkpoints()]
    except ShakegptError:
        pass
    return [reference for reference in references if reference.startswith(incomplete)]


def complete_presets(incomplete: str) -> list[tuple[str, str]]:
    """Return the names of presets that begin with ``incomplete``, with their summaries."""
    return [(name, preset.summary) for name, preset in PRESETS.items() if name.startswith(incomplete)]


def complete_corpora(incomplete: str) -> list[str]:
    """Return the names of corpora that begin with ``incomplete``."""
    from shakegpt.data.catalog import known_corpora

    return [corpus.name for corpus in known_corpora() if corpus.name.startswith(incomplete)]


CHECKPOINT_HELP = "A checkpoint: pretrained, RUN (its best), RUN@best, RUN@last, RUN@500, last, or a path."
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Encoding = Annotated[str, typer.Option(help="The character encoding of the text.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's name.", autocompletion=complete_runs)]
CheckpointArgument = Annotated[
    str, typer.Argument(metavar="REF", help=CHECKPOINT_HELP, autocompletion=complete_checkpoints)
]


def with_training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a command's ``**changes`` into an option for each field of ``TrainingConfig``, and ``dropout``.

    The field's docstring is the option's help. An option that is not given is ``None``. In the help texts, these
    options come before the command's keyword-only ones.
    """
    kinds = get_type_hints(TrainingConfig) | {"dropout": get_type_hints(ModelConfig)["dropout"]}
    help_texts = field_docs(ModelConfig) | field_docs(TrainingConfig)
    names = [field.name for field in fields(TrainingConfig) if field.name not in _NOT_OFFERED]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[kinds[name] | None, typer.Option(help=help_texts.get(name))],
        )
        for name in [*names, "dropout"]
    ]
    *own, _changes = inspect.signature(command).parameters.values()
    positional = [parameter for parameter in own if parameter.kind != inspect.Parameter.KEYWORD_ONLY]
    keyword_only = own[len(positional) :]
    command.__signature__ = inspect.Signature([*positional, *options, *keyword_only])  # type: ignore[attr-defined]
    return command
