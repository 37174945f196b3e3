"""A checkpoint's manifest: enough to list and choose checkpoints without reading a weight."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path

from shakegpt.errors import CheckpointError, error_reason
from shakegpt.system.files import read_bounded, sha256
from shakegpt.system.json_records import StrictRecord, parse_json, parse_record
from shakegpt.system.text import escape_line

SCHEMA = 1
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.safetensors"
TRAINING_FILE = "training.safetensors"
MAX_COUNT = 10**12
"""The largest number of steps, weights or seconds that a checkpoint may claim."""
_MAX_MANIFEST_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class FileEntry(StrictRecord):
    """The size in bytes and the SHA-256 of a file."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Manifest(StrictRecord):
    """What a checkpoint says of itself and of its files. Written last: without it there is no checkpoint."""

    schema: int
    step: int
    val_loss: float | None
    """Full-pass validation loss of these very weights, nats per character; ``None`` where they were not evaluated."""
    seconds: float
    """Time spent training up to here."""
    parameters: int
    files: dict[str, FileEntry]
    ema: bool = False
    """Whether these weights are the moving average, which did better than the weights in training."""

    def to_json(self) -> bytes:
        """Return the bytes of the manifest's file."""
        values = asdict(self)
        if not self.ema:  # as in versions that kept no average
            del values["ema"]
        return (json.dumps(values, indent=2, sort_keys=True) + "\n").encode()


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a checkpoint.

    Raises:
        CheckpointError: there is none, or it is damaged or from a newer shakegpt.
    """
    where = escape_line(str(folder))
    try:
        text = read_bounded(folder / MANIFEST_FILE, _MAX_MANIFEST_BYTES)
    except FileNotFoundError:
        raise CheckpointError(f"{where} is not a checkpoint: it has no {MANIFEST_FILE}.") from None
    except (OSError, ValueError) as error:
        reason = error_reason(error)
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
        raise CheckpointError(
            f"The checkpoint {where} is damaged: its {MANIFEST_FILE} makes no sense ({escape_line(str(error))})."
        ) from None
    return manifest


def _check(manifest: Manifest) -> None:
    counts = (manifest.step, manifest.parameters, manifest.seconds)
    if manifest.schema != SCHEMA or not all(0 <= count <= MAX_COUNT for count in counts):
        raise ValueError("a number is out of its range")
    if manifest.val_loss is not None and not math.isfinite(manifest.val_loss):
        raise ValueError("its validation loss is not finite")
    if MODEL_FILE not in manifest.files or set(manifest.files) - {MODEL_FILE, TRAINING_FILE}:
        raise ValueError("it does not name the files that a checkpoint has")


def read_verified(folder: Path, manifest: Manifest, name: str, max_bytes: int) -> bytes:
    """Return the bytes of one of a checkpoint's files after comparing them with the manifest.

    Raises:
        CheckpointError: the file is missing, cannot be read, or differs.
    """
    where = escape_line(str(folder))
    entry = manifest.files.get(name)
    if entry is None:
        raise CheckpointError(f"The checkpoint {where} has no {name}.")
    try:
        data = read_bounded(folder / name, min(max_bytes, max(entry.size, 0)))
    except (OSError, ValueError) as error:
        reason = error_reason(error)
        raise CheckpointError(f"The checkpoint {where} is damaged: {name} cannot be read ({reason}).") from error
    if len(data) != entry.size or sha256(data) != entry.sha256:
        raise CheckpointError(f"The checkpoint {where} is damaged: {name} does not match its SHA-256.")
    return data


# Checkpoints in lists


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """A checkpoint as lists show it, known from its manifest alone."""

    reference: str
    """What names it on the command line, such as ``macbeth@500``."""
    run: str | None
    path: Path
    manifest: Manifest
    created: float
    """When it was written, in seconds since 1970."""

    @property
    def step(self) -> int:
        """The optimizer step it was taken after."""
        return self.manifest.step

    @property
    def val_loss(self) -> float | None:
        """Its full-pass validation loss, where it was evaluated."""
        return self.manifest.val_loss

    @property
    def ema(self) -> bool:
        """Whether its weights are the moving average."""
        return self.manifest.ema

    @property
    def seconds(self) -> float:
        """Time spent training up to it."""
        return self.manifest.seconds

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return self.manifest.parameters

    @property
    def bytes(self) -> int:
        """Its size on disk, without the manifest."""
        return sum(entry.size for entry in self.manifest.files.values())


def read_checkpoint_info(path: Path, *, run: str | None = None, reference: str | None = None) -> CheckpointInfo:
    """Return what a checkpoint's manifest says.

    Args:
        path: its folder.
        run: the name of its run, where it is in one.
        reference: what names it, where that is not its run and step.

    Raises:
        CheckpointError: it is not a checkpoint, or damaged.
    """
    manifest = read_manifest(path)
    reference = reference or (f"{run}@{manifest.step}" if run else str(path))
    return CheckpointInfo(
        reference=reference, run=run, path=path, manifest=manifest, created=(path / MANIFEST_FILE).stat().st_mtime
    )


def best_checkpoint(checkpoints: list[CheckpointInfo]) -> CheckpointInfo | None:
    """Return the checkpoint of lowest validation loss, the earliest of equals; the last where none was evaluated."""
    evaluated = [info for info in checkpoints if info.val_loss is not None]
    if evaluated:
        return min(evaluated, key=lambda info: (info.val_loss, info.step))
    return checkpoints[-1] if checkpoints else None
