"""Dropout whose masks depend on the seed, the step and the sequence, never on what was drawn before."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from shakegpt.system.seeds import derive_seed

_LEVELS = 256


class DropoutMasks(Protocol):
    """The dropout masks of one forward pass (Srivastava et al. 2014, JMLR 15)."""

    def drop(self, x: Tensor, probability: float) -> Tensor:
        """Return ``x`` with each element zeroed at a probability and the others scaled up, so the mean stays.

        Args:
            x: the rows' activations, all of a row before the next: (B, ...) or (B·H, ...).
            probability: in [0, 1).
        """
        ...


def make_dropout_masks(seed: int, step: int, rows: range, device: torch.device) -> DropoutMasks:
    """Return the masks of a forward pass, of the kind that suits the device.

    Args:
        seed: the run's seed.
        step: the optimizer step.
        rows: the sequences of the batch that go through the model now.
        device: where the activations are.
    """
    return (
        SequenceDropoutMasks(seed, step, rows) if device.type == "cpu" else DeviceDropoutMasks(seed, step, rows, device)
    )


class DeviceDropoutMasks:
    """Masks from a GPU's own generator, seeded once for the pass and named by its first sequence.

    Torch's own dropout; the fused attention draws from the same generator.
    """

    def __init__(self, seed: int, step: int, rows: range, device: torch.device) -> None:
        torch.get_device_module(device).manual_seed(derive_seed(seed, "dropout", step, rows.start))

    def drop(self, x: Tensor, probability: float) -> Tensor:
        """See ``DropoutMasks.drop``."""
        return functional.dropout(x, probability)


class SequenceDropoutMasks:
    """Masks on a CPU: every sequence of the batch has its own.

    They are named by its place in the batch, so they are the same however the batch is cut into pieces, over threads
    or over processes.

    A mask compares random bytes with a threshold: one 64-bit draw serves eight activations, where ``bernoulli_``
    takes a serial draw for each (a seventh of the training time). The probability is therefore rounded to
    a multiple of 1/256, and the survivors are scaled by what the rounded one asks for, so the expectation is exact.

    Args:
        seed: the run's seed.
        step: the optimizer step.
        rows: the sequences of the batch that go through the model now.
    """

    def __init__(self, seed: int, step: int, rows: range) -> None:
        self._generators = [torch.Generator().manual_seed(derive_seed(seed, "dropout", step, row)) for row in rows]

    def drop(self, x: Tensor, probability: float) -> Tensor:
        """See ``DropoutMasks.drop``."""
        if _threshold(probability) == 0:
            return x
        return x * self.mask(x.shape, probability, x.dtype).mul_(self.scale(probability))

    def scale(self, probability: float) -> float:
        """Return what the survivors are multiplied by, so that the mean stays."""
        return _LEVELS / (_LEVELS - _threshold(probability))

    def mask(self, shape: torch.Size, probability: float, dtype: torch.dtype) -> Tensor:
        """Return 1 where an element is kept and 0 where it is dropped.

        Args:
            shape: the activations', all of a row before the next: (B, ...) or (B·H, ...).
            probability: of dropping, in [0, 1).
            dtype: the activations'.
        """
        rows = len(self._generators)
        elements = shape.numel() // rows
        draws = torch.empty(rows, -(-elements // 8), dtype=torch.int64)
        for row, generator in zip(draws, self._generators, strict=True):
            row.random_(-(2**63), None, generator=generator)
        kept = torch.empty(rows, elements, dtype=dtype)
        torch.ge(draws.view(torch.uint8)[:, :elements], _threshold(probability), out=kept)
        return kept.view(shape)


def _threshold(probability: float) -> int:
    """Return the random bytes, of 256, for which an element is dropped."""
    return min(round(probability * _LEVELS), _LEVELS - 1)
