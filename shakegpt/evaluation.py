"""How well a model predicts a text: one full, deterministic pass."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor
from torch.nn import functional

from shakegpt import events
from shakegpt.model import GPT

_WINDOWS_AT_ONCE = 32


@dataclass(frozen=True)
class Loss:
    """The mean cross-entropy over a split."""

    nats: float
    """Nats per character."""
    characters: int
    """How many characters were predicted: all but the first, which nothing precedes."""

    @property
    def perplexity(self) -> float:
        """``exp(nats)``."""
        return events.perplexity(self.nats)

    @property
    def bits_per_character(self) -> float:
        """``nats / ln 2``."""
        return events.bits_per_character(self.nats)


@overload
def evaluate(model: GPT, ids: Tensor) -> Loss: ...
@overload
def evaluate(model: GPT, ids: Tensor, *, stop: Callable[[], bool]) -> Loss | None: ...


@torch.inference_mode()
def evaluate(model: GPT, ids: Tensor, *, stop: Callable[[], bool] | None = None) -> Loss | None:
    """Return the loss over ``ids`` in consecutive windows of ``block_size``, in fp32, the last one shorter.

    Nothing is drawn and no dropout applied, so equal weights give equal losses.

    Args:
        model: the model, on any device.
        ids: the split, (N,) int64, N at least 2.
        stop: asked now and then; where it says yes, the pass is given up and ``None`` returned.
    """
    block_size = model.config.block_size
    device = model.token_embedding.weight.device
    inputs, targets = ids[:-1].to(device), ids[1:].to(device)
    whole = len(inputs) // block_size * block_size
    rows_of_inputs = inputs[:whole].view(-1, block_size).split(_WINDOWS_AT_ONCE)
    rows_of_targets = targets[:whole].view(-1, block_size).split(_WINDOWS_AT_ONCE)
    pieces = list(zip(rows_of_inputs, rows_of_targets, strict=True)) if whole else []
    if whole < len(inputs):
        pieces.append((inputs[None, whole:], targets[None, whole:]))
    total = torch.zeros((), dtype=torch.float64, device=device)
    with torch.autocast(device.type, enabled=False):
        for x, y in pieces:
            if stop is not None and stop():
                return None
            logits = model(x).float()
            total += functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum").double()
    return Loss(nats=float(total) / len(inputs), characters=len(inputs))
