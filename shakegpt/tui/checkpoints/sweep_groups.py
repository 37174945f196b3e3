"""The sweeps among the listed runs: which runs belong together, and how they stand, in one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import plans, sweep_folder, sweep_name
from shakegpt.tui import formatting

if TYPE_CHECKING:
    from shakegpt.tui.checkpoints.run_list import ListedRun


@dataclass(frozen=True)
class SweepIdentity:
    """What a run knows of the sweep that it belongs to."""

    name: str
    path: str
    """The folder of its plan; empty where it was planned elsewhere."""
    planned: int
    """How many runs it has, those that have not begun included; 0 where nobody knows."""


def find_sweeps(store: Store, runs: Sequence[str]) -> dict[str, SweepIdentity]:
    """Return the sweep of each run that belongs to one, by the run's name.

    The plan of a sweep says so. Those of ``sweep --print`` have none here, and are known by their names: ``rates-01``
    and so on, if there are at least two.
    """
    found: dict[str, SweepIdentity] = {}
    for plan in plans(store):
        sweep = SweepIdentity(plan.name, str(sweep_folder(store, plan.name)), len(plan.runs))
        found |= {run.name: sweep for run in plan.runs}
    named: dict[str, list[str]] = {}
    for run in runs:
        if run not in found and (name := sweep_name(run)) is not None:
            named.setdefault(name, []).append(run)
    planned = {sweep.name for sweep in found.values()}
    for name, members in named.items():
        if len(members) > 1 and name not in planned:
            found |= dict.fromkeys(members, SweepIdentity(name, "", 0))
    return {run: found[run] for run in runs if run in found}


@dataclass(frozen=True)
class ListedSweep:
    """Runs of one sweep, as far as they are listed: at least one, in the order of their names."""

    identity: SweepIdentity
    runs: "tuple[ListedRun, ...]"

    @property
    def name(self) -> str:
        """Its name."""
        return self.identity.name

    @property
    def key(self) -> str:
        """The name of its row, which no run has."""
        return f"{self.name}/"

    @property
    def size(self) -> int:
        """How many runs it has, as far as that is known."""
        return max(self.identity.planned, len(self.runs))

    @property
    def finished(self) -> int:
        """How many of them are finished."""
        return sum(run.status == "finished" for run in self.runs)

    @property
    def failed(self) -> int:
        """How many of them have failed, or were killed."""
        return sum(run.status in ("failed", "killed") for run in self.runs)

    @property
    def training(self) -> int:
        """How many of them are in training."""
        return sum(run.status == "training" for run in self.runs)

    @property
    def best(self) -> "ListedRun":
        """The run of the lowest loss; the first where none has one."""
        return min(self.runs, key=lambda run: (run.best_loss is None, run.best_loss or 0.0))

    @property
    def bytes(self) -> int:
        """What its runs take on the disk."""
        return sum(run.bytes for run in self.runs)

    @property
    def created(self) -> float | None:
        """When the newest of its runs was begun."""
        return max((run.created for run in self.runs if run.created is not None), default=None)

    @property
    def progress(self) -> str:
        """How many runs are done, in a few words."""
        failed = f", {self.failed} failed" if self.failed else ""
        training = f", {self.training} in training" if self.training else ""
        return f"{self.finished} of {self.size} runs done{training}{failed}"


def best_losses(runs: "Sequence[ListedRun]") -> list[float]:
    """Return the best loss of each run that has one; of finished runs only, if there are any, as a comparison does."""
    finished = [run for run in runs if run.status == "finished"]
    return [run.best_loss for run in finished or runs if run.best_loss is not None]


def mean_and_spread(runs: "Sequence[ListedRun]") -> str:
    """Return the mean and the standard deviation of the best losses of runs, such as ``1.512 ± 0.004``."""
    losses = best_losses(runs)
    if not losses:
        return formatting.NO_VALUE
    spread = f" ± {stdev(losses):.3f}" if len(losses) > 1 else ""
    return f"{formatting.decimal(fmean(losses))}{spread}"
