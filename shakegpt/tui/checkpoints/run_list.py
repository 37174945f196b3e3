"""What the store holds, read once and arranged as the checkpoint screen shows it. No widget, no clock."""

import calendar
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from shakegpt.errors import ShakegptError
from shakegpt.runs.run import CheckpointInfo, Run, Status, best_checkpoint
from shakegpt.runs.store import PRETRAINED, Store
from shakegpt.system.files import remove_folder

SortKey = Literal["age", "name", "loss", "step", "size"]
SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)
# Newest, lowest loss and first name come first; so do the longest and the largest.
_LARGEST_FIRST = frozenset({"age", "step", "size"})


@dataclass(frozen=True, kw_only=True)
class ListedCheckpoint:
    """One checkpoint's row."""

    info: CheckpointInfo
    best: bool = False
    last: bool = False

    @property
    def reference(self) -> str:
        """What names it."""
        return self.info.reference


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """One run's row and those of its checkpoints; the model that ships with shakegpt stands as a run of its own."""

    name: str
    status: Status | Literal["shipped"]
    preset: str
    corpus: str
    parameters: int
    steps: int
    seed: int | None
    created: float
    """Seconds since 1970."""
    bytes: int
    checkpoints: tuple[ListedCheckpoint, ...]
    path: str

    @property
    def step(self) -> int:
        """The step of its last checkpoint."""
        return max((checkpoint.info.step for checkpoint in self.checkpoints), default=0)

    @property
    def best_loss(self) -> float | None:
        """The lowest validation loss of its checkpoints."""
        losses = [c.info.val_loss for c in self.checkpoints if c.info.val_loss is not None]
        return min(losses, default=None)

    @property
    def best(self) -> ListedCheckpoint | None:
        """Its best checkpoint."""
        return next((checkpoint for checkpoint in self.checkpoints if checkpoint.best), None)

    @property
    def last(self) -> ListedCheckpoint | None:
        """Its last checkpoint."""
        return self.checkpoints[-1] if self.checkpoints else None


def read_run_list(store: Store) -> list[ListedRun]:
    """Read every run of the store, newest first, and what ships beside it; a damaged run is passed over.

    Raises:
        ShakegptError: the store itself cannot be read.
    """
    shelf = []
    for run in store.runs():
        try:
            shelf.append(_shelve(run))
        except (ShakegptError, OSError):
            continue  # removed or renamed while we looked
    return shelf + _shipped(store)


def _shelve(run: Run) -> ListedRun:
    record, infos = run.metadata, run.checkpoints()
    best = best_checkpoint(infos)
    return ListedRun(
        name=run.name,
        status=run.status(),
        preset=record.preset,
        corpus=record.corpus,
        parameters=record.model.parameters,
        steps=record.training.steps,
        seed=record.training.seed,
        created=_seconds_since_1970(record.created),
        bytes=run.bytes(),
        checkpoints=tuple(ListedCheckpoint(info=info, best=info is best, last=info is infos[-1]) for info in infos),
        path=str(run.path),
    )


def _shipped(store: Store) -> list[ListedRun]:
    try:
        info = store.find(PRETRAINED)
    except ShakegptError:
        return []
    return [
        ListedRun(
            name=PRETRAINED,
            status="shipped",
            preset="",
            corpus="tiny-shakespeare",
            parameters=info.parameters,
            steps=info.step,
            seed=None,
            created=info.created,
            bytes=info.bytes,
            checkpoints=(ListedCheckpoint(info=info, best=True, last=True),),
            path=str(info.path),
        )
    ]


def remove_checkpoint(run: Run, step: int) -> None:
    """Remove one checkpoint of a run.

    Raises:
        RunBusyError: a process is training it.
    """
    with run.lock():
        remove_folder(run.checkpoint_path(step))


def _seconds_since_1970(moment: str) -> float:
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return 0.0
    return parsed.timestamp() if parsed.tzinfo else float(calendar.timegm(parsed.timetuple()))


def matching(shelf: Iterable[ListedRun], words: str) -> list[ListedRun]:
    """Return the runs in whose name, status, corpus or preset every one of ``words`` occurs."""
    wanted = words.casefold().split()
    return [
        run
        for run in shelf
        if all(word in f"{run.name} {run.status} {run.corpus} {run.preset}".casefold() for word in wanted)
    ]


def arranged(shelf: Iterable[ListedRun], key: SortKey, *, reverse: bool = False) -> list[ListedRun]:
    """Return the runs in order; those without a loss come last in either direction, and what ships after them."""
    first_to_last = sorted(shelf, key=lambda run: run.name)  # equals stay in the order of their names
    backwards = (key in _LARGEST_FIRST) != reverse
    in_order = sorted(first_to_last, key=lambda run: _value(run, key), reverse=backwards)
    return sorted(in_order, key=lambda run: (run.status == "shipped", key == "loss" and run.best_loss is None))


def _value(run: ListedRun, key: SortKey) -> tuple[float, str]:
    match key:
        case "age":
            return (run.created, "")
        case "name":
            return (0.0, run.name)
        case "loss":
            return (run.best_loss or 0.0, "")
        case "step":
            return (float(run.step), "")
        case "size":
            return (float(run.bytes), "")


def age(moment: float, now: float | None = None) -> str:
    """Return how long ago something was, in its largest unit, such as ``3h``."""
    seconds = max(0.0, (time.time() if now is None else now) - moment)
    for unit, length in (("y", 365 * 86_400), ("w", 7 * 86_400), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.0f}s"
