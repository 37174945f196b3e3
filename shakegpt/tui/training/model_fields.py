"""Two fields of the new-run form: the model's shape on top of the preset's, and the checkpoint to begin from."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from shakegpt.config import PRESETS, SHAPE_FIELDS, ModelConfig, Preset, current_preset
from shakegpt.errors import ShakegptError
from shakegpt.runs.run import RunMetadata
from shakegpt.runs.store import Store
from shakegpt.system.text import count

TYPICAL_VOCAB_SIZE = 65
"""The vocabulary of Tiny Shakespeare, to estimate how large a model will be."""

ReadStart = Callable[[str], RunMetadata | None]
"""Returns what is known of the checkpoint that a reference names. Raises ``ShakegptError`` where there is none."""


def read_start(store: Store, reference: str) -> RunMetadata | None:
    """Return what is known of the checkpoint that a reference names; a ``ReadStart``, of a store."""
    return store.metadata(store.find(reference))


def parse_shape(text: str) -> dict[str, int]:
    """Return the fields of a shape such as ``n_layer=4 d_model=128``; none of an empty text.

    Raises:
        ValueError: it is not of this form; the message says how to write it.
    """
    shape: dict[str, int] = {}
    for part in text.split():
        name, _, value = part.partition("=")
        name = name.lstrip("-").replace("-", "_")
        if name not in SHAPE_FIELDS or not (value.isascii() and value.isdigit()):
            raise ValueError(f"Write it as n_layer=4 d_model=128, with any of {', '.join(SHAPE_FIELDS)}.")
        shape[name] = int(value)
    return shape


def model_of(preset: str, shape: str) -> ModelConfig:
    """Return the model of a preset and a shape; the preset's own where the shape cannot be used."""
    with suppress(ValueError):
        return PRESETS[preset].model_config(TYPICAL_VOCAB_SIZE, **parse_shape(shape))
    return PRESETS[preset].model_config(TYPICAL_VOCAB_SIZE)


def recipe(preset: str, start: RunMetadata | None) -> Preset:
    """Return the training of a preset, or the gentle one of the checkpoint to begin from."""
    if start is None:
        return PRESETS[preset]
    own = current_preset(start.preset)
    return PRESETS[own if own in PRESETS else preset].gentle()


def describe_shape(model: ModelConfig) -> str:
    """Return a shape in a few words."""
    return f"{count(model.n_layer, 'block')}, {count(model.n_head, 'head')}, width {model.d_model}"


def begin_hint(values: Mapping[str, str], start: RunMetadata | None) -> str:
    """Return what stands beside the checkpoint to begin from."""
    if not values["begin_from"].strip():
        return "nothing; or pretrained, or a run"
    return "" if start is None else describe_shape(start.model)


def begin_error(text: str, read: ReadStart | None) -> tuple[RunMetadata | None, str]:
    """Return what is known of the checkpoint that was typed, and what is wrong with it, in a sentence."""
    if not text.strip() or read is None:
        return None, ""
    try:
        return read(text.strip()), ""
    except ShakegptError as error:
        return None, str(error)
