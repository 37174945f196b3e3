"""Dropout whose masks depend on the seed, the step and the place, never on what was drawn before."""

import torch
from torch import Tensor

from shakegpt.randomness import derive_seed

_LEVELS = 256


class Noise:
    """The dropout masks of one forward pass (Srivastava et al. 2014, JMLR 15).

    A mask compares random bytes with a threshold: one 64-bit draw serves eight activations, where ``bernoulli_``
    takes a serial draw for each. The probability is therefore rounded to a multiple of 1/256, and the survivors
    are scaled by what the rounded one asks for, so the expectation is exact.

    Args:
        seed: the run's seed.
        path: what the pass is for, such as ``("dropout", step, piece)``.
        device: where the activations are.
    """

    def __init__(self, seed: int, *path: str | int, device: torch.device | str = "cpu") -> None:
        self._generator = torch.Generator(device).manual_seed(derive_seed(seed, *path))

    def drop(self, x: Tensor, probability: float) -> Tensor:
        """Return ``x`` with each element zeroed at a probability and the others scaled up, so the mean stays."""
        threshold = round(probability * _LEVELS)
        if threshold == 0:
            return x
        draws = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        draws.random_(-(2**63), None, generator=self._generator)
        kept = draws.view(torch.uint8)[: x.numel()].view(x.shape) >= threshold
        return x * (kept.to(x.dtype) * (_LEVELS / (_LEVELS - threshold)))
