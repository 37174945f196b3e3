"""Attention on a CPU: the formula, its gradient, and its dropout."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from shakegpt.model.attention import attend, attention_weights
from shakegpt.model.dropout import SequenceDropoutMasks

B, H, D = 2, 3, 4
ROWS = range(5, 5 + B)


def projections(size: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Queries, keys and values, (B, T, 3·C), large enough for weights that differ."""
    generator = torch.Generator().manual_seed(size)
    return 2 * torch.randn(B, size, 3 * H * D, generator=generator, dtype=dtype)


def spelled_out(projected: Tensor, drop: Callable[[Tensor], Tensor] = lambda weights: weights) -> Tensor:
    """The formula, token by token."""
    size = projected.shape[1]
    query, key, value = projected.view(B, size, 3, H, D).permute(2, 0, 3, 1, 4).unbind()  # (B, H, T, D)
    rows = []
    for start, end in ((0, size // 2), (size // 2, size)):
        weights = torch.zeros(B, H, end - start, end, dtype=projected.dtype)
        for position in range(start, end):
            scores = (key[:, :, : position + 1] @ query[:, :, position, :, None])[..., 0] / math.sqrt(D)
            weights[:, :, position - start, : position + 1] = scores.softmax(-1)
        if weights.numel():
            weights = drop(weights.flatten(0, 1)).view_as(weights)
        rows.append(weights @ value[:, :, :end])
    return torch.cat(rows, dim=2).transpose(1, 2).reshape(B, size, H * D)


@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_it_computes_the_formula(size: int) -> None:
    projected = projections(size)
    torch.testing.assert_close(attend(projected, H), spelled_out(projected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dropout", [0.25, 0.1])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_weights_are_dropped_by_the_masks(dropout: float, dtype: torch.dtype, tolerance: float) -> None:
    projected, masks = projections(8, dtype), SequenceDropoutMasks(1, 2, ROWS)
    plain = spelled_out(projected, lambda weights: masks.drop(weights, dropout))
    quick = attend(projected, H, SequenceDropoutMasks(1, 2, ROWS), dropout)
    torch.testing.assert_close(quick, plain, rtol=tolerance, atol=tolerance)
    assert not torch.allclose(quick, attend(projected, H), atol=2 * tolerance)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_its_gradient_is_right(size: int, dropout: float) -> None:
    """Against finite differences, in fp64."""

    def mixed(projected: Tensor) -> Tensor:
        return attend(projected, H, SequenceDropoutMasks(1, 2, ROWS), dropout)

    assert torch.autograd.gradcheck(mixed, (projections(size).requires_grad_(),))


def test_no_token_attends_to_a_later_one() -> None:
    projected = projections(9)
    changed = projected.clone()
    changed[:, 6:] += 1
    before, after = attend(projected, H), attend(changed, H)
    assert torch.equal(before[:, :6], after[:, :6])
    assert not torch.equal(before[:, 6:], after[:, 6:])


@pytest.mark.parametrize("size", [1, 2, 5, 16])
def test_the_weights_alone_mix_the_values_as_it_does(size: int) -> None:
    projected = projections(size)
    weights = attention_weights(projected, H)
    value = projected.view(B, size, 3, H, D)[:, :, 2].transpose(1, 2)  # (B, H, T, D)
    mixed = (weights @ value).transpose(1, 2).reshape(B, size, H * D)
    assert weights.shape == (B, H, size, size)
    assert torch.allclose(mixed, attend(projected, H), atol=1e-12)
    assert (weights.triu(1) == 0).all()
