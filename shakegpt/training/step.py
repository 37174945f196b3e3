"""One optimizer step as a program of tensors, the same on every device: a CUDA GPU can record it once and replay it.

A chunk of steps goes through three phases. ``load`` takes to the device what the steps need, ``begin`` and ``step``
take each of them, and the ledger says how they went. Only reading the ledger waits for a GPU.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from shakegpt.config import TrainingConfig
from shakegpt.data.corpus import cut_windows, draw_starts
from shakegpt.model.dropout import make_dropout_masks
from shakegpt.system.device import on_device, training_kernels
from shakegpt.training.gradients import Gradients
from shakegpt.training.optimizer import Optimizer

LONGEST_CHUNK = 512
"""Steps."""
_COLUMNS = 5  # of the ledger: the fields of StepResult


@dataclass(frozen=True)
class StepResult:
    """How a step went."""

    loss: float
    """The mean of the batch, in nats per character."""
    grad_norm: float
    """Before clipping."""
    finite: bool
    """Whether the loss and the gradient were; the step was not taken otherwise."""
    overflowed: bool
    """Whether the reason was a loss scale too high for fp16, lower from now on: not an error."""
    loss_scale: float


class StepProgram:
    """A training's optimizer step.

    Args:
        ids: the split to train on, (N,) integers on the device.
        config: of the training.
        block_size: T, of the windows.
        gradients: compute a batch's gradient.
        optimizer: takes the step.
    """

    def __init__(
        self, ids: Tensor, config: TrainingConfig, block_size: int, gradients: Gradients, optimizer: Optimizer
    ) -> None:
        self.device = device = ids.device
        self._ids, self._config, self._block_size = ids, config, block_size
        self._gradients, self._optimizer = gradients, optimizer
        self.accumulate = config.accumulate
        """Micro-batches of a step, at least."""
        # A CPU's AdamW computes with a rate in double precision, a GPU's reads one in single precision.
        rate_dtype = torch.float64 if device.type == "cpu" else torch.float32
        self._starts = torch.zeros((LONGEST_CHUNK, config.batch_size), dtype=torch.int64, device=device)
        self._rates = torch.zeros(LONGEST_CHUNK, dtype=rate_dtype, device=device)
        self._ledger = torch.zeros((LONGEST_CHUNK, _COLUMNS), device=device)
        self._row = torch.zeros(1, dtype=torch.int64, device=device)
        self.taken = 0
        """Steps of the chunk that were taken; counted by whoever runs them, since a replay runs nothing here."""

    def load(self, first: int, count: int, learning_rate: Callable[[int], float]) -> None:
        """Take to the device where the windows of ``count`` steps begin, and their learning rates."""
        self.taken = 0
        if not 1 <= count <= LONGEST_CHUNK:
            raise ValueError(f"A chunk has 1 to {LONGEST_CHUNK} steps, not {count}.")
        steps = range(first, first + count)
        seed, batch_size = self._config.seed, self._config.batch_size
        starts = [
            draw_starts(len(self._ids), step, seed=seed, batch_size=batch_size, block_size=self._block_size)
            for step in steps
        ]
        with on_device(self.device):
            self._copy(torch.stack(starts), self._starts)
            self._copy(torch.tensor([learning_rate(step) for step in steps], dtype=self._rates.dtype), self._rates)
            self._row.zero_()

    def _copy(self, rows: Tensor, table: Tensor) -> None:
        if table.is_cuda:  # from other memory, the copy would wait for the GPU
            rows = rows.pin_memory()
        table[: len(rows)].copy_(rows, non_blocking=True)

    def begin(self, step: int) -> None:
        """Seed the dropout masks of a step: the part of it that cannot be recorded, so it comes before a replay too."""
        with on_device(self.device):
            self._masks = make_dropout_masks(self._config.seed, step, self._config.batch_size, self.device)

    def step(self) -> None:
        """Take the next step of the chunk: batch -> loss -> gradient -> finite? -> clip -> AdamW -> ledger."""
        optimizer = self._optimizer
        with on_device(self.device), training_kernels(self.device):
            starts = self._starts.index_select(0, self._row)[0]  # (B,)
            inputs, targets = cut_windows(self._ids, starts, self._block_size)  # (B, T) each
            scale = optimizer.loss_scale
            loss = self._gradients.compute(inputs, targets, masks=self._masks, accumulate=self.accumulate, scale=scale)
            norm = optimizer.step(self._rates.index_select(0, self._row)[0], loss)
            result = [loss, norm, optimizer.finite.float(), optimizer.overflowed.float(), scale]
            self._ledger.index_copy_(0, self._row, torch.stack(result)[None])
            self._row += 1

    def read(self, count: int) -> list[StepResult]:
        """Return how the first ``count`` steps of the chunk went. Waits for the device."""
        return self.copy_ledger(count).wait()

    def copy_ledger(self, count: int) -> "LedgerCopy":
        """Begin to copy how the first ``count`` steps went; the next chunk can be loaded before this is read."""
        with on_device(self.device):
            return LedgerCopy(self._ledger[:count])


class LedgerCopy:
    """A copy of some rows of the ledger, on its way from the device."""

    def __init__(self, rows: Tensor) -> None:
        self._arrived: torch.cuda.Event | None = None
        if rows.is_cuda:
            self._rows = torch.empty(rows.shape, pin_memory=True)
            self._rows.copy_(rows, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()
        else:
            self._rows = rows.clone()

    def wait(self) -> list[StepResult]:
        """Return the rows, once they are here."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return [
            StepResult(loss, norm, bool(finite), bool(overflowed), scale)
            for loss, norm, finite, overflowed, scale in self._rows.tolist()
        ]
