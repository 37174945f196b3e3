"""From logits to the next character, and a stream of them."""

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from shakegpt.config import SamplingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import UsageError
from shakegpt.generation.decoder import Decoder
from shakegpt.generation.filters import Logits, apply_filters, probabilities
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.seeds import derive_seed
from shakegpt.system.threads import ThreadPool

Finish = Literal["length", "stop"]


class Choice(NamedTuple):
    """A character that could come next."""

    character: str
    before: float
    """Its probability before the cuts."""
    after: float
    """Its probability of being drawn."""

    @property
    def cut(self) -> bool:
        """Whether top-k, top-p, min-p or greed removed it."""
        return self.after == 0 < self.before


class Distribution:
    """What the next character is drawn from: probabilities in the vocabulary's order, before and after the cuts."""

    def __init__(self, vocabulary: Vocabulary, logits: Logits, before: Logits, after: Logits) -> None:
        self.characters = vocabulary.itos
        self._logits, self._before, self._after = logits, before, after  # (V,) each; turned into numbers when asked

    @cached_property
    def raw(self) -> tuple[float, ...]:
        """The model's own probabilities: no penalty, temperature 1, no cuts."""
        return _numbers(self._logits)

    @cached_property
    def before(self) -> tuple[float, ...]:
        """Probabilities under the repetition penalty and the temperature, before the cuts."""
        return _numbers(self._before)

    @cached_property
    def after(self) -> tuple[float, ...]:
        """The probabilities drawn from; 0 where cut."""
        return _numbers(self._after)

    @cached_property
    def entropy(self) -> float:
        """Entropy of what is drawn from, in bits."""
        return abs(sum(-share * math.log2(share) for share in self.after if share > 0))

    def likeliest(self, count: int) -> list[Choice]:
        """Return the ``count`` characters that are likeliest before the cuts, likeliest first."""
        order = sorted(range(len(self.characters)), key=lambda index: -self.before[index])
        return [Choice(self.characters[index], self.before[index], self.after[index]) for index in order[:count]]

    def draw(self, uniform: float) -> int:
        """Return the token id at ``uniform``, in [0, 1), of the cumulative distribution."""
        return int(draw(self._after, np.float64(uniform)))


def _numbers(logits: Logits) -> tuple[float, ...]:
    return tuple(probabilities(logits).tolist())


def draw(logits: Logits, uniform: NDArray[np.float64] | np.float64) -> NDArray[np.int64]:
    """Draw one character from each distribution by inverting its cumulative sum.

    Args:
        logits: (..., V), minus infinity where cut.
        uniform: one number in [0, 1) for each, (...).

    Returns:
        Token ids, (...); never one that was cut.
    """
    cumulative = np.exp(logits - logits.max(axis=-1, keepdims=True), dtype=np.float64).cumsum(axis=-1)
    # Scaling by the last entry rather than dividing keeps every draw inside the kept characters.
    ids: NDArray[np.int64] = (cumulative <= (uniform * cumulative[..., -1])[..., None]).sum(axis=-1)
    return ids


@dataclass(frozen=True)
class Character:
    """One character of a stream."""

    text: str
    index: int
    """Its token id."""
    distribution: Distribution
    """What it was drawn from."""

    @property
    def probability(self) -> float:
        """How likely the model held it, before penalty, temperature and cuts."""
        return self.distribution.raw[self.index]


class Stream:
    """The characters that a model writes after a prompt, one by one, without end but for length and stop texts.

    The settings are read before every character, so turning a knob acts on the next one; only the seed is read once.
    Characters that may be the beginning of a stop text are held back until that is decided.

    Args:
        language_model: the model and its vocabulary.
        prompt: what it continues. An empty prompt starts after a newline, as a speech of a play does.
        settings: how it draws, or a function that says so each time.
        sample: which of several samples of one seed this is.

    Raises:
        UsageError: the prompt has a character that the model does not know.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        prompt: str,
        settings: SamplingConfig | Callable[[], SamplingConfig],
        *,
        sample: int = 0,
    ) -> None:
        self._settings = settings if callable(settings) else lambda: settings
        self._vocabulary = language_model.vocabulary
        self._decoder = Decoder(language_model.model)
        self._context = deque(encode_prompt(language_model.vocabulary, prompt), maxlen=self._decoder.block_size)
        self._unread: list[int] = list(self._context)
        self._random = random.Random(_sample_seed(self._settings().seed, sample))
        self._logits: Logits | None = None
        self._held: deque[Character] = deque()
        self._stopped = False
        self.count = 0
        """Characters written so far."""

    @property
    def finish(self) -> Finish | None:
        """Why the stream has ended: a stop text, or its length; ``None`` while it goes on."""
        if self._stopped:
            return "stop"
        return "length" if self.count >= self._settings().length and not self._held else None

    def __iter__(self) -> Iterator[Character]:
        return self

    def __next__(self) -> Character:
        while True:
            settings = self._settings()
            if not settings.stop and not self._held and not self._exhausted(settings):
                self.count += 1
                return self._draw()
            pending = "".join(character.text for character in self._held)
            if self._held and (self._exhausted(settings) or not could_stop(pending, settings.stop)):
                self.count += 1
                return self._held.popleft()
            if self._stopped or self._exhausted(settings):
                raise StopIteration
            self._held.append(self._draw())
            written = "".join(character.text for character in self._held)
            if any(stop in written for stop in settings.stop):
                self._cut_at_stop(written, settings.stop)

    def _exhausted(self, settings: SamplingConfig) -> bool:
        return self._stopped or self.count + len(self._held) >= settings.length

    def _cut_at_stop(self, written: str, stops: Sequence[str]) -> None:
        self._stopped = True
        end = min(written.find(stop) for stop in stops if stop in written)
        while len(self._held) > end:
            self._held.pop()

    def peek(self) -> Distribution:
        """Return what the next character would be drawn from under the settings of this moment, drawing nothing."""
        settings = self._settings()
        logits = self._next_logits()
        seen = np.zeros(logits.shape, bool)
        if settings.repetition_penalty != 1:
            seen[list(self._context)] = True
        before, after = apply_filters(logits, settings, seen)
        return Distribution(self._vocabulary, logits, before, after)

    def step(self, choice: str | None = None) -> Character:
        """Write one character whatever the length and the stop texts say: drawn, or chosen by hand.

        Raises:
            UsageError: the choice is not a character of the vocabulary.
        """
        if self._held:
            self.count += 1
            return self._held.popleft()
        character = self._draw(choice)
        self._stopped = False
        self.count += 1
        return character

    def _draw(self, choice: str | None = None) -> Character:
        distribution = self.peek()
        if choice is None:
            index = distribution.draw(self._random.random())
        else:
            (index,) = self._vocabulary.encode(choice)
        self._context.append(index)
        self._unread.append(index)
        return Character(self._vocabulary.itos[index], index, distribution)

    def _next_logits(self) -> Logits:
        if len(self._unread) == 1:
            self._logits = self._decoder.read_one(self._unread[0]).astype(np.float64)
        elif self._unread or self._logits is None:
            self._logits = _logits(self._decoder.read(torch.tensor([self._unread])))[0]
        self._unread = []
        return self._logits


def could_stop(text: str, stops: Sequence[str]) -> bool:
    """Say whether ``text`` from its first character on may still grow into a stop text."""
    return any(stop.startswith(text) for stop in stops)


def encode_prompt(vocabulary: Vocabulary, prompt: str) -> list[int]:
    """Return the token ids of a prompt; an empty one reads as a newline, or as the first character there is.

    Raises:
        UsageError: a character is outside the vocabulary.
    """
    if not prompt:
        return [vocabulary.stoi.get("\n", 0)]
    return vocabulary.encode(prompt)


def _sample_seed(seed: int, sample: int) -> int:
    return derive_seed(seed, "sample", sample)


@dataclass(frozen=True)
class Written:
    """A whole sample."""

    text: str
    finish: Finish


def write_samples(
    language_model: LanguageModel, prompt: str, settings: SamplingConfig, count: int, *, pool: ThreadPool | None = None
) -> list[Written]:
    """Write several samples in step: sample i has the draws of ``Stream(..., sample=i)``.

    The samples do not depend on how many are asked for, but for a draw that falls within rounding (about 1e-6) of the
    border between two characters: matrices of another height are summed in another order.

    Args:
        language_model: the model.
        prompt: what all of them continue.
        settings: how they draw.
        count: how many.
        pool: the threads that share the samples on a CPU; the calling thread where left out.

    Raises:
        UsageError: the prompt has a character that the model does not know, or ``count`` is below 1.
    """
    if count < 1:
        raise UsageError(f"The number of samples must be at least 1, not {count}.")
    prompt_ids = encode_prompt(language_model.vocabulary, prompt)
    on_cpu = language_model.model.token_embedding.weight.device.type == "cpu"
    shares = pool.split(count) if pool is not None and on_cpu else [range(count)]

    def write(share: range) -> list[Written]:
        return _write_share(language_model, prompt_ids, settings, share)

    return [written for part in (pool or ThreadPool()).map(write, shares) for written in part]


def _write_share(
    language_model: LanguageModel, prompt_ids: list[int], settings: SamplingConfig, samples: range
) -> list[Written]:
    decoder = Decoder(language_model.model, batch_size=len(samples))
    generators = [random.Random(_sample_seed(settings.seed, sample)) for sample in samples]
    ids = np.array([prompt_ids] * len(samples))  # (B, T)
    context = ids
    texts = [""] * len(samples)
    finished: dict[int, Written] = {}
    for _ in range(settings.length):
        logits = _logits(decoder.read(torch.from_numpy(ids)))  # (B, V)
        seen = np.zeros(logits.shape, bool)
        if settings.repetition_penalty != 1:
            context = context[:, -decoder.block_size :]
            np.put_along_axis(seen, context, True, axis=1)  # noqa: FBT003
        uniform = np.array([generator.random() for generator in generators])
        ids = draw(apply_filters(logits, settings, seen)[1], uniform)[:, None]
        context = np.concatenate([context, ids], axis=1)
        for row, index in enumerate(ids[:, 0].tolist()):
            if row in finished:
                continue
            texts[row] += language_model.vocabulary.itos[index]
            ends = [texts[row].find(stop) for stop in settings.stop if texts[row].endswith(stop)]
            if ends:
                finished[row] = Written(texts[row][: min(ends)], "stop")
        if len(finished) == len(samples):
            break
    return [finished.get(row, Written(texts[row], "length")) for row in range(len(samples))]


def _logits(logits: torch.Tensor) -> Logits:
    """Return a decoder's logits where the filters work: on the CPU, in fp64."""
    return logits.cpu().numpy().astype(np.float64)
