"""The GPT: a pre-norm transformer decoder in the manner of GPT-2 (Radford et al. 2019).

Shapes in comments: B sequences of T tokens, C the width of the residual stream (``d_model``), H heads of D = C / H, V
tokens in the vocabulary (characters, all of them).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from shakegpt.config import ModelConfig
from shakegpt.model.attention import attend
from shakegpt.model.dropout import DropoutMasks, SequenceDropoutMasks
from shakegpt.model.kv_cache import KVCache

INITIAL_STD = 0.02
_WINDOWS_ON_CPU = 4  # a thread's activations stay near its core's caches
_CHARACTERS_ON_GPU = 32_768  # enough to keep one busy


class CausalSelfAttention(nn.Module):
    """Multi-head scaled dot-product attention in which a token attends to itself and those before it.

    Vaswani et al. 2017, "Attention Is All You Need" (arXiv:1706.03762), section 3.2.
    """

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        super().__init__()
        self.layer = layer
        self.n_head = config.n_head
        self.dropout = config.dropout
        self.query_key_value = nn.Linear(config.d_model, 3 * config.d_model)  # Q, K and V in one multiplication
        self.projection = nn.Linear(config.d_model, config.d_model)

    def forward(self, x: Tensor, masks: DropoutMasks | None = None, cache: KVCache | None = None) -> Tensor:
        """Mix the values of each token and those before it, in the cache too. (B, T, C) -> (B, T, C).

        With a cache, the last layer returns the last token's mix alone, (B, 1, C): nothing reads the others.
        """
        B, T, C = x.shape  # noqa: N806
        H, D = self.n_head, C // self.n_head  # noqa: N806
        projected = self.query_key_value(x)  # (B, T, 3·C)
        if cache is None and x.device.type == "cpu" and (masks is None or isinstance(masks, SequenceDropoutMasks)):
            mixed = attend(projected, H, masks, self.dropout)
        else:
            query, key, value = projected.view(B, T, 3, H, D).permute(2, 0, 3, 1, 4).unbind()  # (B, H, T, D) each
            visible = None
            if cache is not None:
                key, value, visible = cache.update(self.layer, key, value)
                query = query[:, :, -len(visible) :]
            mixed = functional.scaled_dot_product_attention(
                query,
                key,
                value,
                attn_mask=visible,
                dropout_p=0.0 if masks is None else self.dropout,
                is_causal=cache is None,
            )
            mixed = mixed.transpose(1, 2).flatten(2)
        mixed = self.projection(mixed)
        return mixed if masks is None else masks.drop(mixed, self.dropout)


class MLP(nn.Module):
    """Two linear layers with a GELU between them, applied to each position alone."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.expansion = nn.Linear(config.d_model, config.d_ff)
        self.projection = nn.Linear(config.d_ff, config.d_model)

    def forward(self, x: Tensor, masks: DropoutMasks | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = self.projection(functional.gelu(self.expansion(x)))
        return x if masks is None else masks.drop(x, self.dropout)


class Block(nn.Module):
    """Attention, then the MLP; each reads the normalised stream and adds to it (pre-norm residuals)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.attention = CausalSelfAttention(config, layer)
        self.mlp_norm = nn.LayerNorm(config.d_model)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, masks: DropoutMasks | None = None, cache: KVCache | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C); with a cache, the last layer's result is (B, 1, C).

        The stream and the norms stay in fp32; the linear layers may have weights in a shorter format.
        """
        dtype = self.mlp.expansion.weight.dtype
        mixed = self.attention(self.attention_norm(x).to(dtype), masks, cache)
        x = (x if cache is None else x[:, -mixed.shape[1] :]) + mixed
        added: Tensor = x + self.mlp(self.mlp_norm(x).to(dtype), masks)
        return added


class GPT(nn.Module):
    """Token and position embeddings, blocks, a final LayerNorm, and a head tied to the token embedding.

    Args:
        config: its shape.
        seed: fixes the initial weights; ``None`` draws them from torch's global generator.
    """

    def __init__(self, config: ModelConfig, *, seed: int | None = None) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):  # what the layers draw is overwritten: the user's generator stays
            self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
            self.position_embedding = nn.Embedding(config.block_size, config.d_model)
            self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
            self.final_norm = nn.LayerNorm(config.d_model)
        self._initialise(None if seed is None else torch.Generator().manual_seed(seed))

    def forward(self, ids: Tensor, cache: KVCache | None = None, masks: DropoutMasks | None = None) -> Tensor:
        """Return the logits of the token after each one; with a cache, of the token after the last.

        Args:
            ids: token ids, (B, T) int64. T, and what is in the cache, are at most ``block_size`` together.
            cache: the tokens before these, to which these are added; without one, these are the first.
            masks: the dropout masks of training; ``None`` drops nothing.

        Returns:
            Logits, (B, T, V); with a cache, (B, 1, V).
        """
        T = ids.shape[1]  # noqa: N806
        positions = torch.arange(T, device=ids.device) if cache is None else cache.advance(T)
        x = self.token_embedding(ids) + self.position_embedding(positions)  # (B, T, C)
        if masks is not None:
            x = masks.drop(x, self.config.dropout)
        for block in self.blocks:
            x = block(x, masks, cache)
        return self.unembed(x)

    def unembed(self, x: Tensor) -> Tensor:
        """Return the logits that the final norm and the tied head read off the stream: (B, T, C) -> (B, T, V)."""
        return functional.linear(self.final_norm(x), self.token_embedding.weight)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator | None) -> None:
        """Draw GPT-2's initial weights: N(0, 0.02), zero biases, residual projections smaller by 1/sqrt(2 · n_layer).

        Each block adds to the residual stream twice; the scale keeps its variance from growing with depth.
        """
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                nn.init.constant_(parameter, 1.0 if name.endswith("norm.weight") else 0.0)
                continue
            std = INITIAL_STD
            if name.endswith("projection.weight"):
                std /= math.sqrt(2 * self.config.n_layer)
            nn.init.normal_(parameter, std=std, generator=generator)


def windows_per_batch(device: torch.device, block_size: int) -> int:
    """Return how many windows go through a model at once where nothing is differentiated."""
    return _WINDOWS_ON_CPU if device.type == "cpu" else max(_WINDOWS_ON_CPU, _CHARACTERS_ON_GPU // block_size)
