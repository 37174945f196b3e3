"""The knobs that turn sampling settings, the presets that set several at once, and the speeds."""

import math
from dataclasses import dataclass, replace
from typing import Any

from shakegpt.config import SamplingConfig
from shakegpt.tui.preferences import ENDLESS


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A setting that two keys turn: one down, one up."""

    field: str
    """The field of ``SamplingConfig``."""
    label: str
    short: str
    """The label where there is little room."""
    down_key: str
    up_key: str
    down: str
    """What turning it down does, as the help says it."""
    up: str
    explanation: str
    """What the value means, in a sentence."""
    steps: tuple[float, ...] = ()
    """The values it clicks into, lowest first."""

    def turned(self, settings: SamplingConfig, clicks: int) -> SamplingConfig:
        """Return the settings with this knob some clicks up, or down where negative; it stops at its ends."""
        value = self._number(settings)
        for _ in range(abs(clicks)):
            if clicks > 0:
                value = next((step for step in self.steps if step > value + 1e-9), value)
            else:
                value = next((step for step in reversed(self.steps) if step < value - 1e-9), value)
        return self._with(settings, value)

    def at(self, settings: SamplingConfig, fraction: float) -> SamplingConfig:
        """Return the settings with this knob at a fraction of its way, from 0 (lowest) to 1 (highest)."""
        if not self.steps:
            return settings
        return self._with(settings, self.steps[round(max(0.0, min(1.0, fraction)) * (len(self.steps) - 1))])

    def fraction(self, settings: SamplingConfig) -> float | None:
        """Return how far up the knob is, from 0 to 1; ``None`` where it has no ends."""
        if not self.steps:
            return None
        value = self._number(settings)
        return sum(step < value - 1e-9 for step in self.steps) / (len(self.steps) - 1)

    def show(self, settings: SamplingConfig) -> str:
        """Return the value as text."""
        value = self._number(settings)
        if math.isinf(value):
            return "off"
        return f"{value:.2f}" if isinstance(value, float) else f"{value}"

    def _number(self, settings: SamplingConfig) -> float:
        value: float | None = getattr(settings, self.field)
        return math.inf if value is None else value

    def _with(self, settings: SamplingConfig, value: float) -> SamplingConfig:
        change: dict[str, Any] = {self.field: None if math.isinf(value) else value}
        return replace(settings, **change)


def _hundredths(first: int, last: int, step: int) -> tuple[float, ...]:
    return tuple(number / 100 for number in range(first, last + 1, step))


@dataclass(frozen=True, kw_only=True)
class SeedKnob(Knob):
    """The seed turns by one, without end."""

    def turned(self, settings: SamplingConfig, clicks: int) -> SamplingConfig:
        """Return the settings with the seed some clicks on; never below 0."""
        return replace(settings, seed=min(max(0, settings.seed + clicks), 2**31 - 1))


@dataclass(frozen=True, kw_only=True)
class LengthKnob(Knob):
    """The length turns up to one without end."""

    def show(self, settings: SamplingConfig) -> str:
        """Return the number of characters."""
        return "endless" if settings.length >= ENDLESS else f"{settings.length}"


KNOBS: tuple[Knob, ...] = (
    Knob(
        field="temperature",
        label="temperature",
        short="temp",
        down_key="t",
        up_key="T",
        down="Tamer: a lower temperature, at which the likeliest letters win more often",
        up="Wilder: a higher temperature, at which unlikely letters get their chance",
        explanation="Below 1 sharpens the odds, above 1 flattens them.",
        steps=_hundredths(0, 200, 5),
    ),
    Knob(
        field="top_k",
        label="top-k",
        short="top-k",
        down_key="o",
        up_key="O",
        down="Draw from fewer of the likeliest letters",
        up="Draw from more of the likeliest letters",
        explanation="Only the k likeliest letters may come next.",
        steps=(*range(1, 11), 12, 15, 20, 25, 30, 40, 50, math.inf),
    ),
    Knob(
        field="top_p",
        label="top-p",
        short="top-p",
        down_key="p",
        up_key="P",
        down="Draw from the likeliest letters that make up a smaller share of the odds",
        up="Draw from the likeliest letters that make up a larger share of the odds",
        explanation="Only the likeliest letters that make up this share.",
        steps=(0.01, *_hundredths(5, 95, 5), 0.98, 1.0),
    ),
    Knob(
        field="min_p",
        label="min-p",
        short="min-p",
        down_key="{",
        up_key="}",
        down="Cut fewer of the unlikely letters",
        up="Cut more of the unlikely letters",
        explanation="Cuts letters below this share of the likeliest one.",
        steps=(0.0, 0.01, 0.02, 0.03, *_hundredths(5, 100, 5)),
    ),
    SeedKnob(
        field="seed",
        label="seed",
        short="seed",
        down_key="<",
        up_key=">",
        down="The seed before this one, for the next text",
        up="The seed after this one, for the next text",
        explanation="Same seed and knobs: same text. a begins it anew.",
    ),
    LengthKnob(
        field="length",
        label="length",
        short="len",
        down_key="(",
        up_key=")",
        down="Fewer letters in a text",
        up="More letters in a text; at the top, it goes on until stopped",
        explanation="Letters in a text; an endless one stops with space.",
        steps=(1, 10, 50, 100, 200, 300, 400, 600, 800, *(100 * 2**n for n in range(4, 10)), 100_000, ENDLESS),
    ),
)
KNOBS_BY_FIELD = {knob.field: knob for knob in KNOBS}

SAMPLING_PRESETS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0, "top_k": None, "top_p": 1.0, "min_p": 0.0},
    "careful": {"temperature": 0.6, "top_k": None, "top_p": 0.9, "min_p": 0.0},
    "balanced": {"temperature": 0.8, "top_k": None, "top_p": 1.0, "min_p": 0.0},
    "wild": {"temperature": 1.3, "top_k": None, "top_p": 1.0, "min_p": 0.02},
}
"""Settings that go well together, from the surest to the boldest."""
PRESET_EXPLANATIONS = {
    "greedy": "Greedy: always the likeliest letter, soon in circles.",
    "careful": "Careful: sharper odds, without the unlikeliest tenth.",
    "balanced": "Balanced: the odds a little sharper than learnt.",
    "wild": "Wild: flatter odds, for words never heard before.",
}


def preset_of(settings: SamplingConfig) -> str | None:
    """Return the name of the preset that these settings are, if they are one."""
    return next((name for name, values in SAMPLING_PRESETS.items() if replace(settings, **values) == settings), None)


def next_preset(settings: SamplingConfig, clicks: int = 1) -> str:
    """Return the preset after (or before) the current one, in a circle; ``balanced`` where there is none."""
    names = list(SAMPLING_PRESETS)
    current = preset_of(settings)
    return "balanced" if current is None else names[(names.index(current) + clicks) % len(names)]


def contrasting_preset(settings: SamplingConfig) -> str:
    """Return a preset whose texts differ plainly from those of these settings."""
    return "wild" if settings.temperature < 1 else "careful"


def changed_settings(settings: SamplingConfig) -> str:
    """Return what distinguishes these settings: the preset's name, or the knobs that are not where they began."""
    if preset := preset_of(settings):
        return preset
    changed = [
        f"{knob.short} {knob.show(settings)}"
        for knob in KNOBS[:4]
        if knob.show(settings) != knob.show(SamplingConfig())
    ]
    return " ".join(changed)


SPEEDS = {40: "40 letters a second", 0: "as fast as it goes", 10: "slowly, 10 letters a second"}
"""Characters per second; 0 is as fast as the model is."""


def next_speed(speed: int) -> int:
    """Return the speed after this one, in a circle; the first after one that is not among them."""
    speeds = list(SPEEDS)
    return speeds[(speeds.index(speed) + 1) % len(speeds)] if speed in SPEEDS else speeds[0]
