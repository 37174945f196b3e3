"""A model that says what it is told to, for tests of the screen: no weights, no torch, no chance."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shakegpt.config import SamplingConfig
from shakegpt.errors import UsageError
from shakegpt.tui.generation.generation_thread import Opened

ODDS = (0.95, 0.8, 0.7, 0.4, 0.99, 0.9, 0.12, 0.97, 0.6, 0.03, 0.85, 0.3, 0.004)


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

    def likeliest(self, count: int) -> Sequence[FakeChoice]:
        return self.choices[:count]


@dataclass(frozen=True)
class FakeCharacter:
    text: str
    probability: float
    distribution: FakeDistribution


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
    """Speaks a text over and over, each character as likely as its turn says; notes the settings of every draw."""

    def __init__(self, text: str, settings: Callable[[], SamplingConfig], gate: threading.Semaphore | None) -> None:
        self.text = text
        self.settings = settings
        self.gate = gate
        self.at = 0
        self.used: list[SamplingConfig] = []

    def peek(self) -> FakeDistribution:
        return distribution(self.text[self.at % len(self.text)], self.settings())

    def step(self, choice: str | None = None) -> list[FakeCharacter]:
        if self.gate is not None and not self.gate.acquire(timeout=20):
            raise TimeoutError("no test let this character pass")
        settings = self.settings()
        character = self.text[self.at % len(self.text)] if choice is None else choice
        self.used.append(settings)
        probability = ODDS[self.at % len(ODDS)]
        self.at += 1
        return [FakeCharacter(character, probability, distribution(character, settings))]


class FakeModelLoader:
    """Opens fake streams. ``says``: what the model of a reference says; ``gated``: draws wait for ``let(count)``."""

    def __init__(self, says: str = "O speak again, bright angel!\n", *, gated: bool = False) -> None:
        self.says: dict[str, str] = {}
        self.default = says
        self.known = set(map(chr, range(32, 127))) | {"\n"}
        self.gate = threading.Semaphore(0) if gated else None
        self.streams: list[FakeStream] = []
        self.opened: list[tuple[str, str]] = []
        self.seeds: list[int] = []
        self.missing: set[str] = set()

    def let(self, count: int) -> None:
        """Let so many characters be drawn."""
        assert self.gate is not None
        self.gate.release(count)

    def open(self, reference: str, prompt: str, settings: Callable[[], SamplingConfig]) -> Opened:
        reference = reference or self.prepare()
        self.opened.append((reference, prompt))
        self.seeds.append(settings().seed)
        if reference in self.missing:
            raise UsageError(f"There is no run {reference}; the runs here are macbeth.")
        for place, character in enumerate(prompt, 1):
            if character not in self.known:
                raise UsageError(f"The model has never seen '{character}', character {place} of the text.")
        stream = FakeStream(self.says.get(reference, self.default), settings, self.gate)
        self.streams.append(stream)
        return Opened(stream, reference, 500, 1.4697)

    def prepare(self) -> str:
        return "pretrained"

    def speakers(self) -> list[str]:
        return ["ROMEO", "JULIET", "NURSE", "MERCUTIO"]
