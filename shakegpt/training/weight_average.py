"""A moving average of the weights, which may predict better than the weights of any one step."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class WeightAverage:
    """The exponential moving average of the weights over the steps (Polyak & Juditsky 1992; exponential as in section
    7.2 of Kingma & Ba 2015, arXiv:1412.6980).

    It begins as a copy of the weights. With a fixed decay, these first weights, which are random, would keep a share of
    ``decay ** n`` after n steps: at 0.999 more than a third after 1,000. So the n-th step's decay is
    ``min(decay, (1 + n) / (10 + n))``, as in TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``.

    Args:
        weights: all weights of the model, (N,).
        decay: what the average keeps of itself at a step, in (0, 1).
    """

    def __init__(self, weights: Tensor, decay: float) -> None:
        self._weights, self._least_share = weights, 1 - decay
        self.vector = weights.detach().clone()
        """The averaged weights, (N,)."""

    def update(self, steps: Tensor, finite: Tensor) -> None:
        """Take in the weights after a step. Nothing is read by the host.

        Args:
            steps: how many were taken, this one included; a float scalar on the device.
            finite: whether this one was; a bool on the device. Otherwise, the average stays as it is.
        """
        share = (9 / (steps + 10)).clamp(min=self._least_share)  # 1 - decay: of the weights as they are now
        self.vector.lerp_(self._weights, share * finite)

    def restart(self) -> None:
        """Begin again, with the weights as they are now."""
        self.vector.copy_(self._weights)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Give the model the averaged weights for the time of a ``with``; no step may be taken in it."""
        with torch.no_grad():
            weights = self._weights.clone()
            self._weights.copy_(self.vector)
        try:
            yield
        finally:
            with torch.no_grad():
                self._weights.copy_(weights)
