"""The cuts that shape a distribution before a character is drawn from it. Each turns logits into logits.

Logits are (..., V) floats; what is cut becomes minus infinity, and the likeliest character always stays.
"""

import math

import torch
from torch import Tensor

from shakegpt.config import SamplingConfig


def penalise_repetition(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make characters that were seen less likely (above 1) or likelier (below 1).

    Keskar et al. 2019, CTRL (arXiv:1909.05858), section 4.1, with the sign of the logit taken into account.

    Args:
        logits: (..., V).
        seen: (..., V) bool, true for each character in the context.
        penalty: divides positive logits and multiplies negative ones.
    """
    if penalty == 1:
        return logits
    return torch.where(seen, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def scale_by_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Divide by the temperature; at 0 all but the likeliest character are cut (the first of equals stays)."""
    if temperature == 1:
        return logits
    if temperature == 0:
        return keep_top_k(logits, 1)
    # The greatest logit is moved to 0 first, so that a tiny temperature cannot overflow.
    return (logits - logits.amax(dim=-1, keepdim=True)) / temperature


def keep_top_k(logits: Tensor, k: int | None) -> Tensor:
    """Keep the k likeliest characters; of equals, those with the lower ids. Fan et al. 2018 (arXiv:1805.04833)."""
    if k is None or k >= logits.shape[-1]:
        return logits
    order = logits.argsort(dim=-1, descending=True, stable=True)
    return logits.scatter(-1, order[..., k:], -math.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of likeliest characters whose probability reaches p: the nucleus.

    Holtzman et al. 2020 (arXiv:1904.09751). The set is never empty.
    """
    if p >= 1:
        return logits
    order = logits.argsort(dim=-1, descending=True, stable=True)
    probabilities = logits.gather(-1, order).double().softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities  # what the likelier characters already reach
    cut = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, before >= p)
    return logits.masked_fill(cut, -math.inf)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Cut characters less probable than ``p`` times the likeliest. Nguyen et al. 2024 (arXiv:2407.01082)."""
    if p == 0:
        return logits
    return logits.masked_fill(logits < logits.amax(dim=-1, keepdim=True) + math.log(p), -math.inf)


def apply_filters(logits: Tensor, settings: SamplingConfig, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return the logits before the cuts (penalised and tempered) and after them, in that order of filters.

    Args:
        logits: the model's, (..., V).
        settings: what to apply.
        seen: the characters in the context, (..., V) bool.
    """
    penalised = penalise_repetition(logits, seen, settings.repetition_penalty)
    # Greedy choice is a cut, not a shape: what the reader sees before it is the distribution as the model gave it.
    tempered = penalised if settings.temperature == 0 else scale_by_temperature(penalised, settings.temperature)
    kept = scale_by_temperature(penalised, 0) if settings.temperature == 0 else tempered
    kept = keep_min_p(keep_top_p(keep_top_k(kept, settings.top_k), settings.top_p), settings.min_p)
    return tempered, kept
