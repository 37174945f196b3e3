"""The keys and values of the tokens that were read, so that nothing is computed twice."""

import torch
from torch import Tensor

from shakegpt.config import ModelConfig


class KVCache:
    """What a model's attention remembers of up to ``block_size`` tokens of B sequences.

    The buffers are allocated once and the position is a tensor: a forward pass runs the same kernels on the same memory
    at every position, so that it can be recorded as a CUDA graph.
    """

    def __init__(self, config: ModelConfig, batch_size: int, *, device: torch.device, dtype: torch.dtype) -> None:
        shape = (config.n_layer, 2, batch_size, config.n_head, config.block_size, config.d_model // config.n_head)
        self.keys_values = torch.zeros(shape, device=device, dtype=dtype)
        """Of each layer the keys, then the values: (n_layer, 2, B, H, block_size, D)."""
        self.position = torch.zeros((), device=device, dtype=torch.int64)
        """Where the next token goes. Nothing looks at what is stored from there on."""
        self._slots = torch.arange(config.block_size, device=device)
        # Of the current pass:
        self._positions = self._slots  # (T,)
        self._visible = self._slots >= 0  # which slots each token attends to, (T, block_size)

    def advance(self, count: int) -> Tensor:
        """Begin a pass over ``count`` tokens and return their positions, (T,)."""
        self._positions = self.position + self._slots[:count]
        self._visible = self._slots <= self._positions[:, None]
        self.position += count
        return self._positions

    def update(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Store the tokens' keys and values in a layer.

        Args:
            layer: its number.
            key: (B, H, T, D).
            value: (B, H, T, D).

        Returns:
            All keys and all values, (B, H, block_size, D), and which of them each query attends to, (T, block_size). Of
            the last layer, only the last token's query is of use: (1, block_size).
        """
        keys, values = self.keys_values[layer].unbind()
        keys.index_copy_(2, self._positions, key)
        values.index_copy_(2, self._positions, value)
        is_last = layer == len(self.keys_values) - 1
        return keys, values, self._visible[-1:] if is_last else self._visible


def cache_bytes(config: ModelConfig) -> int:
    """Return the size in bytes of one sequence's cache in fp32."""
    return 2 * 4 * config.n_layer * config.block_size * config.d_model  # keys and values, of 4 bytes
