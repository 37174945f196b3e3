"""The runs of the store as they are read for the list: what each is, its checkpoints, and the sweep it belongs to."""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from shakegpt.config import current_preset
from shakegpt.errors import ShakegptError
from shakegpt.events import Step
from shakegpt.runs.lock import LockOwner
from shakegpt.runs.manifest import CheckpointInfo, best_checkpoint
from shakegpt.runs.notes import read_notes
from shakegpt.runs.run import Run, RunMetadata, Status
from shakegpt.runs.store import PRETRAINED, Store
from shakegpt.runs.sweeps import plans, sweep_folder, sweep_name


@dataclass(frozen=True)
class SweepIdentity:
    """What a run knows of the sweep that it belongs to."""

    name: str
    path: str
    """The folder of its plan; empty where it was planned elsewhere."""
    planned: int
    """How many runs it has, those that have not begun included; 0 where nobody knows."""

    @property
    def key(self) -> str:
        """The name of its row, which no run has."""
        return f"{self.name}/"


@dataclass(frozen=True, kw_only=True)
class ListedCheckpoint:
    """A checkpoint of a listed run."""

    info: CheckpointInfo
    best: bool = False
    """Whether it has the lowest validation loss of its run; never where none was evaluated."""
    last: bool = False

    @property
    def reference(self) -> str:
        """The reference that opens it."""
        return self.info.reference


@dataclass(frozen=True, kw_only=True)
class ListedRun:
    """A run and its checkpoints; the built-in model is listed as a run of its own."""

    name: str
    status: Status | Literal["built-in"]
    preset: str
    corpus: str
    parameters: int
    steps: int
    seed: int | None
    created: float | None
    """Seconds since 1970; ``None`` for the built-in model, whose files are only as old as the installation."""
    bytes: int
    checkpoints: tuple[ListedCheckpoint, ...]
    path: str
    metadata: RunMetadata | None = None
    """``None`` for the built-in model."""
    owner: LockOwner | None = None
    """The process that trains it."""
    live_step: int = 0
    """The newest step of its log while it is in training."""
    note: str = ""
    tags: tuple[str, ...] = ()
    sweep: SweepIdentity | None = None
    varied: str = ""
    """What sets it apart within its sweep, as far as the plan says: ``learning-rate 1e-3, seed 1``."""

    @property
    def is_built_in(self) -> bool:
        """Whether it is the model that shakegpt comes with."""
        return self.status == "built-in"

    @property
    def title(self) -> str:
        """Its name on the screen."""
        return "built-in model" if self.is_built_in else self.name

    @property
    def step(self) -> int:
        """The step of its last checkpoint, or the newest while it is in training."""
        return max((self.live_step, *(checkpoint.info.step for checkpoint in self.checkpoints)))

    @property
    def best_loss(self) -> float | None:
        """The lowest validation loss of its checkpoints."""
        losses = [c.info.val_loss for c in self.checkpoints if c.info.val_loss is not None]
        return min(losses, default=None)

    @property
    def best(self) -> ListedCheckpoint | None:
        """Its best checkpoint; where none was evaluated, its last."""
        return next((checkpoint for checkpoint in self.checkpoints if checkpoint.best), self.last)

    @property
    def last(self) -> ListedCheckpoint | None:
        """Its last checkpoint."""
        return self.checkpoints[-1] if self.checkpoints else None


def read_run_list(store: Store) -> list[ListedRun]:
    """Return every run of the store, newest first, and the built-in model; a damaged run is left out.

    Raises:
        ShakegptError: the store itself cannot be read.
    """
    runs, found = [], store.runs()
    sweeps = find_sweeps(store, [run.name for run in found])
    for run in found:
        try:
            sweep, varied = sweeps.get(run.name, (None, ""))
            runs.append(replace(_read_run(run), sweep=sweep, varied=varied))
        except (ShakegptError, OSError):
            continue  # perhaps removed or renamed meanwhile
    return runs + _pretrained(store)


def _read_run(run: Run) -> ListedRun:
    record, infos, owner, notes = run.metadata, run.checkpoints(), run.owner(), read_notes(run)
    best = best_checkpoint([info for info in infos if info.val_loss is not None])
    return ListedRun(
        name=run.name,
        status="training" if owner else run.status(),
        preset=current_preset(record.preset),
        corpus=record.corpus,
        parameters=record.model.parameters,
        steps=record.training.steps,
        seed=record.training.seed,
        created=_seconds_since_1970(record.created),
        bytes=run.bytes(),
        checkpoints=tuple(ListedCheckpoint(info=info, best=info is best, last=info is infos[-1]) for info in infos),
        path=str(run.path),
        metadata=record,
        owner=owner,
        live_step=_newest_step(run) if owner else 0,
        note=notes.note or "",
        tags=tuple(notes.tags or ()),
    )


def _newest_step(run: Run) -> int:
    return next((event.step for event in run.log.newest() if isinstance(event, Step)), 0)


def _pretrained(store: Store) -> list[ListedRun]:
    try:
        info = store.find(PRETRAINED)
    except ShakegptError:
        return []
    return [
        ListedRun(
            name=PRETRAINED,
            status="built-in",
            preset="",
            corpus="tiny-shakespeare",
            parameters=info.parameters,
            steps=info.step,
            seed=None,
            created=None,
            bytes=info.bytes,
            checkpoints=(ListedCheckpoint(info=info, best=True, last=True),),
            path=str(info.path),
        )
    ]


def _seconds_since_1970(timestamp: str) -> float:
    try:
        parsed = datetime.fromisoformat(timestamp)
    except ValueError:
        return 0.0
    return parsed.timestamp() if parsed.tzinfo else float(calendar.timegm(parsed.timetuple()))


def find_sweeps(store: Store, runs: Sequence[str]) -> dict[str, tuple[SweepIdentity, str]]:
    """Return the sweep of each run that belongs to one, and what sets the run apart in it, by the run's name.

    The plan of a sweep says so. Those of ``sweep --print`` have none here, and are known by their names: ``rates-01``
    and so on, if there are at least two.
    """
    found: dict[str, tuple[SweepIdentity, str]] = {}
    for plan in plans(store):
        sweep = SweepIdentity(plan.name, str(sweep_folder(store, plan.name)), len(plan.runs))
        for run in plan.runs:
            found[run.name] = sweep, ", ".join(f"{name} {value}" for name, value in run.settings.items())
    named: dict[str, list[str]] = {}
    for listed in runs:
        if listed not in found and (name := sweep_name(listed)) is not None:
            named.setdefault(name, []).append(listed)
    planned = {sweep.name for sweep, _ in found.values()}
    for name, members in named.items():
        if len(members) > 1 and name not in planned:
            found |= dict.fromkeys(members, (SweepIdentity(name, "", 0), ""))
    return found
