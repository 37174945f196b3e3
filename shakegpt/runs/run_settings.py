"""The settings of a run that bear on its result, as one flat row: what tells one run of a table from another."""

import types
import typing
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from shakegpt.config import ModelConfig, TrainingConfig, current_preset
from shakegpt.errors import UsageError
from shakegpt.runs.run import RunMetadata
from shakegpt.system.text import escape_line

Setting = str | int | float | bool | None

_HOUSEKEEPING = frozenset({"save_every", "save_seconds", "keep", "sample_prompt", "sample_length"})
"""Settings of a training that change nothing it computes."""
_SESSION = frozenset({"device", "precision"})
"""Settings that say ``auto``, and that a resumed run may change: what they came to is in its ``started`` events."""
_SHORT_NAMES = {"lr": "learning_rate"}


def settings_of(metadata: RunMetadata) -> dict[str, Setting]:
    """Return what a run was asked to be: its preset, text and parent, its model's shape, its training's numbers."""
    values = {
        "preset": current_preset(metadata.preset),
        "corpus": metadata.corpus,
        "resumed_from": metadata.resumed_from,
        "parameters": metadata.model.parameters,
        **asdict(metadata.model),
        **asdict(metadata.training),
    }
    return {name: values[name] for name in setting_types()}


@cache
def setting_types() -> dict[str, type]:
    """Return the name and the type of each of ``settings_of``, in its order."""
    configured = {
        field.name: _plain_type(get_type_hints(config)[field.name])
        for config in (ModelConfig, TrainingConfig)
        for field in fields(config)
        if field.name not in _HOUSEKEEPING | _SESSION
    }
    return {"preset": str, "corpus": str, "resumed_from": str, "parameters": int, **configured}


@dataclass(frozen=True)
class SettingFilter:
    """A setting and the value that the runs wanted have, such as ``learning_rate=2e-3``."""

    name: str
    value: Setting

    @classmethod
    def parse(cls, text: str) -> "SettingFilter":
        """Return the filter of a text ``NAME=VALUE``; the name may be spelt as an option is: ``learning-rate``, ``lr``.

        Raises:
            UsageError: it is of another form, there is no such setting, or the value is none of its kind.
        """
        written, equals, value = text.partition("=")
        name = written.strip().removeprefix("--").replace("-", "_")
        name = _SHORT_NAMES.get(name, name)
        kind, value = setting_types().get(name), value.strip()
        if not equals or not value:
            raise UsageError(f"'{escape_line(text)}' is no setting with a value; write one as learning_rate=2e-3.")
        if kind is None:
            close = get_close_matches(name, setting_types(), n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(setting_types())}."
            raise UsageError(f"There is no setting {escape_line(written.strip())}; {hint}")
        if kind is str:
            return cls(name, current_preset(value) if name == "preset" else value)
        try:
            return cls(name, float(value.replace("_", "")))  # 2e3 is an integer too
        except ValueError:
            raise UsageError(f"{name}={escape_line(value)} is no number.") from None

    def matches(self, metadata: RunMetadata) -> bool:
        """Return whether a run has the value."""
        return settings_of(metadata)[self.name] == self.value


def _plain_type(kind: Any) -> type:
    """Return the type of a field's values, apart from ``None``."""
    if get_origin(kind) in (types.UnionType, typing.Union):
        kind = next(member for member in get_args(kind) if member is not types.NoneType)
    return str if get_origin(kind) is Literal else kind
