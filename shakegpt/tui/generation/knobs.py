"""The knobs that turn sampling settings, the presets that set several at once, the speeds, and the line of knobs."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from shakegpt.config import SamplingConfig
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_FULL_LABELS_WIDTH = 76
_BAR_PARTS = ("label", "key", "value", "preset")


@dataclass(frozen=True)
class Knob:
    """A setting that two keys turn: the small letter down, the capital letter up."""

    field: str
    """The field of ``SamplingConfig``."""
    label: str
    key: str
    """A letter of the label."""
    steps: tuple[float, ...]
    """The values it clicks into, lowest first."""

    def turned(self, settings: SamplingConfig, clicks: int) -> SamplingConfig:
        """Return the settings with this knob some clicks up, or down where negative; it stops at its ends."""
        value = self._number(settings)
        for _ in range(abs(clicks)):
            if clicks > 0:
                value = next((step for step in self.steps if step > value + 1e-9), value)
            else:
                value = next((step for step in reversed(self.steps) if step < value - 1e-9), value)
        change: dict[str, Any] = {self.field: None if math.isinf(value) else value}
        return replace(settings, **change)

    def show(self, settings: SamplingConfig) -> str:
        """Return the value as text."""
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
KNOBS_BY_FIELD = {knob.field: knob for knob in KNOBS}

SAMPLING_PRESETS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0, "top_k": None, "top_p": 1.0, "min_p": 0.0},
    "careful": {"temperature": 0.6, "top_k": None, "top_p": 0.9, "min_p": 0.0},
    "balanced": {"temperature": 0.8, "top_k": None, "top_p": 0.95, "min_p": 0.0},
    "wild": {"temperature": 1.3, "top_k": None, "top_p": 1.0, "min_p": 0.02},
}
"""Settings that go well together, from the surest to the boldest."""


def preset_of(settings: SamplingConfig) -> str | None:
    """Return the name of the preset that these settings are, if they are one."""
    return next((name for name, values in SAMPLING_PRESETS.items() if replace(settings, **values) == settings), None)


def next_preset(settings: SamplingConfig, clicks: int = 1) -> str:
    """Return the preset after (or before) the current one, in a circle; ``balanced`` where there is none."""
    names = list(SAMPLING_PRESETS)
    current = preset_of(settings)
    return "balanced" if current is None else names[(names.index(current) + clicks) % len(names)]


SPEEDS = {0: "as fast as it goes", 100: "100 characters a second", 30: "30 characters a second"}
"""Characters per second; 0 is as fast as the model is."""


def next_speed(speed: int) -> int:
    """Return the speed after this one, in a circle."""
    speeds = list(SPEEDS)
    return speeds[(speeds.index(speed) + 1) % len(speeds)]


class KnobsBar(DiffWidget):
    """Shows the settings that the next character will be drawn with; the letter that turns each is highlighted."""

    DEFAULT_CSS: ClassVar[str] = """
    KnobsBar {
        height: 1;
        padding: 0 1;
        background: $surface;
        & > .knobs-bar--label { color: $text-muted; background: $surface; }
        & > .knobs-bar--key { color: $primary; background: $surface; text-style: underline; }
        & > .knobs-bar--value { color: $foreground; background: $surface; text-style: bold; }
        & > .knobs-bar--preset { color: $secondary; background: $surface; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"knobs-bar--{part}" for part in _BAR_PARTS}

    def __init__(self, settings: SamplingConfig) -> None:
        super().__init__()
        self._settings = settings

    def show(self, settings: SamplingConfig) -> None:
        """Show other settings."""
        self._settings = settings
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (the line is one high)
        """Return the line: with whole labels where they fit, else with the letters alone."""
        styles = {part: self.get_component_rich_style(f"knobs-bar--{part}") for part in _BAR_PARTS}
        row: Row = []
        for knob in KNOBS:
            before, key, after = _label(knob, full=width >= _FULL_LABELS_WIDTH)
            row += [
                (before, styles["label"]),
                (key, styles["key"]),
                (f"{after} ", styles["label"]),
                (knob.show(self._settings), styles["value"]),
                ("  " if width >= _FULL_LABELS_WIDTH else " ", styles["label"]),
            ]
        if preset := preset_of(self._settings):
            row.append((preset, styles["preset"]))
        return [row]


def _label(knob: Knob, *, full: bool) -> tuple[str, str, str]:
    if not full:
        return "", knob.key, ""
    place = knob.label.rindex(knob.key)  # top-p: the last p names it
    if knob.field in ("temperature", "seed"):
        place = knob.label.index(knob.key)
    return knob.label[:place], knob.key, knob.label[place + 1 :]
