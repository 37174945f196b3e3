"""What a checkpoint says of itself: enough to list and choose checkpoints without reading a weight."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from shakegpt.errors import CheckpointError
from shakegpt.system.files import read_bounded, sha256
from shakegpt.system.json_records import parse_json, parse_record
from shakegpt.system.text import escape_line

SCHEMA = 1
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.safetensors"
TRAINING_FILE = "training.safetensors"
_LARGEST_MANIFEST = 64 * 1024
_LARGEST_COUNT = 10**12


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """The size in bytes and the SHA-256 of a file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One checkpoint's account of itself, written last: without it there is no checkpoint."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    schema: int
    step: int
    val_loss: float | None
    """Full-pass validation loss of these very weights, nats per character; ``None`` where they were not evaluated."""
    seconds: float
    """Time spent training up to here."""
    parameters: int
    files: dict[str, FileEntry]

    def to_json(self) -> bytes:
        """Return the manifest as it stands on disk."""
        return (json.dumps(asdict(self), indent=2, sort_keys=True) + "\n").encode()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a checkpoint.

    Raises:
        CheckpointError: there is none, or it is damaged or from a newer shakegpt.
    """
    where = escape_line(str(folder))
    try:
        text = read_bounded(folder / MANIFEST_FILE, _LARGEST_MANIFEST)
    except FileNotFoundError:
        raise CheckpointError(f"{where} is not a checkpoint: it has no {MANIFEST_FILE}.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CheckpointError(f"The checkpoint {where} cannot be read: {reason}.") from error
    try:
        values = parse_json(text)
        schema = values.get("schema") if isinstance(values, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise CheckpointError(
                f"The checkpoint {where} was written by a newer shakegpt (schema {schema}, this one reads {SCHEMA}); "
                "upgrade to read it."
            )
        manifest = parse_record(text, Manifest)
        _check(manifest)
    except ValueError as error:
        reason = escape_line(str(error))
        raise CheckpointError(
            f"The checkpoint {where} is damaged: its {MANIFEST_FILE} makes no sense ({reason})."
        ) from None
    return manifest


def _check(manifest: Manifest) -> None:
    counts = (manifest.step, manifest.parameters, manifest.seconds)
    if manifest.schema != SCHEMA or not all(0 <= count <= _LARGEST_COUNT for count in counts):
        raise ValueError("a number is out of its range")
    if manifest.val_loss is not None and not math.isfinite(manifest.val_loss):
        raise ValueError("its validation loss is not finite")
    if MODEL_FILE not in manifest.files or set(manifest.files) - {MODEL_FILE, TRAINING_FILE}:
        raise ValueError("it does not name the files that a checkpoint has")


def read_verified(folder: Path, manifest: Manifest, name: str, most: int) -> bytes:
    """Return the bytes of one of a checkpoint's files after comparing them with the manifest.

    Raises:
        CheckpointError: the file is missing, cannot be read, or differs.
    """
    where = escape_line(str(folder))
    entry = manifest.files.get(name)
    if entry is None:
        raise CheckpointError(f"The checkpoint {where} has no {name}.")
    try:
        data = read_bounded(folder / name, min(most, max(entry.size, 0)))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CheckpointError(f"The checkpoint {where} is damaged: {name} cannot be read ({reason}).") from error
    if len(data) != entry.size or sha256(data) != entry.sha256:
        raise CheckpointError(f"The checkpoint {where} is damaged: {name} does not match its SHA-256.")
    return data
