"""How likely a model finds each character of a text."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shakegpt import events
from shakegpt.errors import UsageError
from shakegpt.model.gpt import windows_per_batch
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.threads import ThreadPool


@dataclass(frozen=True, eq=False)
class Score:
    """How likely each of the N characters of a text is, given those before it."""

    text: str
    log_probabilities: NDArray[np.float64]
    """(N,), nats, at most 0. The first character has none before it: NaN."""
    likeliest_ids: NDArray[np.int64]
    """(N, top): the token ids of the likeliest characters at each place, likeliest first; 0 at the first."""
    likeliest_log_probabilities: NDArray[np.float64]
    """(N, top): theirs; NaN at the first."""
    characters: str
    """The vocabulary, in the order of token ids."""
    context: int
    """The least context, in characters, that any character but those of the first window was predicted from."""

    @property
    def loss(self) -> float:
        """The mean in nats per character, over all but the first."""
        return float(-self.log_probabilities[1:].mean())

    @property
    def perplexity(self) -> float:
        """``exp(loss)``."""
        return events.perplexity(self.loss)

    @property
    def bits_per_character(self) -> float:
        """``loss / ln 2``."""
        return events.bits_per_character(self.loss)

    def likeliest(self, position: int) -> list[tuple[str, float]]:
        """Return the likeliest characters at a position of the text, with their log-probabilities, likeliest first."""
        ids, values = self.likeliest_ids[position], self.likeliest_log_probabilities[position]
        return [
            (self.characters[index], float(value))
            for index, value in zip(ids, values, strict=True)
            if not math.isnan(value)
        ]


def score(language_model: LanguageModel, text: str, *, top: int = 0, pool: ThreadPool | None = None) -> Score:
    """Return the log-probability of each character of a text, and the likeliest alternatives.

    The windows overlap by half, so that every character after the first window is predicted from at least half a window
    of context. ``evaluate`` cuts the text instead, predicts the first characters of each window from few, and reports a
    higher loss.

    Args:
        language_model: the model.
        text: at least two characters: the first one is not predicted.
        top: how many of the likeliest characters to return at each place.
        pool: the threads that share the windows; the calling thread where left out.

    Raises:
        UsageError: the text is shorter or has a character that the model does not know, or ``top`` is negative.
    """
    model, size = language_model.model, language_model.model.config.block_size
    if len(text) < 2:
        raise UsageError("A text of at least two characters can be scored: the first one is not predicted.")
    if top < 0:
        raise UsageError(f"The number of likeliest characters must be at least 0, not {top}.")
    top = min(top, model.config.vocab_size)
    device = model.token_embedding.weight.device
    ids = torch.tensor(language_model.vocabulary.encode(text))
    inputs, targets = ids[:-1], ids[1:]
    overlap = size // 2
    starts = range(0, max(1, len(inputs) - overlap), size - overlap)
    values = torch.full((len(text), 1 + top), math.nan, dtype=torch.float64)  # of the character, then of the likeliest
    likeliest = torch.zeros(len(text), top, dtype=torch.int64)

    @torch.inference_mode()
    def predict(batch: list[int]) -> None:
        x = torch.stack([inputs[start : start + size] for start in batch]).to(device)
        found = model(x).cpu().double().log_softmax(dim=-1)  # (B, T, V)
        for start, row in zip(batch, found, strict=True):
            fresh = overlap if start else 0
            keep(row[fresh:], start + fresh)

    def keep(row: Tensor, start: int) -> None:
        """Keep what a window says of the characters after those from ``start`` on, (T, V)."""
        places = slice(start + 1, start + 1 + len(row))
        values[places, :1] = row.gather(1, targets[start : start + len(row), None])
        if top:
            order = (-row).argsort(dim=-1, stable=True)[:, :top]
            likeliest[places], values[places, 1:] = order, row.gather(1, order)

    whole = [start for start in starts if start + size <= len(inputs)]  # all but perhaps the last
    count = windows_per_batch(device, size)
    batches = [whole[first : first + count] for first in range(0, len(whole), count)]
    batches += [[start] for start in starts[len(whole) :]]
    (pool or ThreadPool()).map(predict, batches)
    return Score(
        text=text,
        log_probabilities=values[:, 0].numpy(),
        likeliest_ids=likeliest.numpy(),
        likeliest_log_probabilities=values[:, 1:].numpy(),
        characters=language_model.vocabulary.characters,
        context=min(len(inputs), overlap + 1),
    )
