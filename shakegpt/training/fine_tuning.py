"""Training that begins from the weights of a checkpoint, on another text: where it begins, and how gently."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from shakegpt.config import PRESETS, ModelConfig, Preset, current_preset
from shakegpt.errors import UsageError
from shakegpt.model.gpt import GPT
from shakegpt.runs.checkpoint import Checkpoint
from shakegpt.runs.manifest import MODEL_FILE
from shakegpt.runs.store import Store


@dataclass(frozen=True, kw_only=True)
class StartingPoint:
    """A checkpoint whose weights a training begins from."""

    reference: str
    checkpoint: Checkpoint
    preset: str
    """The preset whose training suits it."""

    @property
    def sha256(self) -> str:
        """The hash of its weights file."""
        return self.checkpoint.manifest.files[MODEL_FILE].sha256


def open_starting_point(store: Store, reference: str) -> StartingPoint:
    """Read the checkpoint to begin from. Raises ``ShakegptError`` where there is none, or it is damaged."""
    info, checkpoint = store.read(reference)
    metadata = store.metadata(info)
    name = current_preset(metadata.preset) if metadata else ""
    if name not in PRESETS:  # it was imported, or is a folder by itself
        name = min(PRESETS, key=lambda preset: _size_difference(PRESETS[preset], checkpoint.config))
    return StartingPoint(reference=info.reference, checkpoint=checkpoint, preset=name)


def _size_difference(preset: Preset, config: ModelConfig) -> float:
    return abs(math.log(preset.model_config(config.vocab_size).parameters / config.parameters))


def check_shape(start: StartingPoint, preset: str | None, changes: Mapping[str, int]) -> None:
    """Check that what a user asks for is the shape of the checkpoint, which the weights fix.

    Args:
        start: where training begins.
        preset: the preset that was asked for, if any.
        changes: fields of the shape that were asked for.

    Raises:
        UsageError: it is another one.
    """
    asked = PRESETS[preset].model_config(1).shape if preset is not None else {}
    shape = start.checkpoint.config.shape
    wrong = {name: value for name, value in {**asked, **changes}.items() if value != shape[name]}
    if wrong:
        name, value = next(iter(wrong.items()))
        raise UsageError(
            f"{start.reference} has {name} {shape[name]}, not {value}: a training that begins from it keeps its shape."
        )


@torch.no_grad()
def load_weights(model: GPT, weights: Mapping[str, Tensor]) -> None:
    """Copy the weights of a model of the same shape, whose vocabulary is the beginning of this one's.

    The rows of the characters that come after it, which the tied head reads too, stay as they were drawn.
    """
    own = model.state_dict()
    for name, weight in weights.items():
        own[name][: len(weight)].copy_(weight)
