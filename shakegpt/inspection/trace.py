"""A trace: one forward pass over a text with everything kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from shakegpt.errors import UsageError
from shakegpt.inspection.head import Head
from shakegpt.inspection.muting import mute
from shakegpt.inspection.parts import Parts, forward_parts
from shakegpt.model.gpt import GPT, Block
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.threads import torch_threads

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Attribution:
    """What each part of the model adds to one logit: all of them together are the logit.

    Each part's output goes through the final norm, with the mean and the scale that the whole stream has there, and the
    head (direct logit attribution).
    """

    character: str
    """The character whose logit it is."""
    position: int
    """Where in the text: the logit is of the character after this one."""
    logit: float
    heads: NDArray[np.float64]
    """(L, H)."""
    mlps: NDArray[np.float64]
    """(L,)."""
    token: float
    """Of the embedding of the character at the position."""
    place: float
    """Of the embedding of the position."""
    biases: NDArray[np.float64]
    """(L,): of the biases of the attentions' output projections, which belong to no head."""
    constant: float
    """Of the final norm's bias, the same in every text."""

    @property
    def total(self) -> float:
        """The sum of all parts: the logit, but for rounding."""
        parts = (self.heads, self.mlps, self.biases)
        return float(sum(part.sum() for part in parts)) + self.token + self.place + self.constant


@dataclass(frozen=True, eq=False)
class Trace:
    """One forward pass over T characters of a model of L blocks, H heads and V characters. Positions count from 0."""

    text: str
    """The T characters that were looked at: of a longer text, its last window."""
    skipped: int
    """How many characters of the text came before them."""
    characters: str
    """The V characters of the vocabulary, in the order of their token ids."""
    muted: tuple[Head, ...]
    """The heads that were muted, as (block, head), both from 0."""
    attention: Array
    """(L, H, T, T): how much the position of a row attends to that of each column. A row sums to 1."""
    lens: Array
    """(L + 1, T, V), the logit lens: the logits that the final norm and the head read off the stream after the
    embedding and after each block. The last are the model's own."""
    loss: NDArray[np.float64]
    """(T,), nats: of each character, given those before it. The first has none before it: NaN."""
    _parts: Parts = field(repr=False)
    _model: GPT = field(repr=False)

    @property
    def mean_loss(self) -> float:
        """Nats per character, over all but the first; NaN for a single character."""
        return float(self.loss[1:].mean()) if len(self.loss) > 1 else float("nan")

    def probabilities(self, layer: int = -1) -> NDArray[np.float64]:
        """Return the distribution of the character after each position, (T, V), as read off after a layer.

        Args:
            layer: 0 is the embedding, 1 the first block; -1 the last, which is the model's own.
        """
        logits = self.lens[layer].astype(np.float64)
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities: NDArray[np.float64] = weights / weights.sum(axis=-1, keepdims=True)
        return probabilities

    def likeliest(self, position: int = -1, count: int = 5, *, layer: int = -1) -> list[tuple[str, float]]:
        """Return the likeliest characters after a position with their probabilities, likeliest first."""
        probabilities = self.probabilities(layer)[position]
        order = np.argsort(-probabilities, kind="stable")[:count]
        return [(self.characters[index], float(probabilities[index])) for index in order]

    def decided_at(self, position: int = -1) -> int:
        """Return the first layer from which on the model's answer is the likeliest: 0 is the embedding."""
        leaders = self.lens[:, position].argmax(axis=-1)  # (L + 1,)
        differing = np.flatnonzero(leaders != leaders[-1])
        return int(differing[-1]) + 1 if len(differing) else 0

    def attribution(self, character: str, position: int = -1) -> Attribution:
        """Return what each head and MLP adds to the logit of a character after a position.

        Raises:
            UsageError: the character is not in the vocabulary.
        """
        index = self.characters.find(character) if len(character) == 1 else -1
        if index < 0:
            raise UsageError(f"The model has no character {character!r}; give one that it knows.")
        position = range(len(self.text))[position]
        model, norm = self._model, self._model.final_norm

        def vector(weight: torch.Tensor) -> NDArray[np.float64]:
            return weight.detach().double().cpu().numpy()

        # The norm is linear once its scale is known: a part c adds (c - mean c) / scale · gain · row, and taking the
        # mean off the weights instead of the part is the same.
        row = vector(model.token_embedding.weight[index])  # (C,)
        stream = vector(self._parts.streams[-1][0, position])
        weights = row * vector(norm.weight)
        direction = (weights - weights.mean()) / np.sqrt(stream.var() + norm.eps)
        heads, biases, mlps = [], [], []
        for block, mixed, mlp in zip(model.blocks, self._parts.mixed, self._parts.mlps, strict=True):
            assert isinstance(block, Block)
            projection = block.attention.projection
            by_column = vector(mixed[0, position]) * (direction @ vector(projection.weight))  # (C,)
            heads.append(by_column.reshape(model.config.n_head, -1).sum(axis=-1))
            biases.append(vector(projection.bias) @ direction)
            mlps.append(vector(mlp[0, position]) @ direction)
        read = self.characters.index(self.text[position])
        return Attribution(
            character=character,
            position=position,
            logit=float(self.lens[-1, position, index]),
            heads=np.array(heads),
            mlps=np.array(mlps),
            token=float(vector(model.token_embedding.weight[read]) @ direction),
            place=float(vector(model.position_embedding.weight[position]) @ direction),
            biases=np.array(biases),
            constant=float(vector(norm.bias) @ row),
        )


def inspect(language_model: LanguageModel, text: str, muted: Iterable[Head] = ()) -> Trace:
    """Read a text in one forward pass, and keep everything.

    Args:
        language_model: the model; the trace reads its weights when asked for an attribution, so they must not change.
        text: at least one character; of a text longer than the window, the last window is looked at.
        muted: heads to do without, as (block, head), both from 0.

    Raises:
        UsageError: the text is empty or has a character that the model does not know, or there is no such head.
    """
    if not text:
        raise UsageError("There is nothing to inspect: the text is empty.")
    muted = tuple(sorted(set(muted)))
    model = mute(language_model, muted).model
    ids = torch.tensor([language_model.vocabulary.encode(text)[-model.config.block_size :]])  # (1, T)
    with torch_threads(1), torch.inference_mode():
        parts = forward_parts(model, ids)
        streams = torch.stack(parts.streams).squeeze(1)  # (L + 1, T, C)
        lens = model.unembed(streams.to(model.token_embedding.weight)).float().cpu()  # (L + 1, T, V)
        attention = torch.cat([parts.attention(layer) for layer in range(len(parts.projected))])
        log_probabilities = lens[-1, :-1].double().log_softmax(dim=-1)  # (T - 1, V)
        losses = -log_probabilities.gather(1, ids[0, 1:, None])[:, 0]
    return Trace(
        text=text[-model.config.block_size :],
        skipped=max(0, len(text) - model.config.block_size),
        characters=language_model.vocabulary.characters,
        muted=muted,
        attention=attention.numpy(),
        lens=lens.numpy(),
        loss=np.concatenate([[np.nan], losses.numpy()]),
        _parts=parts,
        _model=model,
    )
