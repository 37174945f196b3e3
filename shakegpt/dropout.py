"""Dropout whose masks depend on the seed, the step and the sequence, never on what was drawn before."""

import torch
from torch import Tensor

from shakegpt.randomness import derive_seed

_LEVELS = 256


class Noise:
    """The dropout masks of one forward pass (Srivastava et al. 2014, JMLR 15).

    On a CPU every sequence of the batch has masks of its own, named by its place in the batch, so they are the same
    however the batch is cut into pieces, over threads or over processes. On a GPU, where many small draws are
    slow, the pass draws at once, and is named by its first sequence.

    A mask compares random bytes with a threshold: one 64-bit draw serves eight activations, where ``bernoulli_``
    takes a serial draw for each (a seventh of the training time). The probability is therefore rounded to
    a multiple of 1/256, and the survivors are scaled by what the rounded one asks for, so the expectation is exact.

    Args:
        seed: the run's seed.
        step: the optimizer step.
        rows: the sequences of the batch that go through the model now.
        device: where the activations are.
    """

    def __init__(self, seed: int, step: int, rows: range, device: torch.device | str = "cpu") -> None:
        self._device = torch.device(device)
        named = rows if self._device.type == "cpu" else rows[:1]
        self._generators = [
            torch.Generator(self._device).manual_seed(derive_seed(seed, "dropout", step, row)) for row in named
        ]
        if self._device.type == "cuda":  # the fused attention draws from the device's own generator
            torch.cuda.manual_seed(derive_seed(seed, "attention dropout", step, rows.start))

    def drop(self, x: Tensor, probability: float) -> Tensor:
        """Return ``x`` with each element zeroed at a probability and the others scaled up, so the mean stays.

        Args:
            x: the rows' activations, all of a row before the next: (B, ...) or (B·H, ...).
            probability: in [0, 1).
        """
        threshold = min(round(probability * _LEVELS), _LEVELS - 1)
        if threshold == 0:
            return x
        elements = x.numel() // len(self._generators)
        draws = torch.empty(len(self._generators), -(-elements // 8), dtype=torch.int64, device=self._device)
        for row, generator in zip(draws, self._generators, strict=True):
            row.random_(-(2**63), None, generator=generator)
        kept = torch.empty(len(self._generators), elements, dtype=x.dtype, device=self._device)
        torch.ge(draws.view(torch.uint8)[:, :elements], threshold, out=kept)
        return x * kept.mul_(_LEVELS / (_LEVELS - threshold)).view(x.shape)
