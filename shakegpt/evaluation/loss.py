"""How well a model predicts a text: one full, deterministic pass."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor
from torch.nn import functional

from shakegpt import events
from shakegpt.model.gpt import GPT
from shakegpt.system.threads import ThreadPool

_WINDOWS_AT_ONCE = 4


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
def evaluate(model: GPT, ids: Tensor, *, pool: ThreadPool | None = None) -> Loss: ...
@overload
def evaluate(model: GPT, ids: Tensor, *, pool: ThreadPool | None = None, stop: Callable[[], bool]) -> Loss | None: ...


def evaluate(
    model: GPT, ids: Tensor, *, pool: ThreadPool | None = None, stop: Callable[[], bool] | None = None
) -> Loss | None:
    """Return the loss over ``ids`` in consecutive windows of ``block_size``, in fp32, the last one shorter.

    Nothing is drawn and no dropout applied, and the parts are added in order: equal weights give equal losses, over
    however many threads.

    Args:
        model: the model, on any device.
        ids: the split, (N,) of whole numbers, N at least 2.
        pool: the threads that share the windows; on the calling thread where left out.
        stop: asked now and then; where it says yes, the pass is given up and ``None`` returned.
    """
    block_size = model.config.block_size
    device = model.token_embedding.weight.device
    inputs, targets = ids[:-1].to(device), ids[1:].to(device)
    whole = len(inputs) // block_size * block_size
    pieces = list(
        zip(
            torch.split(inputs[:whole].view(-1, block_size), _WINDOWS_AT_ONCE),
            torch.split(targets[:whole].view(-1, block_size), _WINDOWS_AT_ONCE),
            strict=True,
        )
    )
    if whole == 0:
        pieces = []
    if whole < len(inputs):
        pieces.append((inputs[None, whole:], targets[None, whole:]))

    # One tensor for all sums: small results that outlive their pieces would cut up the memory that the pieces share.
    sums = torch.zeros(len(pieces), device=device)

    @torch.inference_mode()
    def sum_losses(piece: int) -> bool:
        if stop is not None and stop():
            return False
        x, y = (ids.long() for ids in pieces[piece])
        logits = model(x)
        sums[piece] = functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="sum")
        return True

    if not all((pool or ThreadPool()).map(sum_losses, range(len(pieces)))):
        return None
    return Loss(nats=float(sums.cpu().double().sum()) / len(inputs), characters=len(inputs))
