"""The filters that shape a distribution before a character is drawn from it: pure functions from logits to logits.

Logits are (..., V) float arrays; a character that is cut has minus infinity, and the likeliest is never cut. The arrays
are numpy's: on the 65 logits of one character, its operators cost a fifth of torch's.
"""

import math

import numpy as np
from numpy.typing import NDArray

from shakegpt.config import SamplingConfig

Logits = NDArray[np.floating]


def penalise_repetition(logits: Logits, seen: NDArray[np.bool_], penalty: float) -> Logits:
    """Make characters of the context less likely (penalty above 1) or likelier (below 1).

    Keskar et al. 2019, CTRL (arXiv:1909.05858), section 4.1, with the sign of the logit taken into account.

    Args:
        logits: (..., V).
        seen: (..., V), true for each character in the context.
        penalty: divides positive logits and multiplies negative ones.
    """
    if penalty == 1:
        return logits
    return np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)


def scale_by_temperature(logits: Logits, temperature: float) -> Logits:
    """Divide by the temperature; at 0 all but the likeliest character are cut (the first of equals stays)."""
    if temperature == 1:
        return logits
    if temperature == 0:
        return keep_top_k(logits, 1)
    # The greatest logit is moved to 0 first, so that a tiny temperature overflows to minus infinity alone.
    with np.errstate(over="ignore"):
        scaled: Logits = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    return scaled


def keep_top_k(logits: Logits, k: int | None) -> Logits:
    """Keep the k likeliest characters; of equals, those with the lower ids. Fan et al. 2018 (arXiv:1805.04833)."""
    if k is None or k >= logits.shape[-1]:
        return logits
    return _cut(logits, _by_likelihood(logits)[..., k:])


def keep_top_p(logits: Logits, p: float) -> Logits:
    """Keep the smallest set of likeliest characters whose probability reaches p: the nucleus.

    Holtzman et al. 2020 (arXiv:1904.09751). The set is never empty.
    """
    if p >= 1:
        return logits
    order = _by_likelihood(logits)
    ordered = softmax(np.take_along_axis(logits, order, axis=-1))
    likelier = ordered.cumsum(axis=-1) - ordered  # the probability of all characters that are likelier
    kept = np.empty(logits.shape, bool)
    np.put_along_axis(kept, order, likelier < p, axis=-1)
    return np.where(kept, logits, -math.inf)


def keep_min_p(logits: Logits, p: float) -> Logits:
    """Cut characters less probable than ``p`` times the likeliest. Nguyen et al. 2024 (arXiv:2407.01082)."""
    if p == 0:
        return logits
    return np.where(logits < logits.max(axis=-1, keepdims=True) + math.log(p), -math.inf, logits)


def apply_filters(logits: Logits, settings: SamplingConfig, seen: NDArray[np.bool_]) -> tuple[Logits, Logits]:
    """Apply repetition penalty, temperature, top-k, top-p and min-p, in this order.

    Args:
        logits: the model's, (..., V).
        settings: what to apply.
        seen: the characters in the context, (..., V).

    Returns:
        The logits before any character is cut (penalised, and divided by the temperature), and after.
    """
    penalised = penalise_repetition(logits, seen, settings.repetition_penalty)
    scaled = scale_by_temperature(penalised, settings.temperature)
    filtered = keep_min_p(keep_top_p(keep_top_k(scaled, settings.top_k), settings.top_p), settings.min_p)
    # Temperature 0 cuts all but one character: what is shown as uncut is the distribution that it cuts.
    return penalised if settings.temperature == 0 else scaled, filtered


def softmax(logits: Logits) -> NDArray[np.float64]:
    """Return the probabilities, (..., V)."""
    weights: NDArray[np.float64] = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float64)
    weights /= weights.sum(axis=-1, keepdims=True)
    return weights


def _by_likelihood(logits: Logits) -> NDArray[np.int64]:
    """Return the token ids from the likeliest to the least likely, the lower of equals first: (..., V)."""
    return (-logits).argsort(axis=-1, kind="stable")


def _cut(logits: Logits, ids: NDArray[np.int64]) -> Logits:
    kept = logits.copy()
    np.put_along_axis(kept, ids, -math.inf, axis=-1)
    return kept
