"""What the app remembers from one day to the next: theme, knobs, prompts, the last form."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from shakegpt.config import SamplingConfig
from shakegpt.system.paths import preferences_file

PROMPTS_KEPT = 100
_LARGEST_FILE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """The user's choices. Whatever cannot be read back is simply the default."""

    theme: str = ""
    """The theme chosen; while none has been, the app picks one that the terminal can show."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    prompts: tuple[str, ...] = ()
    """Prompts used before, newest first."""
    new_run: Mapping[str, str] = field(default_factory=dict)
    """The fields of the last new-run form, as typed."""

    def with_prompt(self, prompt: str) -> Self:
        """Return these preferences with ``prompt`` as the newest of the history."""
        others = (old for old in self.prompts if old != prompt)
        return replace(self, prompts=(prompt, *others)[:PROMPTS_KEPT])


def load_preferences(path: Path | None = None) -> Preferences:
    """Read the preferences; a missing, damaged or hostile file gives the defaults, field by field."""
    try:
        with (path or preferences_file()).open("rb") as file:
            values = json.loads(file.read(_LARGEST_FILE))
    except (OSError, ValueError, RecursionError):
        return Preferences()
    if not isinstance(values, dict):
        return Preferences()
    good: dict[str, Any] = {}
    if isinstance(theme := values.get("theme"), str):
        good["theme"] = theme
    if isinstance(sampling := values.get("sampling"), dict):
        good["sampling"] = _sampling(sampling)
    if isinstance(prompts := values.get("prompts"), list):
        good["prompts"] = tuple(prompt for prompt in prompts if isinstance(prompt, str))[:PROMPTS_KEPT]
    if isinstance(new_run := values.get("new_run"), dict):
        good["new_run"] = {name: value for name, value in new_run.items() if isinstance(value, str)}
    return Preferences(**good)


def save_preferences(preferences: Preferences, path: Path | None = None) -> None:
    """Write the preferences in one move, for the user's eyes only. Raises ``OSError``."""
    path = path or preferences_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{os.getpid()}")
    values = {**asdict(preferences), "new_run": dict(preferences.new_run)}
    building.unlink(missing_ok=True)
    with open(os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(values, file, indent=2)
    building.replace(path)


def _sampling(values: dict[str, Any]) -> SamplingConfig:
    """Return the settings that make sense together, one field at a time."""
    config = SamplingConfig()
    for known in fields(SamplingConfig):
        if known.name in values:
            value = values[known.name]
            try:
                change: dict[str, Any] = {known.name: tuple(value) if known.name == "stop" else value}
                config = replace(config, **change)
            except (ValueError, TypeError):
                continue
    return config
