"""The fields of the new-run form, without widgets: their defaults, what is wrong with one, the request they make."""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from shakegpt.config import DEFAULT_PRESET, PRESETS, DeviceKind, PrecisionName, Preset, current_preset
from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE
from shakegpt.data.split import check_length, training_characters
from shakegpt.errors import ShakegptError
from shakegpt.runs.run import RunMetadata, check_run_name
from shakegpt.runs.speed import Speed, training_seconds
from shakegpt.system.paths import asset_path
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.training.model_fields import TYPICAL_VOCAB_SIZE, model_of, parse_shape, recipe

FILE = "file"
"""Stands among the corpora for a file of the user's."""
AUTO = "auto"
NUMBERS: dict[str, Callable[[str], int | float]] = {
    "steps": int,
    "batch_size": int,
    "learning_rate": float,
    "seed": int,
    "ema": float,
}
CHOICES: dict[str, tuple[str, ...]] = {"device": get_args(DeviceKind), "precision": get_args(PrecisionName)}
DEFAULTS: dict[str, str] = {
    "preset": DEFAULT_PRESET,
    "corpus": TINY_SHAKESPEARE,
    "file": "",
    "run": "",
    "begin_from": "",
    "shape": "",
    **dict.fromkeys(NUMBERS, ""),
    **dict.fromkeys(CHOICES, AUTO),
}
"""Every field of the form, as typed; a number left empty is the preset's."""


TINY_SHAKESPEARE_CHARACTERS = 1_115_394
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")
_LONGEST_CHARACTER = 4  # bytes in UTF-8
_MOST_CPU_WEIGHTS = 20_000_000
"""Above this, a run on a CPU takes weeks."""


@dataclass(frozen=True)
class Machine:
    """What is known of the machine: where it trains, ``None`` while that is unknown, and how fast."""

    device: str | None = None
    speeds: Mapping[str, Speed] = field(default_factory=dict)
    gpus: tuple[str, ...] = ()
    """The CUDA GPUs by their numbers, ``cuda:0`` and so on, where there are several."""
    visible_gpus: tuple[str, ...] = ()
    """All CUDA GPUs by the names that hide the others from a process."""
    cores: int = 1
    apple_gpu: bool = False


@dataclass(frozen=True)
class Plan:
    """What a form amounts to for one preset: steps, passes over the text where its length is known, and the time."""

    steps: int
    passes: float | None
    seconds: tuple[float, bool] | None
    """How long it takes here, and whether that was measured; ``None`` where it is not known."""

    @property
    def time(self) -> str:
        """How long it takes here, in words."""
        return "time not known yet" if self.seconds is None else f"{rough_time(*self.seconds)} here"


def weights(preset: str, shape: str = "") -> int:
    """Return about how many weights a preset has, in a shape of the user's if one is given."""
    return model_of(preset, shape).parameters


def text_characters(values: Mapping[str, str]) -> int | None:
    """Return about how many characters the chosen text has; ``None`` where there is no such file."""
    if values["corpus"] == TINY_SHAKESPEARE:
        return TINY_SHAKESPEARE_CHARACTERS
    try:
        path = asset_path("corpus/demo.txt") if values["corpus"] == DEMO else Path(values["file"].strip()).expanduser()
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def plan(
    values: Mapping[str, str],
    preset: str,
    machine: Machine,
    start: RunMetadata | None = None,
    *,
    threads: int | None = None,
) -> Plan:
    """Return what training a preset with these values takes on a machine; or what a checkpoint to begin from takes.

    ``threads`` is how many of them compute, where that may differ from what was measured.
    """
    values = _first_values(values)
    chosen = recipe(preset, start)
    model = start.model if start else model_of(preset, values["shape"] if preset == values["preset"] else "")
    training = chosen.training_config()
    with suppress(ValueError):
        training = chosen.training_config(batch_size=_number("batch_size", values["batch_size"]))
    characters, steps = text_characters(values), training.steps
    learned = training_characters(characters) if characters else None
    if learned is not None:
        steps = chosen.default_steps(learned, model, training)
    with suppress(ValueError):
        steps = int(_number("steps", values["steps"]))
    tokens = steps * training.batch_size * model.block_size
    training = replace(training, steps=max(1, steps))
    seconds = training_seconds(machine.speeds, start.preset if start else preset, model, training, threads=threads)
    return Plan(steps, tokens / learned if learned else None, seconds)


def warning(values: Mapping[str, str], machine: Machine) -> str:
    """Return a sentence where the chosen preset is far too large for the device; else nothing."""
    device = machine.device if values["device"] == AUTO else values["device"]
    if device != "cpu" or weights(values["preset"], values["shape"]) < _MOST_CPU_WEIGHTS:
        return ""
    return f"{values['preset']} takes weeks on a CPU: choose mini, or a machine with a GPU."


def rough_time(seconds: float, measured: bool) -> str:
    """Return a time that was worked out from speeds that were measured here, or from those of other models."""
    return f"{'about' if measured else 'perhaps'} {rough_duration(seconds)}"


def rough_duration(seconds: float) -> str:
    """Return a duration to two digits at most, in one unit, such as ``25 min``."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{float(f'{seconds / length:.2g}'):,.3g} {unit}"
    return f"{max(1, round(seconds)):d} s"


def valid_values(remembered: Mapping[str, str]) -> dict[str, str]:
    """Return a value for every field: the remembered one where it can be used again, or else the default."""
    values = {name: remembered.get(name, default) for name, default in DEFAULTS.items()}
    values["preset"] = current_preset(values["preset"])
    values["run"] = values["begin_from"] = ""  # the last one has its name; a model begins with nothing
    known: dict[str, tuple[str, ...]] = {"preset": tuple(PRESETS), "corpus": (TINY_SHAKESPEARE, DEMO, FILE), **CHOICES}
    return {
        name: DEFAULTS[name] if name in known and value not in known[name] else value for name, value in values.items()
    }


def split_values(name: str, text: str) -> list[str]:
    """Return the values of a number field: several are separated by commas, but the comma of 9,000 separates none."""
    if "," not in text or (name != "seed" and _THOUSANDS.fullmatch(text.strip())):
        return [text]
    return list(dict.fromkeys(part.strip() for part in text.split(",")))


def _first_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of the first run, where several are asked for."""
    return {**values, **{name: split_values(name, values[name])[0] for name in NUMBERS}}


def fine_tuning_values(remembered: Mapping[str, str], own_text: str) -> dict[str, str]:
    """Return the fields for a run that begins from a checkpoint: its own numbers, and not the text it learned from."""
    values = {**dict.fromkeys(NUMBERS, ""), "shape": ""}
    if remembered.get("corpus", TINY_SHAKESPEARE) == own_text:
        values["corpus"] = FILE if remembered.get("file") or own_text == DEMO else DEMO
    return values


def preset_value(preset: Preset, name: str) -> Any:
    """Return a preset's value of a field, used where that is left empty."""
    return getattr(preset.training_config(), name)


def field_error(values: Mapping[str, str], name: str) -> str:
    """Return in a sentence what is wrong with a field; empty where nothing is."""
    try:
        if name in NUMBERS:
            _check_numbers(PRESETS[values["preset"]], name, split_values(name, values[name]))
        elif name == "shape" and not values["begin_from"].strip():
            PRESETS[values["preset"]].model_config(TYPICAL_VOCAB_SIZE, **parse_shape(values["shape"]))
        elif name == "run" and values["run"]:
            check_run_name(values["run"])
        elif name == "file" and values["corpus"] == FILE:
            _check_file(values["file"])
            if not values["begin_from"].strip():
                _check_length(values["file"], model_of(values["preset"], values["shape"]).block_size)
    except (ValueError, ShakegptError) as error:
        return str(error)
    return ""


def training_request(values: Mapping[str, str]) -> TrainingRequest:
    """Return the request that the fields make, for the first of several runs. ``ValueError``: they do not fit."""
    preset, values = PRESETS[values["preset"]], _first_values(values)
    changes: dict[str, Any] = {name: _number(name, values[name]) for name in NUMBERS if values[name].strip()}
    changes |= {name: values[name] for name in CHOICES if values[name] != AUTO}
    preset.training_config(**changes)
    begin_from = values["begin_from"].strip() or None
    if begin_from is None:
        changes |= parse_shape(values["shape"])
    corpus = str(Path(values["file"].strip()).expanduser()) if values["corpus"] == FILE else values["corpus"]
    return TrainingRequest(
        preset=values["preset"] if begin_from is None else None,
        corpus=corpus,
        run_name=values["run"].strip() or None,
        changes=changes,
        begin_from=begin_from,
    )


def _check_numbers(preset: Preset, name: str, texts: Sequence[str]) -> None:
    for text in texts:
        if text.strip():
            preset.training_config(**{name: _number(name, text)})  # checks the value
        elif len(texts) > 1:
            raise ValueError("Give a number on each side of a comma.")


def _number(name: str, text: str) -> int | float:
    kind = NUMBERS[name]
    try:
        return kind(text.strip().replace(",", ""))
    except ValueError:
        wanted = "a whole number" if kind is int else "a number such as 1e-3"
        raise ValueError(f"This must be {wanted}, not {text.strip()!r}.") from None


def _check_file(text: str) -> None:
    path = Path(text.strip()).expanduser()
    if not text.strip():
        raise ValueError("Choose a text file, or one of the texts that have a name.")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; choose one text file in it.")
    if not path.is_file():
        raise ValueError(f"There is no file {path}.")


def _check_length(text: str, block_size: int) -> None:
    """Refuse a text that is too short for a window: by its bytes, or by its characters where it is that small."""
    path = Path(text.strip()).expanduser()
    try:
        characters = path.stat().st_size
        if characters < _LONGEST_CHARACTER * 10 * (block_size + 1):
            characters = len(path.read_text(encoding="utf-8", errors="ignore"))
    except OSError:
        return  # the start will say so
    check_length(path.name, characters, block_size)
