"""Cached decoding: one character at a time, without computing the past again.

Keys and values of past characters wait in buffers allocated once. The model has positions for ``block_size``
characters only; when they are used up, the last half of the window is read again from position 0 (a re-prefill), so
generation goes on without limit, the context is always between half a window and a whole one, and the price of
reading again is shared by the half window of characters that it makes room for.
"""

import torch
from torch import Tensor
from torch.nn import functional

from shakegpt.model import GPT, causal_mask


class Decoder:
    """A model reading B sequences in step, remembering what it has read.

    Args:
        model: the model; its weights are read in place, so they must not change meanwhile.
        batch_size: B.
    """

    def __init__(self, model: GPT, batch_size: int = 1) -> None:
        config = model.config
        self.block_size = config.block_size
        self._model = model
        shape = (config.n_layer, batch_size, config.n_head, config.block_size, config.d_model // config.n_head)
        weight = model.token_embedding.weight
        self._keys = weight.new_zeros(shape)
        self._values = weight.new_zeros(shape)
        self._window = torch.zeros((batch_size, config.block_size), dtype=torch.int64, device=weight.device)
        self._length = 0

    @torch.inference_mode()
    def read(self, ids: Tensor) -> Tensor:
        """Read characters and return the logits of the one after them.

        Args:
            ids: token ids, (B, T) int64, T at least 1. Of a text longer than a window, the last window counts.

        Returns:
            Logits, (B, V).
        """
        ids = ids[:, -self.block_size :].to(self._window.device)
        if self._length + ids.shape[1] > self.block_size:
            past = max(0, self.block_size // 2 - ids.shape[1])
            ids = torch.cat([self._window[:, self._length - past : self._length], ids], dim=1)
            self._length = 0
        start, end = self._length, self._length + ids.shape[1]
        self._window[:, start:end] = ids
        self._length = end
        return self._forward(ids, start, end)

    def _forward(self, ids: Tensor, start: int, end: int) -> Tensor:
        model = self._model
        x = model.token_embedding.weight[ids] + model.position_embedding.weight[start:end]  # (B, T, C)
        mask = causal_mask(self.block_size, ids.device)
        for layer, block in enumerate(model.blocks):
            attention = block.attention
            B, T, C = x.shape  # noqa: N806
            heads = (B, T, attention.n_head, C // attention.n_head)
            query, key, value = attention.query_key_value(block.attention_norm(x)).split(C, dim=-1)
            keys, values = self._keys[layer, :, :, :end], self._values[layer, :, :, :end]  # (B, H, end, D)
            keys[:, :, start:] = key.view(heads).transpose(1, 2)
            values[:, :, start:] = value.view(heads).transpose(1, 2)
            mixed = functional.scaled_dot_product_attention(
                query.view(heads).transpose(1, 2), keys, values, attn_mask=mask[start:end, :end]
            )
            x = x + attention.projection(mixed.transpose(1, 2).reshape(B, T, C))
            x = x + block.mlp(block.mlp_norm(x))
        return functional.linear(model.final_norm(x[:, -1]), model.token_embedding.weight)  # (B, V)
