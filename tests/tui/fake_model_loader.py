"""A model that generates what it is told to, for tests of the screen: no weights, no torch, no chance."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from shakegpt.config import SamplingConfig
from shakegpt.errors import UnknownCharacterError, UsageError
from shakegpt.tui.generation.model_loader import ModelLoader
from tests.processes import PATIENCE

if TYPE_CHECKING:
    from shakegpt.generation.stream import Finish, Stream
    from shakegpt.model.language_model import LanguageModel

PROBABILITIES = (0.95, 0.8, 0.7, 0.4, 0.99, 0.9, 0.12, 0.97, 0.6, 0.03, 0.85, 0.3, 0.004)


class FakeChoice(NamedTuple):
    character: str
    uncut_probability: float
    probability: float

    @property
    def cut(self) -> bool:
        return self.probability == 0


@dataclass(frozen=True)
class FakeDistribution:
    choices: tuple[FakeChoice, ...]
    entropy: float = 1.25

    @property
    def characters(self) -> list[str]:
        return [choice.character for choice in self.choices]

    @property
    def model_probabilities(self) -> list[float]:
        return [choice.uncut_probability for choice in self.choices]

    def likeliest(self, count: int) -> tuple[FakeChoice, ...]:
        return self.choices[:count]


@dataclass(frozen=True)
class FakeCharacter:
    text: str
    probability: float
    distribution: FakeDistribution


@dataclass(frozen=True)
class FakeLanguageModel:
    name: str
    step: int = 500
    val_loss: float = 1.4697
    parameters: int = 1_629_440


def distribution(first: str, settings: SamplingConfig) -> FakeDistribution:
    """Twelve characters, of which top-k cuts those beyond it."""
    names = [first, *(letter for letter in "etaoinshrdlucm" if letter != first)][:12]
    weights = [2.0**-rank for rank in range(1, len(names) + 1)]
    kept = settings.top_k or len(names)
    return FakeDistribution(
        tuple(
            FakeChoice(name, weight, weight if rank < kept else 0.0)
            for rank, (name, weight) in enumerate(zip(names, weights, strict=True))
        )
    )


class FakeStream:
    """Generates a text over and over, and notes the settings of every draw; a stop text is not held back."""

    def __init__(
        self, text: str, name: str, settings: Callable[[], SamplingConfig], gate: threading.Semaphore | None
    ) -> None:
        self.language_model = FakeLanguageModel(name)
        self.text = text
        self.settings = settings
        self.gate = gate
        self.index = 0
        self.used: list[SamplingConfig] = []
        self.generated = ""
        self.length_start = 0
        self.stopped = False

    @property
    def finish(self) -> "Finish | None":
        if self.stopped:
            return "stop"
        return "length" if len(self.generated) - self.length_start >= self.settings().length else None

    def __iter__(self) -> "FakeStream":
        return self

    def __next__(self) -> FakeCharacter:
        if self.finish is not None:
            raise StopIteration
        (character,) = self.step()
        return character

    def peek(self) -> FakeDistribution:
        return distribution(self.text[self.index % len(self.text)], self.settings())

    def extend(self) -> None:
        self.length_start = len(self.generated)
        self.stopped = False

    def release(self) -> list[FakeCharacter]:
        return []

    def step(self, choice: str | None = None) -> list[FakeCharacter]:
        if self.gate is not None and not self.gate.acquire(timeout=PATIENCE):
            raise TimeoutError("no test let this character pass")
        settings = self.settings()
        character = self.text[self.index % len(self.text)] if choice is None else choice
        self.used.append(settings)
        probability = PROBABILITIES[self.index % len(PROBABILITIES)]
        self.index += 1
        self.generated += character
        self.stopped = self.generated.endswith(settings.stop)
        return [FakeCharacter(character, probability, distribution(character, settings))]


class FakeModelLoader(ModelLoader):
    """Opens fake streams.

    Args:
        text: what every model generates, unless ``texts`` has another by its reference.
        gated: every draw waits for ``let(count)``.
    """

    def __init__(self, text: str = "O speak again, bright angel!\n", *, gated: bool = False) -> None:
        self.texts: dict[str, str] = {}
        self.default = text
        self.known = set(map(chr, range(32, 127))) | {"\n"}
        self.gate = threading.Semaphore(0) if gated else None
        self.streams: list[FakeStream] = []
        self.opened: list[tuple[str, str]] = []
        self.seeds: list[int] = []
        self.missing: set[str] = set()
        self.branches: list[str] = []

    def let(self, count: int) -> None:
        """Let so many characters be drawn."""
        assert self.gate is not None
        self.gate.release(count)

    def open_stream(self, reference: str, prompt: str, settings: Callable[[], SamplingConfig]) -> "Stream":
        reference = reference or self.preload()
        self.opened.append((reference, prompt))
        self.seeds.append(settings().seed)
        if reference in self.missing:
            raise UsageError(f"There is no run {reference}; the runs here are macbeth.")
        for place, character in enumerate(prompt, 1):
            if character not in self.known:
                raise UnknownCharacterError(f"'{character}'", place, "95 characters")
        stream = FakeStream(self.texts.get(reference, self.default), reference, settings, self.gate)
        self.streams.append(stream)
        return cast("Stream", stream)

    def open_branch(
        self, language_model: "LanguageModel", prompt: str, settings: Callable[[], SamplingConfig]
    ) -> "Stream":
        self.branches.append(prompt)
        return cast("Stream", FakeStream(self.default, language_model.name, settings, self.gate))

    def preload(self) -> str:
        return "pretrained"

    def speaker_names(self) -> list[str]:
        return ["ROMEO", "JULIET", "NURSE", "MERCUTIO"]
