"""One checkpoint on disk: written so that it is whole or absent, and verified before a number of it is used.

A checkpoint is untrusted. Its files are bounded, hashed, and compared with the shapes that its own configuration asks
for before a tensor is made.
"""

import errno
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from torch import Tensor

from shakegpt.config import ModelConfig, Precision, TrainingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CheckpointError
from shakegpt.model.gpt import GPT
from shakegpt.model.kv_cache import cache_bytes
from shakegpt.runs.manifest import (
    MANIFEST_FILE,
    MAX_COUNT,
    MODEL_FILE,
    SCHEMA,
    TRAINING_FILE,
    FileEntry,
    Manifest,
    read_manifest,
    read_verified,
)
from shakegpt.runs.tensor_file import Shapes, damaged, decode_tensors, encode_tensors, read_header
from shakegpt.system.files import new_folder, sha256, write_synced
from shakegpt.system.json_records import StrictRecord, parse_record

_MAX_FILE_BYTES = 4 * 1024**3
_MAX_CACHE_BYTES = 1024**3
_LATER_FIELDS = ("eval_windows", "early_stop", "ema")
"""Fields of a training's configuration that version 0.1.0 lacked: off, they are left out, and its bytes stay."""


@dataclass(frozen=True, kw_only=True)
class ModelMetadata(StrictRecord):
    """What is written beside the weights: with them, enough to generate."""

    schema: int
    model: ModelConfig
    vocabulary: str


@dataclass(frozen=True, kw_only=True)
class TrainingMetadata(StrictRecord):
    """What is written beside the optimizer's tensors: with them, enough to resume exactly.

    Batches, dropout masks and samples are functions of (seed, step), so no generator's state is saved.
    """

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
    """How often the run went back to a checkpoint after losses that were not finite."""
    learning_rate_scale: float
    """What going back has multiplied the learning rate by."""
    gpu: str | None = None
    """The model of the CUDA GPU; ``None`` on other devices and in checkpoints of earlier versions, as the driver is."""
    driver: str | None = None
    """The version of its driver."""


@dataclass(frozen=True)
class SavedTrainingState:
    """What a checkpoint has beside its weights, to resume from: counters, optimizer moments and the loss scale.

    Where the run averages its weights, also the average, and where the checkpoint's weights are the average, the
    weights in training.
    """

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
    ema: bool = False
    """Whether the weights are the moving average; then ``training_state`` has those in training."""
    seconds: float = 0.0
    """Time spent training."""
    training_state: SavedTrainingState | None = None
    """Without it, the checkpoint can generate, but training cannot be resumed."""


@dataclass(frozen=True)
class EncodedCheckpoint:
    """The bytes of a checkpoint's files, and the manifest with their hashes."""

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
        path = self.path / TRAINING_FILE
        data = read_verified(self.path, self.manifest, TRAINING_FILE, _MAX_FILE_BYTES)
        text, shapes = read_header(data, path)
        try:
            metadata = parse_record(text, TrainingMetadata)
        except ValueError as error:
            raise damaged(path, error) from None
        if metadata.schema != SCHEMA or metadata.step != self.manifest.step or not _is_sensible(metadata):
            raise damaged(path, "its fields do not fit together")
        expected = _training_shapes(
            self.config,
            scaled=metadata.precision == "fp16",
            averaged=metadata.training.ema > 0,
            live=self.manifest.ema,
        )
        if shapes != expected:
            raise damaged(path, "its tensors do not fit the model")
        tensors = decode_tensors(data, path)
        if any(bool((tensor < 0).any()) for name, tensor in tensors.items() if not name.startswith(_SIGNED)):
            raise damaged(path, "a mean of squares or a count is negative")
        return SavedTrainingState(metadata, tensors)


def check_size(config: ModelConfig, *, averaged: bool = False) -> None:
    """Check that a model of this shape could be read back from its checkpoint.

    Args:
        config: the shape.
        averaged: whether the run keeps a moving average of the weights.

    Raises:
        ValueError: it is too large.
    """
    vectors = 4 if averaged else 2  # two moments; the average, and the weights in training
    if vectors * 4 * config.parameters > _MAX_FILE_BYTES or cache_bytes(config) > _MAX_CACHE_BYTES:
        raise ValueError(
            f"A model of {config.parameters:,} weights and a context of {config.block_size:,} is too large for "
            "shakegpt; choose a smaller shape."
        )


def build_model(config: ModelConfig, weights: Mapping[str, Tensor]) -> GPT:
    """Return a model that owns copies of these weights."""
    model = GPT(config, seed=0)  # any: without one, the new weights would come from torch's global generator
    model.load_state_dict(dict(weights))
    return model


# Writing


def write_checkpoint(folder: Path, data: CheckpointData) -> Manifest:
    """Write a checkpoint to a new folder. Whatever happens, it is afterwards absent or whole.

    Raises:
        OSError: the disk is full, read-only or broken; the unfinished folder is removed if possible.
        FileExistsError: the folder exists.
    """
    if folder.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
    encoded = encode_checkpoint(data)
    write_encoded(folder, encoded)
    return encoded.manifest


def encode_checkpoint(data: CheckpointData) -> EncodedCheckpoint:
    """Return the bytes of a checkpoint. The same state gives the same, but for the ``seconds`` of the manifest."""
    files = {}
    if data.training_state is not None:  # the larger one first: making its bytes takes as much again for a moment
        files[TRAINING_FILE] = _encode(data.training_state.tensors, data.training_state.metadata)
    metadata = ModelMetadata(schema=SCHEMA, model=data.config, vocabulary=data.vocabulary.characters)
    files[MODEL_FILE] = _encode(data.weights, metadata)
    manifest = Manifest(
        schema=SCHEMA,
        step=data.step,
        val_loss=data.val_loss,
        seconds=data.seconds,
        parameters=data.config.parameters,
        files={name: FileEntry(size=len(content), sha256=sha256(content)) for name, content in files.items()},
        ema=data.ema,
    )
    return EncodedCheckpoint(manifest, files)


def _encode(tensors: Mapping[str, Tensor], metadata: ModelMetadata | TrainingMetadata) -> bytes:
    values = asdict(metadata)
    for name in _LATER_FIELDS if isinstance(metadata, TrainingMetadata) else ():
        if not values["training"][name]:
            del values["training"][name]
    for name in ("gpu", "driver"):  # which a checkpoint of another device lacks, as those of earlier versions do
        if name in values and values[name] is None:
            del values[name]
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return encode_tensors(tensors, text)


def write_encoded(folder: Path, encoded: EncodedCheckpoint) -> None:
    """Write a checkpoint's bytes, in place of a checkpoint that is there.

    Raises:
        OSError: as ``write_checkpoint``.
    """
    with new_folder(folder, replace=True) as partial:
        for name, content in encoded.files.items():
            write_synced(partial / name, content)
        write_synced(partial / MANIFEST_FILE, encoded.manifest.to_json())


def matches_disk(folder: Path, encoded: EncodedCheckpoint) -> bool:
    """Return whether a folder has exactly these bytes, its manifest aside."""
    try:
        manifest = read_manifest(folder)
        return manifest.files == encoded.manifest.files and all(
            read_verified(folder, manifest, name, _MAX_FILE_BYTES) == content for name, content in encoded.files.items()
        )
    except CheckpointError:
        return False


# Reading


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        CheckpointError: it is missing, damaged, hostile or from a newer shakegpt; the message says which.
    """
    manifest = read_manifest(folder)
    path = folder / MODEL_FILE
    data = read_verified(folder, manifest, MODEL_FILE, _MAX_FILE_BYTES)
    text, shapes = read_header(data, path)
    try:
        metadata = parse_record(text, ModelMetadata)
        vocabulary = Vocabulary(metadata.vocabulary)
    except ValueError as error:
        raise damaged(path, error) from None
    config = metadata.model
    if metadata.schema != SCHEMA:
        raise damaged(path, f"it has schema {metadata.schema} where its manifest has {SCHEMA}")
    if len(vocabulary) != config.vocab_size:
        raise damaged(path, f"{len(vocabulary)} characters for a vocabulary of {config.vocab_size}")
    if cache_bytes(config) > _MAX_CACHE_BYTES:
        raise damaged(path, "its configuration asks for an absurd amount of memory to generate")
    if config.parameters != manifest.parameters or shapes != config.weight_shapes:
        raise damaged(path, "its weights do not have the shapes that its configuration asks for")
    weights = decode_tensors(data, path)
    return Checkpoint(path=folder, manifest=manifest, config=config, vocabulary=vocabulary, weights=weights)


AVERAGE_PREFIX = "ema."
"""Of the names of averaged weights among the tensors of a training."""
LIVE_PREFIX = "weights."
"""Of the names of the weights in training, where the checkpoint's own are the average."""
_SIGNED = ("optimizer.exp_avg.", AVERAGE_PREFIX, LIVE_PREFIX)  # no other number of a training may be negative


def _training_shapes(config: ModelConfig, *, scaled: bool, averaged: bool, live: bool) -> Shapes:
    scalars = ["optimizer.step"] + ["scaler.scale", "scaler.growth_tracker"] * scaled
    prefixes = ["optimizer.exp_avg.", "optimizer.exp_avg_sq.", *[AVERAGE_PREFIX] * averaged, *[LIVE_PREFIX] * live]
    return dict.fromkeys(scalars, ()) | {
        f"{prefix}{name}": shape for prefix in prefixes for name, shape in config.weight_shapes.items()
    }


def _is_sensible(metadata: TrainingMetadata) -> bool:
    """Return whether these numbers could be a training's."""
    counts = (metadata.step, metadata.tokens, metadata.train_loss_count, metadata.rollbacks, metadata.non_finite)
    return (
        all(0 <= count <= MAX_COUNT for count in counts)
        and metadata.train_loss_count <= metadata.step
        and metadata.precision in get_args(Precision)
        and metadata.threads >= 1
        and 1 <= metadata.accumulate <= metadata.training.batch_size
        and 0 < metadata.learning_rate_scale <= 1
        and math.isfinite(metadata.train_loss_sum)
        and (metadata.best_val_loss is None or math.isfinite(metadata.best_val_loss))
        and (metadata.best_val_loss is None) == (metadata.best_step is None)
    )
