"""How good a model in training is known to be: its losses lately, its newest evaluation, and the best so far."""

import math

import torch
from torch import Tensor

from shakegpt.runs.checkpoint import TrainingMetadata


class Standing:
    """What a run remembers of its losses. All are nats per character.

    Args:
        device: where the training losses are; they are added up there, and fetched only when asked for.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._dtype = torch.float32 if device.type == "mps" else torch.float64  # an Apple GPU has no more
        self._losses = self._zero()
        self.val_loss: float | None = None
        """Of the weights of this moment; ``None`` until they are evaluated."""
        self.best_val_loss: float | None = None
        """The lowest of earlier moments."""
        self.best_step: int | None = None

    def _zero(self) -> Tensor:
        return torch.zeros(2, dtype=self._dtype, device=self._device)

    def restore(self, record: TrainingMetadata, val_loss: float | None) -> None:
        """Take over what a checkpoint says."""
        self.val_loss = val_loss
        self.best_step, self.best_val_loss = record.best_step, record.best_val_loss
        losses = [record.train_loss_sum, float(record.train_loss_count)]
        self._losses = torch.tensor(losses, dtype=self._dtype).to(self._device)

    def note_step(self, loss: Tensor, finite: Tensor) -> None:
        """Add a step's loss, a scalar, where it is finite; nothing waits for the device."""
        loss = loss.to(self._dtype)
        self._losses += torch.where(finite, torch.stack([loss, torch.ones_like(loss)]), 0.0)

    def train_losses(self) -> tuple[float, int]:
        """Return the sum of the losses since the last evaluation, and how many there were."""
        total, count = self._losses.tolist()
        return total, round(count)

    @property
    def train_loss(self) -> float:
        """The mean of the losses since the last evaluation; NaN where there were none."""
        total, count = self.train_losses()
        return total / count if count else math.nan

    @property
    def is_best(self) -> bool:
        """Whether the weights of this moment were evaluated, and none before them did better."""
        known = self.known_val_loss
        return known is not None and (self.best_val_loss is None or known < self.best_val_loss)

    @property
    def known_val_loss(self) -> float | None:
        """The validation loss of the weights of this moment, where it is a number."""
        return self.val_loss if self.val_loss is not None and math.isfinite(self.val_loss) else None

    def leave(self, step: int) -> None:
        """Fold the evaluation of ``step``, if there was one, into what is remembered.

        Only when the next step begins: what a checkpoint records is the same whether its step was evaluated or is
        still to be, so a run that is cut between the two loses nothing.
        """
        if self.val_loss is None:
            return
        if self.is_best:
            self.best_val_loss, self.best_step = self.val_loss, step
        self._losses = self._zero()
        self.val_loss = None
