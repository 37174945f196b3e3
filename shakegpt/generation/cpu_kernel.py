"""The forward pass of one token written a second time for speed: B sequences in fp32, on one core of a CPU.

It computes with what torch and numpy have at their lowest level, on buffers and views that are made once. A token takes
1.6 times as long without it for one sequence and 1.7 times for 16 of them; 1.4 times for 16 in a plain pass that looks
at the filled part of the cache alone (preset ``mini``, Intel Xeon). To measure it, compare ``kernel`` and ``plain`` in
``pytest tests/benchmarks --benchmark-only -k one_token``.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shakegpt.model.gpt import GPT, Block
from shakegpt.model.kv_cache import KVCache

_FEW = 8
"""Up to so many sequences, torch multiplies faster where the activations of each are side by side in memory."""
Array = NDArray[np.float32]
_ROOT_HALF = np.float32(math.sqrt(0.5))


class CpuKernel:
    """Reads one token of each of B sequences.

    Args:
        model: fp32, on a CPU; its weights are read in place.
        cache: of the model and B sequences.
    """

    def __init__(self, model: GPT, cache: KVCache) -> None:
        C, F, H = model.config.d_model, model.config.d_ff, model.config.n_head  # noqa: N806
        B, D = cache.keys_values.shape[2], C // H  # noqa: N806
        self._layers = [_Layer(block) for block in model.blocks]  # type: ignore[arg-type]
        self._final_norm = _norm_arguments(model.final_norm)
        self._head = model.token_embedding.weight.detach()
        self._tokens, self._positions = self._head.numpy(), model.position_embedding.weight.detach().numpy()
        self._scale = np.float32(1 / math.sqrt(D))
        self._keys_values = cache.keys_values
        self._cache_views: dict[int, list[tuple[Array, Tensor, Tensor]]] = {}
        # Activations as torch's tensors, and as numpy's arrays on the same memory.
        self._stream, self._query = torch.empty(B, C), torch.empty(B * H, 1, D)
        self._products = [  # (N, B): the heads, the hidden layer, what is added to the stream, the logits
            torch.empty(B, size).t() if B <= _FEW else torch.empty(size, B) for size in (3 * C, F, C, len(self._tokens))
        ]
        self._arrays = [tensor.numpy() for tensor in (self._stream, *self._products)]
        heads = self._arrays[1].reshape(3, H, D, B).transpose(0, 3, 1, 2)  # (3, B, H, D)
        self._new_query, self._new_keys_values = heads[0], heads[1:]
        self._query_array = self._query.view(B, H, D).numpy()

    def step(self, ids: NDArray[np.int64], position: int) -> Array:
        """Read one token of each sequence at a position, the ones before it being in the cache. In inference mode.

        Args:
            ids: token ids, (B,).
            position: below block_size.

        Returns:
            The logits of the tokens after them, (B, V), which the next step overwrites.
        """
        stream, (heads, hidden, update, logits) = self._stream, self._products
        x, heads_array, hidden_array, update_array, logits_array = self._arrays
        self._tokens.take(ids, axis=0, out=x, mode="clip")
        x += self._positions[position]
        views = self._cache_views.get(position) or self._view_cache(position)
        for layer, (new, keys, values) in zip(self._layers, views, strict=True):
            weight, bias = layer.query_key_value
            torch.mm(weight, torch.layer_norm(stream, *layer.attention_norm).t(), out=heads)
            heads_array += bias
            new[...] = self._new_keys_values
            np.multiply(self._new_query, self._scale, out=self._query_array)
            mixed = torch.bmm(torch.bmm(self._query, keys).softmax(-1), values).view(stream.shape)
            weight, bias = layer.projection
            torch.mm(weight, mixed.t(), out=update)
            update_array += bias
            x += update_array.T
            # GELU(u) = u (1 + erf(u / sqrt 2)) / 2 = (z + z erf(z)) / sqrt 2 with z = u / sqrt 2
            weight, bias = layer.expansion
            torch.mm(weight, torch.layer_norm(stream, *layer.mlp_norm).t(), out=hidden)
            hidden_array += bias
            hidden_array *= _ROOT_HALF
            weight, bias = layer.contraction
            torch.mm(weight, torch.addcmul(hidden, hidden, torch.erf(hidden)), out=update)
            update_array *= _ROOT_HALF
            update_array += bias
            x += update_array.T
        torch.mm(self._head, torch.layer_norm(stream, *self._final_norm).t(), out=logits)
        return logits_array.T

    def _view_cache(self, position: int) -> list[tuple[Array, Tensor, Tensor]]:
        """Return views of each layer's cache.

        Where the new keys and values go, (2, B, H, D); the keys so far, (B·H, D, position + 1), and the values,
        (B·H, position + 1, D).
        """
        self._cache_views[position] = [
            (layer.numpy()[:, :, :, position], keys[:, : position + 1].mT, values[:, : position + 1])
            for layer in self._keys_values
            for keys, values in [layer.flatten(1, 2)]
        ]
        return self._cache_views[position]


class _Layer:
    """A block's weights, as ``step`` takes them."""

    def __init__(self, block: Block) -> None:
        def linear(layer: nn.Linear) -> tuple[Tensor, Array]:
            return layer.weight.detach(), layer.bias.detach().numpy()[:, None]

        self.attention_norm, self.mlp_norm = _norm_arguments(block.attention_norm), _norm_arguments(block.mlp_norm)
        self.query_key_value = linear(block.attention.query_key_value)
        self.projection = linear(block.attention.projection)
        self.expansion = linear(block.mlp.expansion)
        self.contraction = linear(block.mlp.projection)


def _norm_arguments(norm: nn.LayerNorm) -> tuple[list[int], Tensor, Tensor, float]:
    """Return what ``torch.layer_norm`` takes besides the activations."""
    return list(norm.normalized_shape), norm.weight.detach(), norm.bias.detach(), norm.eps
