"""Options that several commands share, those made of a configuration, and the completion of values without torch."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer

from shakegpt.cli.command_line import is_typed
from shakegpt.cli.help import EVALUATION_AND_SAVING, MACHINE, MODEL, OPTIMIZATION, OUTPUT, format_number
from shakegpt.config import (
    DEFAULT_PRESET,
    PRESETS,
    SHAPE_FIELDS,
    DeviceKind,
    ModelConfig,
    TrainingConfig,
    check_device,
    field_docs,
)
from shakegpt.errors import ShakegptError

_NOT_OFFERED = {"beta1", "beta2", "save_seconds", "sample_prompt", "sample_length"}
"""Fields of ``TrainingConfig`` that only a preset or a program sets."""

_MODEL_FIELDS = (*SHAPE_FIELDS, "dropout")

_GROUP_OF_FIELD = {
    **dict.fromkeys(_MODEL_FIELDS, MODEL),
    "eval_every": EVALUATION_AND_SAVING,
    "eval_windows": EVALUATION_AND_SAVING,
    "early_stop": EVALUATION_AND_SAVING,
    "save_every": EVALUATION_AND_SAVING,
    "keep": EVALUATION_AND_SAVING,
    "device": MACHINE,
    "precision": MACHINE,
}
"""Where the help of ``train`` lists an option that is no matter of optimization."""

_OTHER_NAMES = {"learning_rate": ["--lr"]}


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


def complete_sweeps(incomplete: str) -> list[str]:
    """Return the names of sweeps that begin with ``incomplete``."""
    from shakegpt.runs.store import Store
    from shakegpt.runs.sweeps import plans

    return [plan.name for plan in plans(Store.default()) if plan.name.startswith(incomplete)]


def complete_runs_and_sweeps(incomplete: str) -> list[str]:
    """Return the names of sweeps, then of runs, that begin with ``incomplete``."""
    return [*complete_sweeps(incomplete), *complete_runs(incomplete)]


def complete_corpora(incomplete: str) -> list[str]:
    """Return the names of corpora that begin with ``incomplete``."""
    from shakegpt.data.catalog import known_corpora

    return [corpus.name for corpus in known_corpora() if corpus.name.startswith(incomplete)]


CHECKPOINT_HELP = "A checkpoint: pretrained, RUN (its best), RUN@best, RUN@last, RUN@500, last, or a path."
Json = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=OUTPUT)]
Encoding = Annotated[
    str, typer.Option(metavar="NAME", help="The character encoding of the text.", rich_help_panel=MODEL)
]
PresetOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="The size of the model, and the training that suits it; `shakegpt presets` lists them.",
        autocompletion=complete_presets,
        rich_help_panel=MODEL,
    ),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's name.", autocompletion=complete_runs)]
CheckpointArgument = Annotated[
    str, typer.Argument(metavar="REF", help=CHECKPOINT_HELP, autocompletion=complete_checkpoints)
]

SameCheckpoint = Annotated[
    str | None,
    typer.Option("--checkpoint", "-c", metavar="REF", help="The same as REF.", autocompletion=complete_checkpoints),
]
"""For commands whose argument is a checkpoint: see ``choose_given``."""


def corpus_option(help_text: str) -> Any:
    """Return the option for the text of a training."""
    return typer.Option(
        metavar="TEXT",
        help=help_text,
        show_default="default: tiny-shakespeare",
        autocompletion=complete_corpora,
        rich_help_panel=MODEL,
    )


def from_option(command: str, help_text: str) -> Any:
    """Return the option for the checkpoint whose weights a training begins with; ``from`` is no name in Python."""
    return typer.Option(
        "--from",
        metavar="REF",
        envvar=f"SHAKEGPT_{command}_FROM",
        help=help_text,
        autocompletion=complete_checkpoints,
        rich_help_panel=MODEL,
    )


def choices(kind: Any) -> str:
    """Return the values of a ``Literal`` as the help texts list them: ``auto|cpu|cuda|mps``."""
    return "|".join(get_args(kind))


DEVICE_METAVAR = f"{choices(DeviceKind)}|cuda:N"


def parse_device(text: str) -> str:
    """Return the name of a device as it is; raises ``typer.BadParameter`` where no device can have it."""
    try:
        check_device(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def complete_devices(incomplete: str) -> list[str]:
    """Return the kinds of devices that begin with ``incomplete``."""
    return [kind for kind in get_args(DeviceKind) if kind.startswith(incomplete)]


def with_training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a command's ``**changes`` into an option for each field of ``TrainingConfig`` and of a model's shape.

    The field's docstring is the option's help. An option that is not given is ``None``. In the help texts, these
    options come before the command's keyword-only ones.
    """
    kinds = get_type_hints(ModelConfig) | get_type_hints(TrainingConfig)
    help_texts = field_docs(ModelConfig) | field_docs(TrainingConfig)
    names = [field.name for field in fields(TrainingConfig) if field.name not in _NOT_OFFERED]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                kinds[name] | None,
                typer.Option(
                    f"--{name.replace('_', '-')}",
                    *_OTHER_NAMES.get(name, []),
                    metavar=DEVICE_METAVAR if name == "device" else _metavar(kinds[name]),
                    parser=parse_device if name == "device" else None,
                    autocompletion=complete_devices if name == "device" else None,
                    help=help_texts.get(name),
                    show_default=_default_of_field(name),
                    rich_help_panel=_GROUP_OF_FIELD.get(name, OPTIMIZATION),
                ),
            ],
        )
        for name in [*names, *_MODEL_FIELDS]
    ]
    *own, _changes = inspect.signature(command).parameters.values()
    positional = [parameter for parameter in own if parameter.kind != inspect.Parameter.KEYWORD_ONLY]
    keyword_only = own[len(positional) :]
    command.__signature__ = inspect.Signature([*positional, *options, *keyword_only])  # type: ignore[attr-defined]
    return command


def chosen_preset(context: typer.Context, preset: str, begin_from: str | None) -> str | None:
    """Return the preset that was asked for; none where a training begins from weights that have a shape already."""
    return preset if begin_from is None or is_typed(context, "preset") else None


def chosen_changes(context: typer.Context, changes: Mapping[str, Any], begin_from: str | None) -> dict[str, Any]:
    """Return the fields that were given.

    Where a training begins from weights, their shape is no matter of ``config.toml`` and the environment.
    """
    return {
        name: value
        for name, value in changes.items()
        if value is not None and (begin_from is None or name not in SHAPE_FIELDS or is_typed(context, name))
    }


def _metavar(kind: Any) -> str:
    return choices(kind) if get_origin(kind) is Literal else {int: "N", float: "X"}[kind]


def _default_of_field(name: str) -> str:
    """Return a field's default for the help texts: the default preset's, where presets differ."""
    preset = PRESETS[DEFAULT_PRESET]
    value = getattr(preset.model_config(1) if name in _MODEL_FIELDS else preset.training_config(), name)
    varies = any(name in {**other.model, **other.training} for other in PRESETS.values())
    return f"{DEFAULT_PRESET if varies else 'default'}: {format_number(value)}"
