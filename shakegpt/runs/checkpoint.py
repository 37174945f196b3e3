"""One checkpoint on disk: written so that it is whole or absent, and verified before a number of it is used.

A checkpoint is data from strangers. Reading one runs no code; its files are bounded, hashed and checked against the
shapes that its own ModelConfig asks for before a tensor is made.
"""

import errno
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import torch
from safetensors import torch as safetensors_torch
from torch import Tensor

from shakegpt.config import ModelConfig, Precision, TrainingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CheckpointError
from shakegpt.model.gpt import GPT
from shakegpt.runs.manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    SCHEMA,
    TRAINING_FILE,
    FileEntry,
    Manifest,
    read_manifest,
    read_verified,
)
from shakegpt.system.files import new_folder, sha256, write_synced
from shakegpt.system.json_records import parse_json, parse_record
from shakegpt.system.text import escape_line

# The one metadata key: safetensors writes several in an order that differs between processes, and equal states must
# give equal bytes.
_METADATA_KEY = "shakegpt"
_LARGEST_HEADER = 8 * 1024**2
_LARGEST_FILE = 4 * 1024**3
_LARGEST_CACHE = 1024**3
_LARGEST_COUNT = 10**12


@dataclass(frozen=True, kw_only=True)
class ModelMetadata:
    """What stands beside the weights: enough to generate."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    schema: int
    model: ModelConfig
    vocabulary: str


@dataclass(frozen=True, kw_only=True)
class TrainingMetadata:
    """What stands beside the optimizer's tensors: with them, enough to resume exactly.

    Batches, dropout masks and samples are functions of (seed, step), so no generator's state is kept.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    schema: int
    step: int
    tokens: int
    training: TrainingConfig
    preset: str
    corpus: str
    corpus_sha256: str
    precision: str
    device: str
    threads: int
    versions: dict[str, str]
    best_step: int | None
    best_val_loss: float | None
    train_loss_sum: float
    """Over the steps since the last evaluation, for its training loss."""
    train_loss_count: int
    accumulate: int
    """Micro-batches now: more than the configuration asks for after memory ran out."""
    non_finite: int
    """Steps in a row before this one that were skipped, since they were not finite."""
    rollbacks: int
    """How often the run went back to a good checkpoint after losses that were not finite."""
    learning_rate_scale: float
    """What rolling back has left of the learning rate."""


@dataclass(frozen=True)
class SavedTrainingState:
    """A record and the tensors that go with it: optimizer moments and the gradient scaler."""

    metadata: TrainingMetadata
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class CheckpointData:
    """What a checkpoint is made of."""

    config: ModelConfig
    vocabulary: Vocabulary
    weights: Mapping[str, Tensor]
    step: int
    val_loss: float | None = None
    """In nats per character, where the step was evaluated."""
    seconds: float = 0.0
    """Time spent training."""
    training_state: SavedTrainingState | None = None
    """What resuming needs; without it, a checkpoint can only speak."""


@dataclass(frozen=True)
class EncodedCheckpoint:
    """The bytes of a checkpoint's files, and the manifest that vouches for them."""

    manifest: Manifest
    files: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint that was read and verified."""

    path: Path
    manifest: Manifest
    config: ModelConfig
    vocabulary: Vocabulary
    weights: Mapping[str, Tensor]

    def model(self) -> GPT:
        """Return the model, in evaluation mode on the CPU."""
        return build_model(self.config, self.weights).eval()

    def read_training_state(self) -> SavedTrainingState:
        """Read what resuming needs.

        Raises:
            CheckpointError: it is missing or damaged, or the checkpoint ships without it.
        """
        if TRAINING_FILE not in self.manifest.files:
            raise CheckpointError(
                f"The checkpoint {self.path.name} has weights only, so training cannot go on from it."
            )
        data = read_verified(self.path, self.manifest, TRAINING_FILE, _LARGEST_FILE)
        text, shapes = _read_header(data, self.path / TRAINING_FILE)
        try:
            record = parse_record(text, TrainingMetadata)
        except ValueError as error:
            raise _damaged(self.path / TRAINING_FILE, error) from None
        if record.schema != SCHEMA or record.step != self.manifest.step or not _is_sensible(record):
            raise _damaged(self.path / TRAINING_FILE, "its fields do not fit together")
        if shapes != _training_shapes(self.config, scaled=record.precision == "fp16"):
            raise _damaged(self.path / TRAINING_FILE, "its tensors do not fit the model")
        tensors = _load_finite(data, self.path / TRAINING_FILE)
        if any(bool((tensor < 0).any()) for name, tensor in tensors.items() if not name.startswith(_SIGNED)):
            raise _damaged(self.path / TRAINING_FILE, "a mean of squares or a count is negative")
        return SavedTrainingState(record, tensors)


def build_model(config: ModelConfig, weights: Mapping[str, Tensor]) -> GPT:
    """Return a model that owns copies of these weights."""
    model = GPT(config)
    model.load_state_dict(dict(weights))
    return model


def write_checkpoint(folder: Path, contents: CheckpointData) -> Manifest:
    """Write a checkpoint to a new folder. Whatever happens, it is afterwards absent or whole.

    Raises:
        OSError: the disk is full, read-only or broken; what was begun is removed as far as that is possible.
        FileExistsError: the folder exists.
    """
    if folder.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    encoded = encode_checkpoint(contents)
    write_encoded(folder, encoded)
    return encoded.manifest


def encode_checkpoint(contents: CheckpointData) -> EncodedCheckpoint:
    """Return the bytes of a checkpoint. The same state gives the same, but for the ``seconds`` of the manifest."""
    record = ModelMetadata(schema=SCHEMA, model=contents.config, vocabulary=contents.vocabulary.characters)
    files = {}
    if contents.training_state is not None:  # the larger one first: making its bytes takes as much again for a moment
        files[TRAINING_FILE] = _serialise(contents.training_state.tensors, contents.training_state.metadata)
    files[MODEL_FILE] = _serialise(contents.weights, record)
    manifest = Manifest(
        schema=SCHEMA,
        step=contents.step,
        val_loss=contents.val_loss,
        seconds=contents.seconds,
        parameters=contents.config.parameters,
        files={name: FileEntry(size=len(data), sha256=sha256(data)) for name, data in files.items()},
    )
    return EncodedCheckpoint(manifest, files)


def write_encoded(folder: Path, encoded: EncodedCheckpoint) -> None:
    """Write a checkpoint's bytes, in place of a checkpoint that is there.

    Raises:
        OSError: as ``write_checkpoint``.
    """
    with new_folder(folder, replace=True) as partial:
        for name, data in encoded.files.items():
            write_synced(partial / name, data)
        write_synced(partial / MANIFEST_FILE, encoded.manifest.to_json())


def matches_disk(folder: Path, encoded: EncodedCheckpoint) -> bool:
    """Say whether a folder has these very bytes, its manifest aside."""
    try:
        manifest = read_manifest(folder)
        return manifest.files == encoded.manifest.files and all(
            read_verified(folder, manifest, name, _LARGEST_FILE) == data for name, data in encoded.files.items()
        )
    except CheckpointError:
        return False


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        CheckpointError: it is missing, damaged, hostile or from a newer shakegpt; the message says which.
    """
    manifest = read_manifest(folder)
    path = folder / MODEL_FILE
    data = read_verified(folder, manifest, MODEL_FILE, _LARGEST_FILE)
    text, shapes = _read_header(data, path)
    try:
        record = parse_record(text, ModelMetadata)
        vocabulary = Vocabulary(record.vocabulary)
    except ValueError as error:
        raise _damaged(path, error) from None
    if record.schema != SCHEMA:
        raise _damaged(path, f"it has schema {record.schema} where its manifest has {SCHEMA}")
    if len(vocabulary) != record.model.vocab_size:
        raise _damaged(path, f"{len(vocabulary)} characters for a vocabulary of {record.model.vocab_size}")
    if _cache_bytes(record.model) > _LARGEST_CACHE:
        raise _damaged(path, "its configuration asks for an absurd amount of memory to generate")
    # The cheap comparisons come first: a model of these shapes is only made, without memory, where the sizes agree.
    sizes_agree = record.model.parameters == manifest.parameters and record.model.parameters * 4 <= len(data)
    if not sizes_agree or shapes != record.model.weight_shapes:
        raise _damaged(path, "its weights do not have the shapes that its configuration asks for")
    weights = _load_finite(data, path)
    return Checkpoint(path=folder, manifest=manifest, config=record.model, vocabulary=vocabulary, weights=weights)


def _cache_bytes(config: ModelConfig) -> int:
    """Return the size of the keys and values that decoding one stream remembers."""
    return 2 * 4 * config.n_layer * config.block_size * config.d_model


_SIGNED = "optimizer.exp_avg."  # the only numbers of the optimizer that may be negative


def _training_shapes(config: ModelConfig, *, scaled: bool) -> dict[str, tuple[int, ...]]:
    single = ["optimizer.step"] + ["scaler.scale", "scaler.growth_tracker"] * scaled
    return dict.fromkeys(single, ()) | {
        f"optimizer.{moment}.{name}": shape
        for moment in ("exp_avg", "exp_avg_sq")
        for name, shape in config.weight_shapes.items()
    }


def _is_sensible(record: TrainingMetadata) -> bool:
    """Say whether a record's numbers could be a training's."""
    counts = (record.step, record.tokens, record.train_loss_count, record.rollbacks, record.non_finite)
    return (
        all(0 <= count <= _LARGEST_COUNT for count in counts)
        and record.train_loss_count <= record.step
        and record.precision in get_args(Precision)
        and record.threads >= 1
        and 1 <= record.accumulate <= record.training.batch_size
        and 0 < record.learning_rate_scale <= 1
        and math.isfinite(record.train_loss_sum)
        and (record.best_val_loss is None or math.isfinite(record.best_val_loss))
        and (record.best_val_loss is None) == (record.best_step is None)
    )


def _serialise(tensors: Mapping[str, Tensor], record: ModelMetadata | TrainingMetadata) -> bytes:
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(asdict(record), sort_keys=True, ensure_ascii=False, allow_nan=False)
    return safetensors_torch.save(ready, metadata={_METADATA_KEY: text})


def _read_header(data: bytes, path: Path) -> tuple[str, dict[str, tuple[int, ...]]]:
    """Return our metadata and each tensor's shape, having checked that all are fp32 and fill the file exactly."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_LARGEST_HEADER, len(data) - 8):
        raise _damaged(path, "its header is longer than the file or than any of ours")
    try:
        header = parse_json(data[8 : 8 + length])
        text = header.pop("__metadata__")[_METADATA_KEY]
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items()}
        sizes = [_product(shape) * 4 for shape in shapes.values()]
        good = all(entry["dtype"] == "F32" for entry in header.values()) and sum(sizes) == len(data) - 8 - length
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, f"its header makes no sense: {error}") from None
    if not good or not isinstance(text, str):
        raise _damaged(path, "its header does not describe the bytes that follow")
    return text, shapes


def _product(shape: tuple[int, ...]) -> int:
    result = 1
    for size in shape:
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ValueError("a shape is not made of whole numbers")
        result *= size
    return result


def _load_finite(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors_torch.load(data)
    except Exception as error:  # safetensors has an error class of its own that is no subclass of a standard one
        raise _damaged(path, error) from None
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise _damaged(path, "a number in it is not finite")
    return tensors


def _damaged(path: Path, reason: object) -> CheckpointError:
    where = escape_line(f"{path.parent.name}/{path.name}")
    return CheckpointError(f"The checkpoint file {where} is damaged: {escape_line(str(reason))[:200]}.")
