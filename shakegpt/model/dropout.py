"""Dropout whose masks depend on the seed, the step and the sequence, not on what was drawn before."""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from shakegpt.system.seeds import derive_seed

_LEVELS = 256


class DropoutMasks(Protocol):
    """The dropout masks of one forward pass (Srivastava et al. 2014, JMLR 15)."""

    def drop(self, x: Tensor, probability: float) -> Tensor:
        """Return ``x`` with each element zeroed at a probability and the others scaled up, so that the mean stays.

        Args:
            x: activations, (B, ...) or (B·H, ...), sequence after sequence.
            probability: of zeroing an element, in [0, 1).
        """
        ...


def make_dropout_masks(seed: int, step: int, rows: range, device: torch.device) -> DropoutMasks:
    """Return the masks of one forward pass.

    Args:
        seed: the run's seed.
        step: the optimizer step.
        rows: the sequences of the batch that go through the model now.
        device: where the activations are.
    """
    if device.type == "cpu":
        return SequenceDropoutMasks(seed, step, rows)
    return DeviceDropoutMasks(seed, step, rows, device)


class DeviceDropoutMasks:
    """Torch's own dropout on a GPU, whose generator is seeded once for a pass, by the seed, the step and the first row.

    The fused attention draws from the same generator.
    """

    def __init__(self, seed: int, step: int, rows: range, device: torch.device) -> None:
        torch.get_device_module(device).manual_seed(derive_seed(seed, "dropout", step, rows.start))

    def drop(self, x: Tensor, probability: float) -> Tensor:
        """See ``DropoutMasks.drop``."""
        return functional.dropout(x, probability)


class SequenceDropoutMasks:
    """Masks on a CPU, where every sequence of the batch has a generator of its own.

    It is seeded by the place in the batch, so the masks are the same however the batch is cut into pieces, over threads
    or over processes.

    A mask compares random bytes with a threshold: one 64-bit draw serves eight activations, where ``bernoulli_``
    takes a serial draw for each (a seventh of the training time). The probability is therefore rounded to a multiple of
    1/256, and the other elements are scaled by what the rounded one asks for, so the expectation is exact.

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
        """Return what the elements that are not zeroed are multiplied by, so that the mean stays."""
        return _LEVELS / (_LEVELS - _threshold(probability))

    def mask(self, shape: torch.Size, probability: float, dtype: torch.dtype) -> Tensor:
        """Return 0 where an element is zeroed and 1 elsewhere, for activations of a shape and type as in ``drop``."""
        rows = len(self._generators)
        elements = shape.numel() // rows  # of a sequence
        draws = torch.empty(rows, -(-elements // 8), dtype=torch.int64)
        for row, generator in zip(draws, self._generators, strict=True):
            row.random_(-(2**63), None, generator=generator)
        mask = torch.empty(rows, elements, dtype=dtype)
        torch.ge(draws.view(torch.uint8)[:, :elements], _threshold(probability), out=mask)
        return mask.view(shape)


def _threshold(probability: float) -> int:
    """Return for how many of the 256 values of a random byte an element is zeroed."""
    return min(round(probability * _LEVELS), _LEVELS - 1)
