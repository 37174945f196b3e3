"""Causal attention on a CPU, with dropout: torch's own fused kernel has none there, and its backward pass is slow."""

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from shakegpt.model.dropout import SequenceDropoutMasks


def attend(projected: Tensor, n_head: int, masks: SequenceDropoutMasks | None = None, dropout: float = 0.0) -> Tensor:
    """Return dropout(softmax(Q Kᵀ / sqrt(D) + mask)) V for each head, side by side.

    The queries go in two halves, since no query of the first half attends to a key of the second: a quarter of the
    products and of the dropout masks is never computed.

    Args:
        projected: queries, keys and values of all heads, (B, T, 3·C), on a CPU.
        n_head: H; a head is D = C / H wide.
        masks: the dropout masks; ``None`` drops nothing.
        dropout: the probability of dropping a weight.

    Returns:
        (B, T, C).
    """
    B, T, C = projected.shape[0], projected.shape[1], projected.shape[2] // 3  # noqa: N806
    H, D = n_head, C // n_head  # noqa: N806
    query, key, value = _split_heads(projected, n_head)
    halves = []
    for scores in _Scores.apply(query, key):  # type: ignore[no-untyped-call]
        weights = torch.softmax(scores, dim=-1)  # (B·H, T / 2, T / 2 or T)
        if masks is not None and dropout:
            weights = weights * masks.mask(weights.shape, dropout, weights.dtype)
        halves.append(torch.bmm(weights, value[:, : weights.shape[-1]]))
    mixed = torch.cat(halves, dim=1)  # (B·H, T, D)
    if masks is not None and dropout:
        mixed = mixed * masks.scale(dropout)
    return mixed.view(B, H, T, D).transpose(1, 2).reshape(B, T, C)


def attention_weights(projected: Tensor, n_head: int) -> Tensor:
    """Return softmax(Q Kᵀ / sqrt(D) + mask), which ``attend`` mixes the values with.

    Args:
        projected: as for ``attend``.
        n_head: H.

    Returns:
        (B, H, T, T): of each head, how much the token of a row attends to that of each column; 0 ahead of it.
    """
    B, T = projected.shape[:2]  # noqa: N806
    query, key, _ = _split_heads(projected, n_head)
    weights = projected.new_zeros(B * n_head, T, T)
    scores = _Scores.apply(query, key)  # type: ignore[no-untyped-call]
    for (start, end), part in zip(_halves(T), scores, strict=True):
        weights[:, start:end, :end] = torch.softmax(part, dim=-1)
    return weights.view(B, n_head, T, T)


def _split_heads(projected: Tensor, n_head: int) -> tuple[Tensor, ...]:
    """Return the queries, the keys and the values of (B, T, 3·C), each (B·H, T, D)."""
    B, T, width = projected.shape  # noqa: N806
    heads = projected.view(B, T, 3, n_head, width // (3 * n_head)).permute(2, 0, 3, 1, 4)
    return heads.reshape(3, B * n_head, T, -1).unbind()


class _Scores(torch.autograd.Function):
    """Q Kᵀ / sqrt(D) + mask, for each half of the queries.

    Autograd would scale the keys' gradient of each half and add the two. Here they are added and then scaled, as they
    always were: in another order the last bits differ, and a run that is resumed would not go on as it began.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(query, key)
        T, D = query.shape[1:]  # noqa: N806
        mask = _causal_mask(T, query.dtype)
        return tuple(
            torch.baddbmm(mask[start:end, :end], query[:, start:end], key[:, :end].mT, alpha=1 / math.sqrt(D))
            for start, end in _halves(T)
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        query, key = ctx.saved_tensors
        T, D = query.shape[1:]  # noqa: N806
        of_query, of_key = torch.empty_like(query), torch.zeros_like(key)
        for (start, end), gradient in zip(_halves(T), gradients, strict=True):
            of_query[:, start:end] = torch.bmm(gradient, key[:, :end])
            of_key[:, :end] += torch.bmm(gradient.mT, query[:, start:end])
        return of_query.mul_(1 / math.sqrt(D)), of_key.mul_(1 / math.sqrt(D))


@cache
def _causal_mask(size: int, dtype: torch.dtype) -> Tensor:
    """Return the lower-triangular mask, (size, size): 0 where a token may attend, minus infinity ahead of it."""
    with torch.inference_mode(mode=False):  # cached for training too, even where an evaluation asks first
        return torch.full((size, size), -math.inf, dtype=dtype).triu(diagonal=1)


def _halves(size: int) -> list[tuple[int, int]]:
    return [(0, size // 2), (size // 2, size)] if size > 1 else [(0, size)]
