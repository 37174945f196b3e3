"""One training run on disk: what it is, what happened in it, its checkpoints, and which process holds it."""

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from filelock import FileLock, Timeout

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.errors import CheckpointError, RunBusyError, ShakegptError
from shakegpt.events import Event, Failed, Finished, event_from_json
from shakegpt.files import FILE_MODE, make_folder, read_bounded, replace_file
from shakegpt.manifest import Manifest, read_manifest
from shakegpt.progress import Snapshot, replay
from shakegpt.records import parse_record
from shakegpt.text import harmless

RUN_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
Status = Literal["training", "finished", "stopped", "failed", "killed"]
Request = Literal["pause", "resume", "save", "stop"]

_RECORD_FILE = "run.json"
_METRICS_FILE = "metrics.jsonl"
_LOCK_FILE = "lock"
_OWNER_FILE = "owner.json"
_REQUEST_FILE = "request"
_CHECKPOINT_NAME = re.compile(r"step-(\d{8,12})")
_LARGEST_RECORD = 1024**2
_TAIL_BYTES = 64 * 1024
_LOCK_PATIENCE_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class RunRecord:
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


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that holds a run."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    pid: int
    host: str

    @property
    def here(self) -> bool:
        """Whether it runs on this host."""
        return self.host == socket.gethostname()


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
    """A folder of the store. Reading never blocks and never needs the lock; writing needs ``with run.hold():``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._metrics: int | None = None

    @property
    def name(self) -> str:
        """Its name: the folder's."""
        return self.path.name

    @cached_property
    def record(self) -> RunRecord:
        """What the run is.

        Raises:
            ShakegptError: the record is missing or damaged.
        """
        try:
            return parse_record(read_bounded(self.path / _RECORD_FILE, _LARGEST_RECORD), RunRecord)
        except (OSError, ValueError) as error:
            raise ShakegptError(
                f"The run {self.name} is damaged: its {_RECORD_FILE} cannot be read ({harmless(str(error), one_line=True)})."
            ) from None

    # Checkpoints

    @property
    def checkpoint_folder(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    def checkpoint_path(self, step: int) -> Path:
        """Return the folder of the checkpoint of a step."""
        return self.checkpoint_folder / f"step-{step:08d}"

    def checkpoints(self) -> list[CheckpointInfo]:
        """Return the checkpoints with a readable manifest, by step. Links and strangers' files are passed over."""
        found = []
        with suppress(FileNotFoundError), os.scandir(self.checkpoint_folder) as entries:
            for entry in entries:
                match = _CHECKPOINT_NAME.fullmatch(entry.name)
                if match and entry.is_dir(follow_symlinks=False):
                    with suppress(CheckpointError, FileNotFoundError):
                        info = describe_checkpoint(Path(entry.path), run=self.name)
                        if info.step == int(match[1]):
                            found.append(info)
        return sorted(found, key=lambda info: info.step)

    def best(self) -> CheckpointInfo | None:
        """Return the checkpoint of lowest validation loss; where none was evaluated, the last."""
        return best_of(self.checkpoints())

    def last(self) -> CheckpointInfo | None:
        """Return the checkpoint of the highest step."""
        return max(self.checkpoints(), key=lambda info: info.step, default=None)

    def prune(self, keep: int) -> None:
        """Remove old checkpoints, leaving the best, the last and the newest ``keep`` beside them."""
        checkpoints = self.checkpoints()
        best = best_of(checkpoints)
        rest = [info for info in checkpoints[:-1] if info is not best]
        for info in rest[: max(0, len(rest) - keep)]:
            remove_folder(info.path)

    def sweep(self) -> None:
        """Remove what writers that died left half done. Only the process that holds the run may."""
        with suppress(FileNotFoundError), os.scandir(self.checkpoint_folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") and entry.name.endswith((".tmp", ".gone")):
                    shutil.rmtree(entry.path, ignore_errors=True)
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        (self.path / _REQUEST_FILE).unlink(missing_ok=True)

    # The log of events

    @property
    def metrics_path(self) -> Path:
        """Where the events are recorded, one JSON object a line."""
        return self.path / _METRICS_FILE

    def record_event(self, event: Event) -> None:
        """Append an event to the log in one write.

        Raises:
            OSError: it could not be written; a line cut short is closed before the next one.
        """
        line = json.dumps(event.to_json(), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        if self._metrics is None:
            self._metrics = os.open(
                self.metrics_path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE
            )
        end = os.fstat(self._metrics).st_size
        if end and os.pread(self._metrics, 1, end - 1) != b"\n":
            line = b"\n" + line
        if os.write(self._metrics, line) != len(line):
            raise OSError(28, "No space left on device")

    def events(self) -> Iterator[Event]:
        """Yield the events recorded so far, passing over lines that are torn or not understood."""
        with suppress(FileNotFoundError), open(self.metrics_path, "rb") as file:
            yield from parse_events(file)

    def snapshot(self) -> Snapshot:
        """Return the run's story so far."""
        return replay(self.events())

    def status(self) -> Status:
        """Say how the run stands. A run that no living process holds never reads as training."""
        if self.is_held():
            return "training"
        match self._last_event():
            case Finished(outcome=outcome):
                return outcome
            case Failed():
                return "failed"
            case _:
                return "killed"

    def _last_event(self) -> Event | None:
        try:
            with open(self.metrics_path, "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                events = list(parse_events(file))
        except OSError:
            return None
        return events[-1] if events else None

    # One writer

    def hold(self) -> "Hold":
        """Take the run for writing.

        Raises:
            RunBusyError: another process holds it; the message says which, on which host.
        """
        return Hold(self)

    def is_held(self) -> bool:
        """Say whether a living process holds the run, without disturbing it."""
        import fcntl

        try:
            descriptor = os.open(self.path / _LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def owner(self) -> Owner | None:
        """Return the process that holds the run, if one does."""
        if not self.is_held():
            return None
        try:
            return parse_record(read_bounded(self.path / _OWNER_FILE, 4096), Owner)
        except (OSError, ValueError):
            return Owner(pid=0, host="an unknown host")

    # Asking the process that holds it

    def request(self, what: Request) -> None:
        """Ask the process that holds the run to pause, resume, save or stop.

        Raises:
            ShakegptError: no process holds it.
        """
        if not self.is_held():
            raise ShakegptError(f"The run {self.name} is not training: it is {self.status()}.")
        replace_file(self.path / _REQUEST_FILE, what.encode())

    def take_request(self) -> Request | None:
        """Return what another process asked for since the last call, if anything."""
        path = self.path / _REQUEST_FILE
        try:
            asked = read_bounded(path, 64).decode("ascii", "replace")
            path.unlink()
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
                    total += os.lstat(os.path.join(folder, name)).st_size
        return total

    def remove(self) -> None:
        """Remove the run and its checkpoints.

        Raises:
            RunBusyError: a process is training it.
        """
        with self.hold():
            remove_folder(self.path)

    def rename(self, name: str) -> "Run":
        """Give the run another name and return it.

        Raises:
            RunBusyError: a process is training it.
            ShakegptError: the name is none, or taken.
        """
        check_run_name(name)
        target = self.path.with_name(name)
        with self.hold():
            if target.exists():
                raise ShakegptError(f"There is a run {name} already.")
            os.rename(self.path, target)
        return Run(target)


class Hold:
    """The right to write a run, until closed or the process ends."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._lock = FileLock(run.path / _LOCK_FILE, mode=FILE_MODE, thread_local=False)
        try:
            self._lock.acquire(timeout=_LOCK_PATIENCE_SECONDS, poll_interval=0.02)
        except Timeout:
            owner = run.owner()
            who = f"process {owner.pid} on {harmless(owner.host, one_line=True)}" if owner else "another process"
            raise RunBusyError(
                f"The run {run.name} is being trained by {who}; stop it with `shakegpt stop {run.name}`, watch it with "
                f"`shakegpt watch {run.name}`, or give this run another name with --run."
            ) from None
        with suppress(OSError):  # who holds it is a courtesy; a full disk must not keep a run from going on
            replace_file(
                run.path / _OWNER_FILE, json.dumps(asdict(Owner(pid=os.getpid(), host=socket.gethostname()))).encode()
            )

    def close(self) -> None:
        """Let go."""
        self._lock.release()

    def __enter__(self) -> "Hold":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_run_name(name: str) -> None:
    """Raise ``ShakegptError`` where a name could not be a run's."""
    if not RUN_NAME.fullmatch(name):
        raise ShakegptError(
            f"A run cannot be called '{harmless(name, one_line=True)}': a name is 1 to 64 letters, digits, dots, dashes "
            "or underscores, and does not begin with a dot."
        )


def create_run(path: Path, record: RunRecord) -> Run:
    """Make the folder of a new run.

    Raises:
        FileExistsError: there is one already.
    """
    make_folder(path.parent)
    path.mkdir(mode=0o700)
    run = Run(path)
    make_folder(run.checkpoint_folder)
    text = json.dumps(asdict(record), indent=2, sort_keys=True, ensure_ascii=False)
    replace_file(path / _RECORD_FILE, (text + "\n").encode())
    return run


def is_run(path: Path) -> bool:
    """Say whether a folder is a run."""
    return RUN_NAME.fullmatch(path.name) is not None and (path / _RECORD_FILE).is_file() and not path.is_symlink()


def describe_checkpoint(path: Path, *, run: str | None = None, reference: str | None = None) -> CheckpointInfo:
    """Return what a checkpoint's manifest says.

    Raises:
        CheckpointError: it is no checkpoint, or damaged.
    """
    manifest = read_manifest(path)
    reference = reference or (f"{run}@{manifest.step}" if run else str(path))
    return CheckpointInfo(
        reference=reference, run=run, path=path, manifest=manifest, created=os.stat(path / "manifest.json").st_mtime
    )


def best_of(checkpoints: list[CheckpointInfo]) -> CheckpointInfo | None:
    """Return the checkpoint of lowest validation loss, the earliest of equals; the last where none was evaluated."""
    evaluated = [info for info in checkpoints if info.val_loss is not None]
    if evaluated:
        return min(evaluated, key=lambda info: (info.val_loss, info.step))
    return checkpoints[-1] if checkpoints else None


def parse_events(lines: Iterator[bytes] | Any) -> Iterator[Event]:
    """Yield the events of a log's lines, passing over what is torn or not understood."""
    for line in lines:
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(values, dict) and (event := event_from_json(values)) is not None:
            yield event


def remove_folder(path: Path) -> None:
    """Remove a folder so that a reader sees it whole or not at all: renamed away first."""
    gone = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}.gone")
    os.rename(path, gone)
    shutil.rmtree(gone, ignore_errors=True)
