"""One character further for a single stream on one core: 0.24 ms for 1.6 million weights, where torch takes 0.42 ms.

A step is eight products of a matrix and one vector. numpy's BLAS reads the weights through them nearly twice as fast
as torch's (104 against 184 microseconds for all eight), and writes into buffers allocated once. What numpy lacks or
does more slowly, torch computes on views of the same memory: norms, attention and the error function.
"""

import ctypes
import math
from contextlib import suppress
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shakegpt.model.gpt import GPT, Block

Array = NDArray[np.float32]
_Norm = tuple[list[int], Tensor, Tensor, float]
_ROOT_HALF = math.sqrt(0.5)
_SET_THREADS = [
    f"{prefix}openblas_set_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "_64", "")
]  # as numpy's wheels and the distributions spell it


class Solo:
    """Takes a model one character further.

    Args:
        model: fp32, on a CPU; its weights are read in place.
        keys: the cache of keys, (n_layer, H, block_size, D), shared with whoever fills it otherwise.
        values: the cache of values, (n_layer, H, block_size, D).
    """

    def __init__(self, model: GPT, keys: Tensor, values: Tensor) -> None:
        use_one_blas_thread()
        config = model.config
        C, H = config.d_model, config.n_head  # noqa: N806
        self._tokens = array_of(model.token_embedding.weight)
        self._positions = array_of(model.position_embedding.weight)
        self._layers = [_Layer(block) for block in model.blocks]  # type: ignore[arg-type]
        self._final_norm = norm_arguments(model.final_norm)
        self._keys, self._values = keys.unbind(), values.unbind()
        self._key_rows, self._value_rows = keys.numpy(), values.numpy()
        self._pasts: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self._scale = np.float32(1 / math.sqrt(C // H))
        self._stream = np.empty(C, np.float32)
        self._heads = np.empty((3, H, C // H), np.float32)
        self._hidden = np.empty(config.d_ff, np.float32)
        self._update = np.empty(C, np.float32)
        self._stream_tensor, self._hidden_tensor = torch.from_numpy(self._stream), torch.from_numpy(self._hidden)
        self._query_tensor = torch.from_numpy(self._heads[0]).unsqueeze(1)  # (H, 1, D)

    @torch.inference_mode()
    def step(self, index: int, position: int) -> Array:
        """Read one character at a position, the ones before it being in the cache.

        Args:
            index: its token id.
            position: where it stands in the window, below block_size.

        Returns:
            The logits of the character after it, (V,), in memory of their own.
        """
        x, update, hidden, hidden_tensor = self._stream, self._update, self._hidden, self._hidden_tensor
        heads, flat = self._heads, self._heads.reshape(-1)
        np.add(self._tokens[index], self._positions[position], out=x)
        pasts = self._pasts.get(position) or self._view_past(position)
        for number, (layer, (keys, values)) in enumerate(zip(self._layers, pasts, strict=True)):
            np.dot(layer.attention_in, self._normalised(layer.attention_norm), out=flat)
            np.add(flat, layer.attention_in_bias, out=flat)
            heads[0] *= self._scale
            self._key_rows[number, :, position] = heads[1]
            self._value_rows[number, :, position] = heads[2]
            scores = torch.bmm(self._query_tensor, keys)  # (H, 1, position + 1)
            mixed = torch.bmm(scores.softmax(-1), values)  # (H, 1, D)
            np.dot(layer.attention_out, mixed.view(-1).numpy(), out=update)
            update += layer.attention_out_bias
            x += update
            # GELU(u) = u (1 + erf(u / sqrt 2)) / 2 = (z + z erf(z)) / sqrt 2 with z = u / sqrt 2
            np.dot(layer.mlp_in, self._normalised(layer.mlp_norm), out=hidden)
            hidden += layer.mlp_in_bias
            hidden *= _ROOT_HALF
            activated = torch.addcmul(hidden_tensor, hidden_tensor, torch.erf(hidden_tensor))
            np.dot(layer.mlp_out, activated.numpy(), out=update)
            update *= _ROOT_HALF
            update += layer.mlp_out_bias
            x += update
        logits: Array = np.dot(self._tokens, self._normalised(self._final_norm))
        return logits

    def _normalised(self, norm: _Norm) -> Array:
        return torch.layer_norm(self._stream_tensor, *norm).numpy()

    def _view_past(self, position: int) -> list[tuple[Tensor, Tensor]]:
        """Return each layer's keys, (H, D, position + 1), and values, (H, position + 1, D), up to a position."""
        end = position + 1
        self._pasts[position] = [
            (keys[:, :end].mT, values[:, :end]) for keys, values in zip(self._keys, self._values, strict=True)
        ]
        return self._pasts[position]


class _Layer:
    """A block's weights as numpy sees them."""

    def __init__(self, block: Block) -> None:
        self.attention_norm, self.mlp_norm = norm_arguments(block.attention_norm), norm_arguments(block.mlp_norm)
        self.attention_in, self.attention_in_bias = _linear(block.attention.query_key_value)
        self.attention_out, self.attention_out_bias = _linear(block.attention.projection)
        self.mlp_in, self.mlp_in_bias = _linear(block.mlp.expansion)
        self.mlp_out, self.mlp_out_bias = _linear(block.mlp.projection)


def array_of(weight: Tensor) -> Array:
    """Return a weight as numpy sees it: the same memory."""
    return weight.detach().numpy()


def _linear(layer: nn.Linear) -> tuple[Array, Array]:
    return array_of(layer.weight), array_of(layer.bias)


def norm_arguments(norm: nn.LayerNorm) -> _Norm:
    """Return what ``torch.layer_norm`` wants besides the activations."""
    return list(norm.normalized_shape), norm.weight.detach(), norm.bias.detach(), norm.eps


@cache
def use_one_blas_thread() -> None:
    """Keep numpy's OpenBLAS to the calling thread.

    It would share each small product among all cores and wait for the slowest: while another thread trains, that
    costs a factor of a hundred. Another BLAS than OpenBLAS is left as it is.
    """
    with suppress(AttributeError, OSError):
        linked = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
        for name in _SET_THREADS:  # found where numpy's own module or what it is linked with has it
            if hasattr(linked, name):
                getattr(linked, name)(1)
