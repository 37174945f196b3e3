"""From logits to the next character, and a stream of them."""

import math
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shakegpt.config import SamplingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.generation.decoder import Decoder
from shakegpt.generation.filters import Logits, apply_filters, softmax
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.seeds import derive_seed

Finish = Literal["length", "stop"]


class Choice(NamedTuple):
    """A character that could come next."""

    character: str
    uncut_probability: float
    """Its probability before the cuts."""
    probability: float
    """Its probability of being drawn."""

    @property
    def cut(self) -> bool:
        """Whether top-k, top-p, min-p or greedy choice removed it."""
        return self.probability == 0 < self.uncut_probability


class Distribution:
    """What the next character is drawn from, in the order of the vocabulary, with what it was before the cuts."""

    def __init__(self, vocabulary: Vocabulary, logits: Logits, uncut: Logits, filtered: Logits) -> None:
        self.characters = vocabulary.itos
        self._logits, self._uncut, self._filtered = logits, uncut, filtered  # (V,) each; the softmax is taken on demand

    @cached_property
    def model_probabilities(self) -> tuple[float, ...]:
        """The model's own probabilities: no penalty, temperature 1, no cuts."""
        return tuple(softmax(self._logits).tolist())

    @cached_property
    def uncut_probabilities(self) -> tuple[float, ...]:
        """Probabilities under the repetition penalty and the temperature, before the cuts."""
        return tuple(softmax(self._uncut).tolist())

    @cached_property
    def probabilities(self) -> tuple[float, ...]:
        """The probabilities drawn from; 0 where cut."""
        return tuple(softmax(self._filtered).tolist())

    @cached_property
    def entropy(self) -> float:
        """Entropy of what is drawn from, in bits."""
        return abs(sum(-p * math.log2(p) for p in self.probabilities if p > 0))

    def likeliest(self, count: int) -> list[Choice]:
        """Return the ``count`` characters that are likeliest before the cuts, likeliest first."""
        choices = map(Choice, self.characters, self.uncut_probabilities, self.probabilities)
        return sorted(choices, key=lambda choice: -choice.uncut_probability)[:count]

    def draw(self, uniform: float) -> int:
        """Return the token id at ``uniform``, in [0, 1), of the cumulative distribution."""
        return int(draw(self._filtered, np.float64(uniform)))


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
        """Its probability under the model, before penalty, temperature and cuts."""
        return self.distribution.model_probabilities[self.index]


class Stream:
    """The characters that a model generates after a prompt, one by one, up to a length or a stop text.

    The settings are read before every character, so a change acts on the next one; only the seed is read once.
    Characters that may be the beginning of a stop text are held back until that is decided.

    Args:
        language_model: the model and its vocabulary.
        prompt: what it continues. An empty prompt starts after a newline, as a speech of a play does.
        settings: how it draws, or a function that returns the settings of the moment.
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
        self.language_model = language_model
        """The model that generates."""
        self.count = 0
        """Characters returned so far."""
        self._settings = settings if callable(settings) else lambda: settings
        self._decoder = Decoder(language_model.model)
        self._context = deque(encode_prompt(language_model.vocabulary, prompt), maxlen=self._decoder.block_size)
        self._unread: list[int] = list(self._context)
        self._random = sample_generator(self._settings().seed, sample)
        self._logits: Logits | None = None
        self._held: deque[Character] = deque()
        self._tail = ""  # the newest characters, as many as the longest stop text has
        self._length_start = 0  # the count at which the length begins
        self._stopped = False

    @property
    def finish(self) -> Finish | None:
        """Why the stream has ended: a stop text, or its length; ``None`` while it goes on."""
        if self._stopped:
            return "stop"
        return "length" if self._at_end(self._settings()) and not self._held else None

    def __iter__(self) -> Iterator[Character]:
        return self

    def __next__(self) -> Character:
        while True:
            settings = self._settings()
            at_end = self._at_end(settings)
            if not (settings.stop or self._held or at_end):  # nothing to hold back
                self._draw()
                self.count += 1
                return self._held.pop()
            held = "".join(character.text for character in self._held)
            if held and (at_end or not any(stop.startswith(held) for stop in settings.stop)):
                self.count += 1
                return self._held.popleft()
            if at_end:
                raise StopIteration
            self._draw()
            for _ in range(min(self._match_stop(settings.stop), len(self._held))):
                self._held.pop()

    def _at_end(self, settings: SamplingConfig) -> bool:
        return self._stopped or self.count + len(self._held) >= self._length_start + settings.length

    def _match_stop(self, stops: Sequence[str]) -> int:
        """End the stream where the newest character completes a stop text, and return the length of that, else 0."""
        if not stops:
            return 0
        self._tail = (self._tail + self._held[-1].text)[-max(map(len, stops)) :]
        length = stop_length(self._tail, stops)
        if length:
            self._stopped = True
            self._tail = ""
        return length

    def peek(self) -> Distribution:
        """Return what the next character would be drawn from under the settings of this moment, drawing nothing."""
        settings = self._settings()
        logits = self._next_logits()
        seen = np.zeros(logits.shape, bool)
        if settings.repetition_penalty != 1:
            seen[list(self._context)] = True
        return Distribution(self.language_model.vocabulary, logits, *apply_filters(logits, settings, seen))

    def extend(self) -> None:
        """Go on after the end: for as many characters as the length says, or to the next stop text."""
        self._stopped = False
        self._length_start = self.count + len(self._held)

    def release(self) -> list[Character]:
        """Return the characters that are held back; a stop text that they begin still ends the stream."""
        released = list(self._held)
        self._held.clear()
        self.count += len(released)
        return released

    def step(self, choice: str | None = None) -> list[Character]:
        """Generate one character, drawn or chosen by hand, even past the length or a stop text.

        A stop text that it completes is returned whole and ends the stream.

        Returns:
            The characters that were held back, and the new one.

        Raises:
            UsageError: the choice is not a character of the vocabulary.
        """
        self._draw(choice)
        self._stopped = False
        self._match_stop(self._settings().stop)
        return self.release()

    def _draw(self, choice: str | None = None) -> None:
        vocabulary = self.language_model.vocabulary
        distribution = self.peek()
        if choice is None:
            index = distribution.draw(self._random.random())
        else:
            (index,) = vocabulary.encode(choice)
        self._context.append(index)
        self._unread.append(index)
        self._held.append(Character(vocabulary.itos[index], index, distribution))

    def _next_logits(self) -> Logits:
        if self._unread or self._logits is None:
            self._logits = self._decoder.read(np.array([self._unread]))[0]
        self._unread = []
        return self._logits


def stop_length(text: str, stops: Sequence[str]) -> int:
    """Return how many characters at the end of a text are a stop text, of several the longest; 0 where none are."""
    return max((len(stop) for stop in stops if text.endswith(stop)), default=0)


def encode_prompt(vocabulary: Vocabulary, prompt: str) -> list[int]:
    """Return the token ids of a prompt; an empty one reads as a newline, or as the first character there is.

    Raises:
        UsageError: a character is outside the vocabulary.
    """
    if not prompt:
        return [vocabulary.stoi.get("\n", 0)]
    return vocabulary.encode(prompt)


def sample_generator(seed: int, sample: int) -> random.Random:
    """Return what draws a sample: of one seed, each sample has draws of its own."""
    return random.Random(derive_seed(seed, "sample", sample))
