"""The options of ``shakegpt sweep``: those of ``train``, each of which may have several values separated by commas."""

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

import typer

from shakegpt.cli.help import MODEL, Command
from shakegpt.cli.notify import lines_of
from shakegpt.cli.train import train
from shakegpt.config import PRESETS, SHAPE_FIELDS, ModelConfig, TrainingConfig, current_preset
from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE, known_corpora
from shakegpt.data.split import training_characters
from shakegpt.errors import UsageError

_OWN = ("context", "run", "resume", "json")
"""Parameters of ``train`` that a sweep sets itself."""
_FOLDERS = ("tensorboard",)
"""Options that name a folder, of which each run gets its own part."""
_TRAINING_FIELDS = tuple(field.name for field in fields(TrainingConfig))
_MODEL_FIELDS = (*SHAPE_FIELDS, "dropout")
_TYPICAL_VOCAB_SIZE = 65
_PREFIX = "SHAKEGPT_TRAIN_"


@dataclass(frozen=True)
class _TrainOption:
    """An option of ``train``: its name, what Typer knows of it, and how it takes values."""

    name: str
    info: Any
    is_flag: bool
    repeats: bool

    @property
    def names(self) -> list[str]:
        """Its names on the command line, the longest-known first: ``--learning-rate``, ``--lr``."""
        given = [self.info.default, *(self.info.param_decls or ())]  # within Annotated, Typer takes the first for one
        return [name for name in given if isinstance(name, str)] or [f"--{self.name.replace('_', '-')}"]

    @property
    def long_name(self) -> str:
        """Its first name, without dashes: ``learning-rate``."""
        return self.names[0].removeprefix("--")

    @property
    def of_the_run(self) -> bool:
        """Whether it makes the run what it is, so that a resumed run has it already."""
        return self.name in _TRAINING_FIELDS or self.info.rich_help_panel == MODEL


def _train_options() -> dict[str, _TrainOption]:
    options = {}
    for name, parameter in inspect.signature(train).parameters.items():
        if name in _OWN:
            continue
        annotation, *metadata = get_args(parameter.annotation)
        if get_origin(parameter.annotation) is not Annotated or not isinstance(metadata[0], typer.models.OptionInfo):
            raise TypeError(f"train's {name} is no option")
        kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        repeats = any(get_origin(kind) is list for kind in kinds)
        options[name] = _TrainOption(name, metadata[0], bool in kinds, repeats)
    return options


TRAIN_OPTIONS = _train_options()


def with_options_of_train(command: Callable[..., None]) -> Callable[..., None]:
    """Turn a command's ``**options`` into the options of ``train``, as texts that are not parsed yet."""
    *own, _options = inspect.signature(command).parameters.values()
    parameters = []
    for option in TRAIN_OPTIONS.values():
        kind: Any = bool if option.is_flag else list[str] if option.repeats else str
        info = option.info
        settings: dict[str, Any] = {}
        if not option.is_flag:
            settings = {"metavar": info.metavar, "autocompletion": info.autocompletion}
        offered = typer.Option(
            *option.names,
            help=info.help,
            rich_help_panel=info.rich_help_panel,
            show_default=False,
            envvar=info.envvar and str(info.envvar).replace("_TRAIN_", "_SWEEP_"),
            **settings,
        )
        parameters.append(
            inspect.Parameter(
                option.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Annotated[kind | None, offered],
            )
        )
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own), *parameters]
    )
    return command


@dataclass(frozen=True)
class SweepOptions:
    """The options of a sweep, by their names on the command line; a switch has no value."""

    varied: dict[str, list[str]]
    of_the_runs: dict[str, list[str]]
    of_the_session: dict[str, list[str]]


def split_options(given: Mapping[str, Any], context: typer.Context) -> SweepOptions:
    """Return what was given: what varies, what all runs have, and what concerns only the process that trains them.

    What ``config.toml`` and the environment say of ``train`` is written out, so that a plan means the same elsewhere.
    """
    defaults: Mapping[str, Any] = (context.find_root().default_map or {}).get("train", {})
    varied: dict[str, list[str]] = {}
    of_the_runs: dict[str, list[str]] = {}
    of_the_session: dict[str, list[str]] = {}
    for name, option in TRAIN_OPTIONS.items():
        value = given.get(name)
        if value is None or value == []:
            value = os.environ.get(str(option.info.envvar or _PREFIX + name.upper())) or defaults.get(name)
        if value is None or value in (False, []):
            continue
        if option.is_flag:
            values = []
        elif option.repeats:
            values = [str(one) for one in value] if isinstance(value, list | tuple) else lines_of(str(value))
        else:
            values = _split(name, str(value))
        if name in _FOLDERS:
            values = [str(Path(values[0]).expanduser().absolute() / "{run}")]
        target = of_the_runs if option.of_the_run else of_the_session
        if len(values) > 1 and not option.repeats:
            target = varied
        target[option.long_name] = values
    return SweepOptions(varied, of_the_runs, of_the_session)


def _split(name: str, text: str) -> list[str]:
    values = [text] if name == "corpus" and Path(text).expanduser().is_file() else text.split(",")
    values = list(dict.fromkeys(value.strip() for value in values))
    if not all(values):
        raise UsageError(f"--{name.replace('_', '-')} {text} has an empty value; separate the values by single commas.")
    if name == "corpus":  # a resumed sweep may be in another folder
        names = {corpus.name for corpus in known_corpora()}
        files = {value: Path(value).expanduser() for value in values}
        values = [
            value if value in names or not file.is_file() else str(file.absolute()) for value, file in files.items()
        ]
    return values


@dataclass(frozen=True)
class ParsedRun:
    """What a command line of ``train`` asks for, as far as it is known before it begins."""

    preset: str
    model: ModelConfig
    """For a vocabulary of the usual size."""
    training: TrainingConfig
    fine_tunes: bool
    """Whether it begins from a checkpoint, which sets what is not given here."""


def parse_run(arguments: Sequence[str]) -> ParsedRun:
    """Return what the arguments of ``train`` ask for.

    Raises:
        UsageError: a value is invalid, or there is no such preset.
    """
    application = typer.Typer()
    application.command(cls=Command)(train)
    command: Any = typer.main.get_command(application)
    values = command.make_context("shakegpt train", list(arguments[1:])).params
    name = current_preset(values["preset"])
    if name not in PRESETS:
        raise UsageError(f"There is no preset {values['preset']!r}; the presets are {', '.join(PRESETS)}.")
    preset = PRESETS[name]
    changes = {field: values[field] for field in _TRAINING_FIELDS if values.get(field) is not None}
    try:
        model = preset.model_config(_TYPICAL_VOCAB_SIZE, **{field: values[field] for field in _MODEL_FIELDS})
        training = preset.training_config(**changes)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if "steps" not in changes and (size := text_bytes(values["corpus"])):
        steps = preset.default_steps(training_characters(size), model, training)
        training = preset.training_config(**changes, steps=steps)
    return ParsedRun(name, model, training, values["begin_from"] is not None)


def text_bytes(corpus: str | None) -> int | None:
    """Return about how long a text is; ``None`` where that cannot be known without fetching it."""
    entries = {entry.name: entry for entry in known_corpora()}
    entry = entries.get(corpus or TINY_SHAKESPEARE)
    if corpus is None and entry is not None and not entry.on_disk:
        entry = entries[DEMO]
    path = entry.path if entry is not None else Path(corpus or "").expanduser()
    return path.stat().st_size if path.is_file() else None
