"""The knobs of a generation: what each one turns through, and the voices that set several at once."""

import math
from dataclasses import dataclass, replace
from typing import Any

from shakegpt.config import SamplingConfig


@dataclass(frozen=True)
class Knob:
    """A setting that two keys turn: the small letter down, the capital letter up."""

    field: str
    """The field of ``SamplingConfig``."""
    label: str
    key: str
    """A letter of the label."""
    rungs: tuple[float, ...]
    """The values it clicks into, lowest first."""

    def turned(self, settings: SamplingConfig, clicks: int) -> SamplingConfig:
        """Return the settings with this knob some clicks up, or down where negative; it stops at its ends."""
        value = self._number(settings)
        for _ in range(abs(clicks)):
            if clicks > 0:
                value = next((rung for rung in self.rungs if rung > value + 1e-9), value)
            else:
                value = next((rung for rung in reversed(self.rungs) if rung < value - 1e-9), value)
        change: dict[str, Any] = {self.field: None if math.isinf(value) else value}
        return replace(settings, **change)

    def show(self, settings: SamplingConfig) -> str:
        """Return the value as it is written on the knob."""
        value = self._number(settings)
        if math.isinf(value):
            return "off"
        return f"{value:.2f}" if isinstance(value, float) else f"{value}"

    def _number(self, settings: SamplingConfig) -> float:
        value: float | None = getattr(settings, self.field)
        return math.inf if value is None else value


def _hundredths(first: int, last: int, step: int) -> tuple[float, ...]:
    return tuple(number / 100 for number in range(first, last + 1, step))


@dataclass(frozen=True)
class SeedKnob(Knob):
    """The seed turns by one, without end."""

    def turned(self, settings: SamplingConfig, clicks: int) -> SamplingConfig:
        """Return the settings with the seed some clicks on; never below 0."""
        return replace(settings, seed=min(max(0, settings.seed + clicks), 2**31 - 1))


KNOBS = (
    Knob("temperature", "temp", "t", _hundredths(0, 200, 5)),
    Knob("top_k", "top-k", "k", (*range(1, 11), 12, 15, 20, 25, 30, 40, 50, math.inf)),
    Knob("top_p", "top-p", "p", (0.01, *_hundredths(5, 95, 5), 0.98, 1.0)),
    Knob("min_p", "min-p", "m", (0.0, 0.01, 0.02, 0.03, *_hundredths(5, 100, 5))),
    SeedKnob("seed", "seed", "e", ()),
    Knob(
        "length", "length", "l", (1, 10, 50, 100, 200, 300, 400, 600, 800, *(100 * 2**n for n in range(4, 10)), 100_000)
    ),
)
KNOB = {knob.field: knob for knob in KNOBS}

VOICES: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0, "top_k": None, "top_p": 1.0, "min_p": 0.0},
    "careful": {"temperature": 0.6, "top_k": None, "top_p": 0.9, "min_p": 0.0},
    "balanced": {"temperature": 0.8, "top_k": None, "top_p": 0.95, "min_p": 0.0},
    "wild": {"temperature": 1.3, "top_k": None, "top_p": 1.0, "min_p": 0.02},
}
"""Settings that go well together, from the surest to the boldest."""


def voice_of(settings: SamplingConfig) -> str | None:
    """Return the name of the voice that these settings are, if they are one."""
    return next((name for name, values in VOICES.items() if replace(settings, **values) == settings), None)


def next_voice(settings: SamplingConfig, clicks: int = 1) -> str:
    """Return the voice after (or before) the present one, around the ring; from no voice at all, balanced."""
    names = list(VOICES)
    present = voice_of(settings)
    return "balanced" if present is None else names[(names.index(present) + clicks) % len(names)]
