"""Cached decoding: one character at a time, without computing the past again.

Keys and values of past characters wait in buffers allocated once. The model has positions for ``block_size``
characters only; when they are used up, the last half of the window is read again from position 0 (a re-prefill), so
generation goes on without limit, the context is always between half a window and a whole one, and the price of
reading again is shared by the half window of characters that it makes room for.
"""

import math
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from shakegpt.generation.cpu_kernel import Solo
from shakegpt.generation.cpu_kernel_batch import MOST_STREAMS, Chorus
from shakegpt.generation.cuda_graph import FixedStep, graphed_step
from shakegpt.model.attention import causal_mask
from shakegpt.model.gpt import GPT, Block
from shakegpt.system.threads import torch_threads


class Decoder:
    """A model reading B sequences in step, remembering what it has read.

    On a CPU, torch computes on the calling thread alone: the matrices are too small to share.

    Args:
        model: the model; its weights are read in place, so they must not change meanwhile.
        batch_size: B.
    """

    def __init__(self, model: GPT, batch_size: int = 1) -> None:
        config = model.config
        self.block_size = config.block_size
        self._model = model
        self._blocks = cast(list[Block], list(model.blocks))
        weight = model.token_embedding.weight
        self._device = weight.device
        shape = (config.n_layer, batch_size * config.n_head, config.block_size, config.d_model // config.n_head)
        self._keys = torch.zeros(shape, dtype=weight.dtype, device=weight.device)  # (n_layer, B·H, block_size, D)
        self._values = torch.zeros_like(self._keys)
        self._window = np.zeros((batch_size, config.block_size), np.int64)  # what was read since position 0
        self._length = 0
        on_cpu = weight.device.type == "cpu"
        quick = on_cpu and weight.dtype == torch.float32
        self._solo = Solo(model, self._keys, self._values) if quick and batch_size == 1 else None
        self._one_further: Chorus | FixedStep | None = None  # what takes all sequences one character further, quickly
        if quick and 1 < batch_size <= MOST_STREAMS:
            self._one_further = Chorus(model, self._keys, self._values)
        elif weight.device.type == "cuda":
            self._one_further = graphed_step(model, self._keys, self._values)

    @torch_threads(1)
    def read(self, ids: Tensor) -> Tensor:
        """Read characters and return the logits of the one after them.

        Args:
            ids: token ids, (B, T) int64, T at least 1. Of a text longer than a window, the last window counts.

        Returns:
            Logits, (B, V).
        """
        if self._solo is not None and ids.shape[1] == 1:
            return torch.from_numpy(self.read_one(int(ids)))[None]
        return self._read(ids.cpu().numpy()[:, -self.block_size :])

    @torch_threads(1)
    def read_one(self, index: int) -> NDArray[np.float32]:
        """Read one character of a single stream and return the logits of the one after it, (V,): the quick way."""
        position = self._length
        if self._solo is None or position == self.block_size:
            return self._read(np.array([[index]]))[0].float().cpu().numpy()
        self._window[0, position] = index
        self._length += 1
        return self._solo.step(index, position)

    @torch.inference_mode()
    def _read(self, ids: NDArray[np.int64]) -> Tensor:
        start, end = self._length, self._length + ids.shape[1]
        if end > self.block_size:
            kept = max(0, self.block_size // 2 - ids.shape[1])
            ids = np.concatenate([self._window[:, start - kept : start], ids], axis=1)
            start, end = 0, ids.shape[1]
        self._window[:, start:end] = ids
        self._length = end
        if self._one_further is not None and end - start == 1:
            return self._one_further.step(ids[:, 0], start)
        return self._forward(torch.from_numpy(ids).to(self._device), start, end)

    def _forward(self, ids: Tensor, start: int, end: int) -> Tensor:
        model = self._model
        B, H, C = ids.shape[0], model.config.n_head, model.config.d_model  # noqa: N806
        x = model.token_embedding.weight[ids] + model.position_embedding.weight[start:end]  # (B, T, C)
        for layer, block in enumerate(self._blocks):
            query, key, value = block.attention.query_key_value(block.attention_norm(x)).split(C, dim=-1)
            for cache, new in ((self._keys, key), (self._values, value)):
                kept = cache[layer].view(B, H, self.block_size, -1)[:, :, start:end]  # (B, H, T, D)
                kept.copy_(new.view(B, end - start, H, -1).transpose(1, 2))
            if layer == model.config.n_layer - 1:  # of the last layer, nobody asks but for the last character
                x, query = x[:, -1:], query[:, -1:]
            x = x + block.attention.projection(self._attend(query, layer, end))
            x = x + block.mlp(block.mlp_norm(x))
        return functional.linear(model.final_norm(x[:, -1]), model.token_embedding.weight)  # (B, V)

    def _attend(self, query: Tensor, layer: int, end: int) -> Tensor:
        """Mix the values for the last T of ``end`` characters. (B, T, C) -> (B, T, C)."""
        B, T, C = query.shape  # noqa: N806
        H = self._model.config.n_head  # noqa: N806
        keys, values = self._keys[layer, :, :end], self._values[layer, :, :end]  # (B·H, end, D)
        if T == 1:  # spelled out, on a CPU faster than torch's fused kernel by a fifth
            query = query.reshape(B * H, 1, C // H)
            scores = torch.bmm(query, keys.mT).mul_(1 / math.sqrt(C // H))  # (B·H, 1, end)
            return torch.bmm(functional.softmax(scores, dim=-1), values).view(B, 1, C)
        whole = end == T
        mixed = functional.scaled_dot_product_attention(
            query.view(B, T, H, -1).transpose(1, 2),
            keys.view(B, H, end, -1),
            values.view(B, H, end, -1),
            attn_mask=None if whole else causal_mask(self.block_size, query.device)[end - T : end, :end],
            is_causal=whole,
        )  # (B, H, T, D)
        return mixed.transpose(1, 2).reshape(B, T, C)
