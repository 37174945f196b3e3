"""Dropout whose masks depend on the seed, the step and the sequence, not on what was drawn before."""

import copy
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from shakegpt.system.seeds import derive_seed

_LEVELS = 256


class DropoutMasks(Protocol):
    """The dropout masks of one optimizer step (Srivastava et al. 2014, JMLR 15)."""

    step: int
    """The optimizer step."""

    def of_rows(self, rows: range) -> "DropoutMasks":
        """Return the masks of some sequences of the batch, for a pass of these alone."""
        ...

    def drop(self, x: Tensor, probability: float) -> Tensor:
        """Return ``x`` with each element zeroed at a probability and the others scaled up, so that the mean stays.

        Args:
            x: activations, (B, ...) or (B·H, ...), sequence after sequence.
            probability: of zeroing an element, in [0, 1).
        """
        ...


def make_dropout_masks(seed: int, step: int, batch_size: int, device: torch.device) -> DropoutMasks:
    """Return the masks of one step, all its generators seeded.

    Args:
        seed: the run's seed.
        step: the optimizer step.
        batch_size: the sequences of the batch.
        device: where the activations are.
    """
    if device.type == "cpu":
        return SequenceDropoutMasks(seed, step, range(batch_size))
    return DeviceDropoutMasks(seed, step, device)


class DeviceDropoutMasks:
    """Torch's own dropout on a GPU, whose generator is seeded once for a step, by the seed and the step.

    Every pass of the step goes on drawing where the one before it ended. The fused attention draws from the same
    generator. A recorded step is seeded in the same way: a replay begins at the generator's present state.
    """

    def __init__(self, seed: int, step: int, device: torch.device) -> None:
        self.step = step
        torch.get_device_module(device).manual_seed(derive_seed(seed, "dropout", step))

    def of_rows(self, rows: range) -> "DeviceDropoutMasks":  # noqa: ARG002
        """See ``DropoutMasks.of_rows``: the masks follow the order of the draws, whatever the sequences are."""
        return self

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
        self.step = step
        self._generators = {row: torch.Generator().manual_seed(derive_seed(seed, "dropout", step, row)) for row in rows}

    def of_rows(self, rows: range) -> "SequenceDropoutMasks":
        """See ``DropoutMasks.of_rows``. These sequences' masks are drawn in one pass only."""
        masks = copy.copy(self)
        masks._generators = {row: self._generators[row] for row in rows}
        return masks

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
        for row, generator in zip(draws, self._generators.values(), strict=True):
            row.random_(-(2**63), None, generator=generator)
        mask = torch.empty(rows, elements, dtype=dtype)
        torch.ge(draws.view(torch.uint8)[:, :elements], _threshold(probability), out=mask)
        return mask.view(shape)


def _threshold(probability: float) -> int:
    """Return for how many of the 256 values of a random byte an element is zeroed."""
    return min(round(probability * _LEVELS), _LEVELS - 1)
