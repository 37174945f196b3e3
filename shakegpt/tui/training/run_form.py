"""The fields of the new-run form, without widgets: their defaults, what is wrong with one, the request they make."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from shakegpt.config import DEFAULT_PRESET, PRESETS, DeviceName, PrecisionName, Preset, current_preset
from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE
from shakegpt.errors import ShakegptError
from shakegpt.runs.run import check_run_name
from shakegpt.training.setup import TrainingRequest

FILE = "file"
"""Stands among the corpora for a file of the user's."""
AUTO = "auto"
NUMBERS: dict[str, Callable[[str], int | float]] = {
    "steps": int,
    "batch_size": int,
    "learning_rate": float,
    "seed": int,
}
CHOICES: dict[str, tuple[str, ...]] = {"device": get_args(DeviceName), "precision": get_args(PrecisionName)}
DEFAULTS: dict[str, str] = {
    "preset": DEFAULT_PRESET,
    "corpus": TINY_SHAKESPEARE,
    "file": "",
    "run": "",
    **dict.fromkeys(NUMBERS, ""),
    **dict.fromkeys(CHOICES, AUTO),
}
"""Every field of the form, as typed; a number left empty is the preset's."""


def valid_values(remembered: Mapping[str, str]) -> dict[str, str]:
    """Return a value for every field: the remembered one where it is still valid, or else the default."""
    values = {name: remembered.get(name, default) for name, default in DEFAULTS.items()}
    values["preset"] = current_preset(values["preset"])
    known: dict[str, tuple[str, ...]] = {"preset": tuple(PRESETS), "corpus": (TINY_SHAKESPEARE, DEMO, FILE), **CHOICES}
    return {
        name: DEFAULTS[name] if name in known and value not in known[name] else value for name, value in values.items()
    }


def preset_value(preset: str, name: str) -> Any:
    """Return the preset's value of a field, used where that is left empty."""
    return getattr(PRESETS[preset].training_config(), name)


def field_error(values: Mapping[str, str], name: str) -> str:
    """Return in a sentence what is wrong with a field; empty where nothing is."""
    try:
        if name in NUMBERS:
            _check_number(PRESETS[values["preset"]], name, values[name])
        elif name == "run" and values["run"]:
            check_run_name(values["run"])
        elif name == "file" and values["corpus"] == FILE:
            _check_file(values["file"])
    except (ValueError, ShakegptError) as error:
        return str(error)
    return ""


def training_request(values: Mapping[str, str]) -> TrainingRequest:
    """Return the request that the fields make. Raises ``ValueError`` where they do not fit together."""
    preset = PRESETS[values["preset"]]
    changes: dict[str, Any] = {name: _number(name, values[name]) for name in NUMBERS if values[name].strip()}
    changes |= {name: values[name] for name in CHOICES if values[name] != AUTO}
    preset.training_config(**changes)
    corpus = str(Path(values["file"].strip()).expanduser()) if values["corpus"] == FILE else values["corpus"]
    return TrainingRequest(
        preset=values["preset"], corpus=corpus, run_name=values["run"].strip() or None, changes=changes
    )


def _check_number(preset: Preset, name: str, text: str) -> None:
    if text.strip():
        preset.training_config(**{name: _number(name, text)})  # checks the value


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
