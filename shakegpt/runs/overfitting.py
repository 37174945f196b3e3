"""Whether a run overfits: its loss on text that it has not read rises while that on what it reads falls."""

import math
from dataclasses import dataclass
from itertools import pairwise

from shakegpt.runs.snapshot import ENDED, Snapshot

_RISES = 3
"""Evaluations in a row that are worse than the one before: fewer happen by chance."""


@dataclass(frozen=True)
class Overfitting:
    """The losses before a run began to overfit, and now."""

    step: int
    """The evaluation since which the validation loss has risen."""
    validation: tuple[float, float]
    training: tuple[float, float]
    """Means over the steps before the evaluation at ``step``, and before the newest."""
    best_step: int | None
    ended: bool = False
    """Whether the run has ended so."""

    @property
    def sentence(self) -> str:
        """What is happening, or what happened to the end, with the figures."""
        (val_before, val_now), (train_before, train_now) = self.validation, self.training
        if self.ended:
            best = f" The best weights are those of step {self.best_step:,}." if self.best_step is not None else ""
            return (
                f"Overfitting: from step {self.step:,} on the validation loss rose from {val_before:.3f} to "
                f"{val_now:.3f}, while the training loss fell from {train_before:.3f} to {train_now:.3f}. The model "
                f"was learning its text by heart.{best}"
            )
        best = f" The best weights so far are those of step {self.best_step:,}." if self.best_step is not None else ""
        return (
            f"Overfitting: since step {self.step:,} the validation loss has risen from {val_before:.3f} to "
            f"{val_now:.3f}, while the training loss fell from {train_before:.3f} to {train_now:.3f}. The model "
            f"learns its text by heart.{best}"
        )


def overfitting(snapshot: Snapshot) -> Overfitting | None:
    """Return how a run overfits; ``None`` where it does not, or where that cannot be told.

    It does where the validation loss has risen over three evaluations in a row, and the mean training loss before the
    newest of them is below the one before the rise began.
    """
    validation = snapshot.validation
    count = len(validation)
    if count < _RISES + 1:
        return None
    points = [validation[index] for index in range(count - _RISES - 1, count)]
    losses = [point.loss for point in points]
    if not all(earlier < later for earlier, later in pairwise(losses)):
        return None
    first = validation[count - _RISES - 2].step if count > _RISES + 1 else 0
    before = _mean_loss(snapshot, first, points[0].step)
    now = _mean_loss(snapshot, points[-2].step, points[-1].step)
    if not now < before:
        return None
    best = snapshot.best.step if snapshot.best is not None else None
    return Overfitting(points[0].step, (losses[0], losses[-1]), (before, now), best, snapshot.state in ENDED)


def _mean_loss(snapshot: Snapshot, after: int, until: int) -> float:
    """Return the mean loss of the steps after one and up to another; NaN where there is none."""
    losses: list[float] = []
    for index in range(len(snapshot.train) - 1, -1, -1):
        point = snapshot.train[index]
        if point.step <= after:
            break
        if point.step <= until:
            losses.append(point.loss)
    return sum(losses) / len(losses) if losses else math.nan
