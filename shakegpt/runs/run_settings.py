"""The settings of a run that bear on its result, as one flat row: what tells one run of a table from another."""

import types
import typing
from dataclasses import asdict, fields
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from shakegpt.config import ModelConfig, TrainingConfig, current_preset
from shakegpt.runs.run import RunMetadata

Setting = str | int | float | bool | None

_HOUSEKEEPING = frozenset({"save_every", "save_seconds", "keep", "sample_prompt", "sample_length"})
"""Settings of a training that change nothing it computes."""
_SESSION = frozenset({"device", "precision"})
"""Settings that say ``auto``, and that a resumed run may change: what they came to is in its ``started`` events."""


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


def _plain_type(kind: Any) -> type:
    """Return the type of a field's values, apart from ``None``."""
    if get_origin(kind) in (types.UnionType, typing.Union):
        kind = next(member for member in get_args(kind) if member is not types.NoneType)
    return str if get_origin(kind) is Literal else kind
