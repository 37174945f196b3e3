"""One training run on disk: what it is, what happened in it, its checkpoints, and which process holds it."""

import errno
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.errors import CheckpointError, ShakegptError, UsageError
from shakegpt.events import Failed, Finished
from shakegpt.runs.event_log import EventLog
from shakegpt.runs.lock import LockOwner, RunLock, is_locked, lock_owner
from shakegpt.runs.manifest import MANIFEST_FILE, Manifest, read_manifest
from shakegpt.runs.snapshot import Snapshot, replay
from shakegpt.system.files import (
    make_folder,
    new_folder,
    read_bounded,
    remove_folder,
    remove_leftovers,
    rename_folder,
    replace_file,
    write_synced,
)
from shakegpt.system.json_records import parse_record
from shakegpt.system.text import escape_line, is_name

Status = Literal["training", "finished", "stopped", "failed", "killed"]
Request = Literal["pause", "resume", "save", "stop"]

_RECORD_FILE = "run.json"
_METRICS_FILE = "metrics.jsonl"
_LOCK_FILE = "lock"
_REQUEST_FILE = "request"
_CHECKPOINT_NAME = re.compile(r"step-(\d{8,12})")
_LARGEST_RECORD = 1024**2


@dataclass(frozen=True, kw_only=True)
class RunMetadata:
    """What a run is, fixed when it begins (``run.json``)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    preset: str
    model: ModelConfig
    training: TrainingConfig
    corpus: str
    corpus_sha256: str
    created: str
    """ISO 8601, UTC."""
    versions: dict[str, str]
    resumed_from: str | None = None
    """The checkpoint that this run was forked from."""
    changes: dict[str, str] | None = None
    """What the fork changed: ``{"steps": "5000 -> 9000"}``."""
    corpus_file: str | None = None
    """Where the text was, if it was given as a file; resuming looks there first."""
    encoding: str = "utf-8"
    """How the text's bytes spell characters."""


def utc_timestamp() -> str:
    """Return the time as ``RunMetadata.created`` has it; to the millisecond, so that of two runs one is the newer."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


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


class Run:
    """A folder of the store. Reading never blocks and never needs the lock; writing needs ``with run.lock():``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """Its name: the folder's."""
        return self.path.name

    @cached_property
    def metadata(self) -> RunMetadata:
        """What the run is.

        Raises:
            ShakegptError: the record is missing or damaged.
        """
        try:
            return parse_record(read_bounded(self.path / _RECORD_FILE, _LARGEST_RECORD), RunMetadata)
        except (OSError, ValueError) as error:
            reason = escape_line(str(error))
            raise ShakegptError(
                f"The run {self.name} is damaged: its {_RECORD_FILE} cannot be read ({reason})."
            ) from None

    @property
    def corpus_source(self) -> str:
        """What names the text it learned from: the file it was given as, where that still is, else the corpus."""
        file = self.metadata.corpus_file
        return file if file is not None and Path(file).is_file() else self.metadata.corpus

    # Checkpoints

    @property
    def checkpoints_folder(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    def checkpoint_path(self, step: int) -> Path:
        """Return the folder of the checkpoint of a step."""
        return self.checkpoints_folder / f"step-{step:08d}"

    def checkpoint_folders(self) -> list[tuple[int, Path]]:
        """Return the step and the folder of everything that looks like a checkpoint, by step. Links are passed over."""
        found = []
        if self.checkpoints_folder.is_symlink():
            return []
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.checkpoints_folder) as entries:
            for entry in entries:
                match = _CHECKPOINT_NAME.fullmatch(entry.name)
                if match and entry.is_dir(follow_symlinks=False):
                    path = Path(entry.path)
                    if path == self.checkpoint_path(int(match[1])):
                        found.append((int(match[1]), path))
        return sorted(found)

    def checkpoints(self) -> list[CheckpointInfo]:
        """Return the checkpoints with a readable manifest, by step."""
        found = []
        for step, path in self.checkpoint_folders():
            with suppress(CheckpointError, OSError):  # damaged, or just removed by the writer
                info = read_checkpoint_info(path, run=self.name)
                if info.step == step:
                    found.append(info)
        return found

    def best(self) -> CheckpointInfo | None:
        """Return the checkpoint of lowest validation loss; where none was evaluated, the last."""
        return best_checkpoint(self.checkpoints())

    def last(self) -> CheckpointInfo | None:
        """Return the checkpoint of the highest step."""
        return next(reversed(self.checkpoints()), None)

    def prune_checkpoints(self, keep: int) -> None:
        """Remove old checkpoints, leaving the best, the last and the newest ``keep`` beside them."""
        checkpoints = self.checkpoints()
        best = best_checkpoint(checkpoints)
        rest = [info for info in checkpoints[:-1] if info is not best]
        for info in rest[: max(0, len(rest) - keep)]:
            remove_folder(info.path)

    def remove_leftovers(self) -> None:
        """Remove what writers that died left half done. Only the process that holds the run may."""
        for folder in (self.path, self.checkpoints_folder, *(path for _, path in self.checkpoint_folders())):
            remove_leftovers(folder)
        with suppress(OSError):
            (self.path / _REQUEST_FILE).unlink()

    # The log of events

    @property
    def metrics_path(self) -> Path:
        """Where the events are recorded, one JSON object a line."""
        return self.path / _METRICS_FILE

    @cached_property
    def log(self) -> EventLog:
        """The record of what happened."""
        return EventLog(self.metrics_path)

    def snapshot(self) -> Snapshot:
        """Return the run's story so far."""
        return replay(self.log.events())

    def status(self) -> Status:
        """Say how the run stands. A run that no living process holds never reads as training."""
        if self.is_locked():
            return "training"
        match self.log.last():
            case Finished(outcome=outcome):
                return outcome
            case Failed():
                return "failed"
            case _:
                return "killed"

    # One writer

    def lock(self) -> RunLock:
        """Take the run for writing, until the hold is closed.

        Raises:
            RunBusyError: another process holds it; the message says which, on which host.
        """
        return RunLock(self.path / _LOCK_FILE, self.name)

    def is_locked(self) -> bool:
        """Say whether a living process holds the run, without disturbing it."""
        return is_locked(self.path / _LOCK_FILE)

    def owner(self) -> LockOwner | None:
        """Return the process that holds the run, if one does."""
        return lock_owner(self.path / _LOCK_FILE)

    # Asking the process that holds it

    def request(self, what: Request) -> None:
        """Ask the process that holds the run to pause, resume, save or stop.

        Raises:
            ShakegptError: no process holds it.
        """
        if not self.is_locked():
            raise ShakegptError(f"The run {self.name} is not training: it is {self.status()}.")
        replace_file(self.path / _REQUEST_FILE, what.encode())

    def has_request(self) -> bool:
        """Say whether a request still waits to be taken."""
        return (self.path / _REQUEST_FILE).exists()

    def take_request(self) -> Request | None:
        """Return what another process asked for since the last call, if anything."""
        taken = self.path / f".{_REQUEST_FILE}.{os.getpid()}.tmp"
        try:
            (self.path / _REQUEST_FILE).rename(taken)  # first, so that none that comes meanwhile is lost
            asked = read_bounded(taken, 64).decode("ascii", "replace")
            taken.unlink()
        except (OSError, ValueError):
            return None
        return next((request for request in get_args(Request) if request == asked), None)

    # The folder as a whole

    def bytes(self) -> int:
        """Return the size on disk of everything in the run."""
        total = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with suppress(OSError):
                    total += Path(folder, name).lstat().st_size
        return total

    def remove(self) -> None:
        """Remove the run and its checkpoints.

        Raises:
            RunBusyError: a process is training it.
        """
        with self.lock():
            remove_folder(self.path)

    def rename(self, name: str) -> "Run":
        """Give the run another name and return it.

        Raises:
            RunBusyError: a process is training it.
            ShakegptError: the name is none, or taken.
        """
        check_run_name(name)
        target = self.path.with_name(name)
        with self.lock():
            try:
                rename_folder(self.path, target)
            except FileExistsError:
                raise ShakegptError(f"There is a run {name} already.") from None
        return Run(target)


def check_run_name(name: str) -> None:
    """Raise ``UsageError`` where a name could not be a run's."""
    if not is_name(name):
        raise UsageError(
            f"A run cannot be called '{escape_line(name)}': a name is 1 to 64 letters, "
            "digits, dots, dashes or underscores, and does not begin with a dot."
        )


def create_run(path: Path, record: RunMetadata) -> Run:
    """Make the folder of a new run: whole or not at all.

    Raises:
        FileExistsError: there is one already.
        OSError: the store cannot be written.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    text = json.dumps(asdict(record), indent=2, sort_keys=True, ensure_ascii=False)
    with new_folder(path) as partial:
        make_folder(Run(partial).checkpoints_folder)
        write_synced(partial / _RECORD_FILE, (text + "\n").encode())
    return Run(path)


def is_run(path: Path) -> bool:
    """Say whether a folder is a run."""
    return is_name(path.name) and not path.is_symlink() and (path / _RECORD_FILE).is_file()


def read_checkpoint_info(path: Path, *, run: str | None = None, reference: str | None = None) -> CheckpointInfo:
    """Return what a checkpoint's manifest says.

    Raises:
        CheckpointError: it is no checkpoint, or damaged.
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
