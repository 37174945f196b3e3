"""What the app remembers: the theme, how text is generated and shown, the prompts and the last new-run form."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from shakegpt.config import SamplingConfig
from shakegpt.system.paths import preferences_file

ENDLESS = 10**9
"""The length of a text that goes on until it is stopped: at 2,000 characters a second, for six days."""
DEFAULT_SAMPLING = SamplingConfig(length=ENDLESS)
"""What the app's knobs begin with."""
DEFAULT_SPEED = 40
MAX_PROMPTS = 100
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """The user's choices."""

    theme: str = ""
    """The theme; where it is empty, the app chooses one that the terminal can show."""
    sampling: SamplingConfig = DEFAULT_SAMPLING
    speed: int = DEFAULT_SPEED
    """Characters generated per second, at most; 0 is as fast as the model is."""
    speaking: bool = True
    """Whether text was being generated when the generation screen was last used: if so, it begins unasked."""
    odds: bool | None = None
    """Whether the odds of the next character are shown; ``None`` until the user chooses: where there is room."""
    tint: bool | None = None
    """Whether characters are coloured by surprise; ``None`` until the user chooses: where there is room."""
    prompts: tuple[str, ...] = ()
    """Prompts used before, newest first."""
    new_run: Mapping[str, str] = field(default_factory=dict)
    """The fields of the last new-run form, as typed."""

    def with_prompt(self, prompt: str) -> Self:
        """Return these preferences with ``prompt`` as the newest of the history."""
        others = (old for old in self.prompts if old != prompt)
        return replace(self, prompts=(prompt, *others)[:MAX_PROMPTS])


def load_preferences(path: Path | None = None) -> Preferences:
    """Read the preferences; a field that is missing or not valid has its default."""
    try:
        with (path or preferences_file()).open("rb") as file:
            values = json.loads(file.read(_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return Preferences()
    if not isinstance(values, dict):
        return Preferences()
    valid: dict[str, Any] = {}
    if isinstance(theme := values.get("theme"), str):
        valid["theme"] = theme
    if isinstance(sampling := values.get("sampling"), dict):
        valid["sampling"] = _parse_sampling(sampling)
        if "speed" not in values and valid["sampling"].length == SamplingConfig.length:
            # A file of the time when 400 characters were the app's default: nobody chose them.
            valid["sampling"] = replace(valid["sampling"], length=ENDLESS)
    if isinstance(speed := values.get("speed"), int) and not isinstance(speed, bool) and speed >= 0:
        valid["speed"] = speed
    for name in ("speaking", "odds", "tint"):
        if isinstance(chosen := values.get(name), bool):
            valid[name] = chosen
    if isinstance(prompts := values.get("prompts"), list):
        valid["prompts"] = tuple(prompt for prompt in prompts if isinstance(prompt, str))[:MAX_PROMPTS]
    if isinstance(new_run := values.get("new_run"), dict):
        valid["new_run"] = {name: value for name, value in new_run.items() if isinstance(value, str)}
    return Preferences(**valid)


def save_preferences(preferences: Preferences, path: Path | None = None) -> None:
    """Write the preferences atomically to a private file. Raises ``OSError``."""
    path = path or preferences_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    values = {**asdict(preferences), "new_run": dict(preferences.new_run)}
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(values, file, indent=2)
    partial.replace(path)


def _parse_sampling(values: dict[str, Any]) -> SamplingConfig:
    """Return the settings, without the fields that are not valid."""
    config = DEFAULT_SAMPLING
    for field_ in fields(SamplingConfig):
        if field_.name in values:
            value = values[field_.name]
            try:
                change: dict[str, Any] = {field_.name: tuple(value) if field_.name == "stop" else value}
                config = replace(config, **change)
            except (ValueError, TypeError):
                continue
    return config
