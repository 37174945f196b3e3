"""The sweeps among the listed runs: which runs belong together, and how they stand, in one row."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from shakegpt.tui import formatting
from shakegpt.tui.checkpoints.listed_runs import ListedRun, SweepIdentity


@dataclass(frozen=True)
class ListedSweep:
    """Runs of one sweep, as far as they are listed: at least one, in the order of their names."""

    identity: SweepIdentity
    runs: tuple[ListedRun, ...]

    @property
    def name(self) -> str:
        """Its name."""
        return self.identity.name

    @property
    def key(self) -> str:
        """The name of its row."""
        return self.identity.key

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
    def best(self) -> ListedRun:
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


def best_losses(runs: Sequence[ListedRun]) -> list[float]:
    """Return the best loss of each run that has one; of finished runs only, if there are any, as a comparison does."""
    finished = [run for run in runs if run.status == "finished"]
    return [run.best_loss for run in finished or runs if run.best_loss is not None]


def mean_and_spread(runs: Sequence[ListedRun]) -> str:
    """Return the mean and the standard deviation of the best losses of runs, such as ``1.512 ± 0.004``."""
    losses = best_losses(runs)
    if not losses:
        return formatting.NO_VALUE
    spread = f" ± {stdev(losses):.3f}" if len(losses) > 1 else ""
    return f"{formatting.decimal(fmean(losses))}{spread}"
