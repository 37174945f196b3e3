"""One training run on disk: its metadata, its events, its checkpoints, its lock, and requests to its process."""

import errno
import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.errors import CheckpointError, ShakegptError, UsageError
from shakegpt.events import Failed, Finished
from shakegpt.runs.event_log import EventLog
from shakegpt.runs.lock import LockOwner, RunLock, is_locked, last_owner, lock_owner
from shakegpt.runs.manifest import CheckpointInfo, best_checkpoint, read_checkpoint_info
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
from shakegpt.system.json_records import StrictRecord, parse_record
from shakegpt.system.text import escape_line, is_name

Status = Literal["training", "finished", "stopped", "failed", "killed"]
Request = Literal["pause", "resume", "save", "stop"]

_METADATA_FILE = "run.json"
_METRICS_FILE = "metrics.jsonl"
_LOCK_FILE = "lock"
_REQUEST_FILE = "request"
_CHECKPOINT_NAME = re.compile(r"step-(\d{8,12})")
_MAX_METADATA_BYTES = 1024**2
_LATER_FIELDS = frozenset({"begun_from", "begun_from_sha256", "new_characters"})
"""Written only where they say something: versions before them refuse a ``run.json`` with fields they do not know."""


@dataclass(frozen=True, kw_only=True)
class RunMetadata(StrictRecord):
    """What a run is, fixed when it begins (``run.json``)."""

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
    """The path of the text, if it was given as a file; resuming looks there first."""
    encoding: str = "utf-8"
    """Of the text's file."""
    corpus_note: str | None = None
    """Why the run trains on this text, where that is not the one expected."""
    begun_from: str | None = None
    """The checkpoint whose weights training began from, on another text than its own."""
    begun_from_sha256: str | None = None
    """Of that checkpoint's weights file."""
    new_characters: int | None = None
    """How many characters of the vocabulary that checkpoint did not know; they come last."""


def read_metadata(folder: Path) -> RunMetadata:
    """Return what the ``run.json`` of a folder says. Raises ``OSError`` or ``ValueError`` where it cannot be read."""
    return parse_record(read_bounded(folder / _METADATA_FILE, _MAX_METADATA_BYTES), RunMetadata)


def utc_timestamp() -> str:
    """Return the time for ``RunMetadata.created``; to the millisecond, so that of two runs one is the newer."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Run:
    """A folder of the store. Reading never blocks and never needs the lock; writing needs ``with run.lock():``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.name

    @cached_property
    def metadata(self) -> RunMetadata:
        """What the run is.

        Raises:
            ShakegptError: it is missing or damaged.
        """
        try:
            return read_metadata(self.path)
        except (OSError, ValueError) as error:
            raise ShakegptError(
                f"The run {self.name} is damaged: its {_METADATA_FILE} cannot be read ({escape_line(str(error))})."
            ) from None

    @property
    def corpus_source(self) -> str:
        """What ``Corpus.load`` finds its text by: the file it was given as, where that still exists, else its name."""
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
        """Return the step and the folder of everything named like a checkpoint, by step; links are skipped."""
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
        """Remove old checkpoints, except the best, the last and the newest ``keep`` beside them."""
        checkpoints = self.checkpoints()
        best = best_checkpoint(checkpoints)
        rest = [info for info in checkpoints[:-1] if info is not best]
        for info in rest[: max(0, len(rest) - keep)]:
            remove_folder(info.path)

    def remove_leftovers(self) -> None:
        """Remove what killed processes left half written. Only the process that has the lock may."""
        for folder in (self.path, self.checkpoints_folder, *(path for _, path in self.checkpoint_folders())):
            remove_leftovers(folder)
        with suppress(OSError):
            (self.path / _REQUEST_FILE).unlink()

    # Events

    @property
    def metrics_path(self) -> Path:
        """The file of the events, one JSON object a line."""
        return self.path / _METRICS_FILE

    @cached_property
    def log(self) -> EventLog:
        """Its event log."""
        return EventLog(self.metrics_path)

    def snapshot(self) -> Snapshot:
        """Return the run as of its newest event; of a fork, with the steps before it."""
        return replay(self.log.events(), self.before_fork())

    def before_fork(self) -> Snapshot:
        """Return the steps, evaluations and samples that a fork has in common with its parent.

        An empty snapshot where the run is no fork, or where its parent is gone.
        """
        return self._before_fork(frozenset())

    def _before_fork(self, children: frozenset[str]) -> Snapshot:
        with suppress(ShakegptError, ValueError):
            name, _, step = (self.metadata.resumed_from or "").rpartition("@")
            parent = self._parent(name) if name not in children | {self.name} else None
            if parent is not None:
                before = parent._before_fork(children | {self.name})
                story = replay(parent.log.events(), before).until(int(step))
                # What the parent saved, and the best that it reached, are its own.
                return Snapshot(step=story.step, train=story.train, validation=story.validation, samples=story.samples)
        return Snapshot()

    def _parent(self, name: str) -> "Run | None":
        """Return the run of a name beside this one, unless it is a younger one, or one of another text."""
        parent = Run(self.path.with_name(name)) if is_name(name) else None
        if parent is None or not is_run(parent.path):
            return None
        ours, theirs = self.metadata, parent.metadata
        return parent if theirs.corpus_sha256 == ours.corpus_sha256 and theirs.created <= ours.created else None

    def status(self) -> Status:
        """Return what the lock and the last event say; a run that no living process has locked is not training."""
        if self.is_locked():
            return "training"
        match self.log.last():
            case Finished(outcome=outcome):
                return outcome
            case Failed():
                return "failed"
            case _:
                return "killed"

    # The lock

    def lock(self) -> RunLock:
        """Lock the run for writing, until the lock is closed.

        Raises:
            RunBusyError: another process has the lock; the message says which, on which host.
        """
        return RunLock(self.path / _LOCK_FILE, self.name)

    def is_locked(self) -> bool:
        """Return whether a living process has the lock, without disturbing it."""
        return is_locked(self.path / _LOCK_FILE)

    def owner(self) -> LockOwner | None:
        """Return the process that has the lock, if one does."""
        return lock_owner(self.path / _LOCK_FILE)

    def trained_here(self) -> bool:
        """Return whether this host was the last to train it."""
        owner = last_owner(self.path / _LOCK_FILE)
        return owner is not None and owner.here

    # Requests to the process that trains it

    def request(self, request: Request) -> None:
        """Ask the process that trains the run to pause, resume, save or stop.

        Raises:
            ShakegptError: no process trains it, or its folder cannot be written, as in another user's store.
        """
        if not self.is_locked():
            raise ShakegptError(f"The run {self.name} is not training: it is {self.status()}.")
        try:
            replace_file(self.path / _REQUEST_FILE, request.encode())
        except OSError as error:
            raise ShakegptError(
                f"The run {self.name} cannot be asked to {request}: its folder cannot be written ({error.strerror})."
            ) from error

    def has_request(self) -> bool:
        """Return whether a request has not been taken yet."""
        return (self.path / _REQUEST_FILE).exists()

    def take_request(self) -> Request | None:
        """Return the request that another process wrote since the last call, if any."""
        taken = self.path / f".{_REQUEST_FILE}.{os.getpid()}.tmp"
        try:
            (self.path / _REQUEST_FILE).rename(taken)  # first, so that none that comes meanwhile is lost
            text = read_bounded(taken, 64).decode("ascii", "replace")
            taken.unlink()
        except (OSError, ValueError):
            return None
        return next((request for request in get_args(Request) if request == text), None)

    # The whole folder

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
            ShakegptError: a run cannot have this name, or another one has it.
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
    """Raise ``UsageError`` where a run cannot have this name."""
    if not is_name(name):
        raise UsageError(
            f"A run cannot be called '{escape_line(name)}': a name is 1 to 64 letters, "
            "digits, dots, dashes or underscores, and does not begin with a dot."
        )


def create_run(path: Path, metadata: RunMetadata) -> Run:
    """Create the folder of a new run: whole or not at all.

    Raises:
        FileExistsError: there is one already.
        OSError: the store cannot be written.
    """
    if path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    values = {name: value for name, value in asdict(metadata).items() if name not in _LATER_FIELDS or value is not None}
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
    with new_folder(path) as partial:
        make_folder(Run(partial).checkpoints_folder)
        write_synced(partial / _METADATA_FILE, (text + "\n").encode())
    return Run(path)


def is_run(path: Path) -> bool:
    """Return whether a folder is a run."""
    return is_name(path.name) and not path.is_symlink() and (path / _METADATA_FILE).is_file()
