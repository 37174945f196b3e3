"""How well a model predicts a text: one deterministic pass, over all of it or over a fixed subset."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from shakegpt import events
from shakegpt.model.gpt import GPT, windows_per_batch
from shakegpt.system.seeds import derive_seed
from shakegpt.system.threads import ThreadPool


@dataclass(frozen=True)
class Loss:
    """The mean cross-entropy over a split, or over a fixed subset of its windows."""

    nats: float
    """Nats per character."""
    characters: int
    """How many characters were predicted: all but the first, in a full pass."""
    windows: int = 0
    """How many windows they are in."""
    all_windows: int = 0
    """How many windows the split has; the last one may be shorter."""

    @property
    def perplexity(self) -> float:
        """``exp(nats)``."""
        return events.perplexity(self.nats)

    @property
    def bits_per_character(self) -> float:
        """``nats / ln 2``."""
        return events.bits_per_character(self.nats)


@overload
def evaluate(model: GPT, ids: Tensor, *, pool: ThreadPool | None = None, windows: int = 0) -> Loss: ...
@overload
def evaluate(
    model: GPT, ids: Tensor, *, pool: ThreadPool | None = None, windows: int = 0, stop: Callable[[], bool]
) -> Loss | None: ...


def evaluate(
    model: GPT,
    ids: Tensor,
    *,
    pool: ThreadPool | None = None,
    windows: int = 0,
    stop: Callable[[], bool] | None = None,
) -> Loss | None:
    """Return the loss over ``ids`` in consecutive windows of ``block_size``, in fp32, the last one shorter.

    Nothing is drawn, no dropout is applied, and the sums are added in order: equal weights give equal losses, over
    however many threads.

    Args:
        model: the model, on any device.
        ids: the split, (N,) of integers, N at least 2.
        pool: the threads that share the windows; the calling thread where left out.
        windows: of a split with more windows, take only so many: a subset that is the same for all models and runs of
            this ``block_size``. 0 takes all.
        stop: called before each batch; once it returns true, the pass ends and the result is ``None``.
    """
    block_size = model.config.block_size
    device = model.token_embedding.weight.device
    inputs, targets = ids[:-1].to(device), ids[1:].to(device)
    whole, rest = divmod(len(inputs), block_size)
    all_windows = whole + (rest > 0)
    rows = torch.arange(whole)
    if 0 < windows < all_windows:
        rows, rest = _choose_windows(rows, windows), 0
    size = windows_per_batch(device, block_size)
    batches = [rows[start : start + size] for start in range(0, len(rows), size)]
    rows_of_inputs, rows_of_targets = (
        part[: whole * block_size].view(whole, block_size) for part in (inputs, targets)
    )  # (windows, T) each

    # One tensor for all sums: small results that outlive their batches would fragment the memory of the next.
    sums = torch.zeros(len(batches) + (rest > 0), device=device)

    @torch.inference_mode()
    def sum_losses(index: int) -> bool:
        if stop is not None and stop():
            return False
        if index < len(batches):
            chosen = batches[index].to(device)
            x, y = rows_of_inputs[chosen], rows_of_targets[chosen]  # (B, T) each
        else:
            x, y = inputs[None, -rest:], targets[None, -rest:]  # the last window, which is shorter
        logits = model(x.long())  # (B, T, V)
        sums[index] = functional.cross_entropy(logits.flatten(0, 1), y.long().flatten(), reduction="sum")
        return True

    if not all((pool or ThreadPool()).map(sum_losses, range(len(sums)))):
        return None
    characters = len(rows) * block_size + rest
    return Loss(
        nats=float(sums.cpu().double().sum()) / characters,
        characters=characters,
        windows=len(rows) + (rest > 0),
        all_windows=all_windows,
    )


def _choose_windows(rows: Tensor, count: int) -> Tensor:
    """Return so many of the rows, in their order, drawn with a fixed seed."""
    generator = torch.Generator().manual_seed(derive_seed(0, "evaluation"))
    return rows[torch.randperm(len(rows), generator=generator)[:count]].sort().values


def loss_by_position(model: GPT, ids: Tensor, *, pool: ThreadPool | None = None) -> NDArray[np.float64]:
    """Return what context is worth: the loss at each position of the window, over the whole windows of ``evaluate``.

    Args:
        model: the model, on any device.
        ids: the split, (N,) of integers, N above ``block_size``.
        pool: the threads that share the windows; the calling thread where left out.

    Returns:
        Nats, (block_size,): at 0 the mean loss of characters that were predicted from one alone, and so on.
    """
    block_size = model.config.block_size
    device = model.token_embedding.weight.device
    windows = (len(ids) - 1) // block_size
    inputs, targets = (part[: windows * block_size].view(windows, block_size) for part in (ids, ids[1:]))
    size = windows_per_batch(device, block_size)

    @torch.inference_mode()
    def sum_losses(start: int) -> Tensor:
        x, y = (part[start : start + size].long().to(device) for part in (inputs, targets))  # (B, T) each
        losses = functional.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="none")
        return losses.view_as(y).double().sum(dim=0)

    sums = (pool or ThreadPool()).map(sum_losses, range(0, windows, size))
    result: NDArray[np.float64] = (torch.stack(sums).sum(dim=0) / windows).cpu().numpy()
    return result
