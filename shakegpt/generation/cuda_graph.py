"""One character further on a CUDA GPU as one recorded graph: a single launch instead of some dozens for each block.

A graph does the same to the same memory each time. So the position is a number on the device, all of the window is
looked at, and a mask hides what lies ahead. Untested on a GPU.
"""

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from shakegpt.model.gpt import GPT, Block

_WARM_UPS = 3  # what libraries set up at their first calls must not be recorded


def graphed_step(model: GPT, keys: Tensor, values: Tensor) -> "FixedStep | None":
    """Return the recorded step of a model on a CUDA GPU, or ``None`` where it cannot be recorded.

    Args:
        model: the model; its weights are read in place, so they must stay where they are.
        keys: the cache of keys, (n_layer, B·H, block_size, D), in which nothing has been kept yet.
        values: the cache of values, (n_layer, B·H, block_size, D).
    """
    step = FixedStep(model, keys, values)
    try:
        step.record()
    except RuntimeError:  # such as of a driver too old: speaking goes on without
        return None
    return step


class FixedStep:
    """Takes a model one character further in B sequences, with the same shapes and memory at every position.

    Args:
        model: the model; its weights are read in place.
        keys: the cache of keys, (n_layer, B·H, block_size, D), shared with whoever fills it otherwise.
        values: the cache of values, (n_layer, B·H, block_size, D).
    """

    def __init__(self, model: GPT, keys: Tensor, values: Tensor) -> None:
        self._model, self._keys, self._values = model, keys, values
        device = keys.device
        self._ids = torch.zeros(keys.shape[1] // model.config.n_head, 1, dtype=torch.int64, device=device)  # (B, 1)
        self._position = torch.zeros(1, dtype=torch.int64, device=device)
        self._places = torch.arange(keys.shape[2], device=device)
        self._run: Callable[[], Tensor] = self._compute

    @torch.inference_mode()
    def step(self, ids: NDArray[np.int64], position: int) -> Tensor:
        """Read one character of each sequence at a position, the ones before it being in the cache.

        Args:
            ids: token ids, (B,).
            position: where they stand in the window, below block_size.

        Returns:
            The logits of the characters after them, (B, V), on the device.
        """
        self._ids.copy_(torch.from_numpy(ids)[:, None])
        self._position.fill_(position)
        return self._run().clone()  # the next replay writes to the same memory

    @torch.inference_mode()
    def record(self) -> None:
        """Record the step; from then on it is replayed. It reads and overwrites position 0 of the cache.

        Raises:
            RuntimeError: it cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                self._compute()
            # Only this thread is kept from what a recording forbids: another may be training.
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                logits = self._compute()
        torch.cuda.current_stream().wait_stream(side)

        def replay() -> Tensor:
            graph.replay()
            return logits

        self._run = replay

    def _compute(self) -> Tensor:
        """Return the logits of the characters after those of ``_ids``, (B, V)."""
        model, position = self._model, self._position
        B, H, C = len(self._ids), model.config.n_head, model.config.d_model  # noqa: N806
        weight = model.token_embedding.weight
        x = weight[self._ids] + model.position_embedding.weight[position]  # (B, 1, C)
        ahead = torch.zeros_like(self._places, dtype=x.dtype).masked_fill_(self._places > position, -math.inf)
        for layer, block in enumerate(cast(list[Block], list(model.blocks))):
            heads = block.attention.query_key_value(block.attention_norm(x)).view(B, 3, H, 1, C // H)
            query, key, value = (part.reshape(B * H, 1, C // H) for part in heads.unbind(dim=1))
            self._keys[layer].index_copy_(1, position, key)  # (B·H, block_size, D)
            self._values[layer].index_copy_(1, position, value)
            scores = torch.baddbmm(ahead, query, self._keys[layer].mT, alpha=1 / math.sqrt(C // H))
            mixed = functional.softmax(scores, dim=-1) @ self._values[layer]  # (B·H, 1, D)
            x = x + block.attention.projection(mixed.view(B, 1, C))
            x = x + block.mlp(block.mlp_norm(x))
        return functional.linear(model.final_norm(x[:, -1]), weight)
