"""The texts that were generated so far, and where two texts part."""

from dataclasses import dataclass
from itertools import count

from shakegpt.config import SamplingConfig
from shakegpt.tui.generation.knobs import changed_settings
from shakegpt.tui.widgets.top_bar import model_name

TAKES_KEPT = 20
LONGEST_TEXT = 100_000
"""Characters kept of a text: an endless one loses its beginning, so that the memory it takes is bounded."""


@dataclass(frozen=True)
class Take:
    """One generated text, with what it was generated with."""

    number: int
    """From 1."""
    model: str
    prompt: str
    text: str
    """What was generated after the prompt; the last ``LONGEST_TEXT`` characters of it."""
    first: SamplingConfig
    """The settings at its beginning."""
    last: SamplingConfig
    """The settings at its end: knobs may have been turned meanwhile."""

    def summary(self, *, with_model: bool = False) -> str:
        """Return its number, seed and settings, such as ``2  seed 1337  balanced → wild``, and perhaps its model."""
        first, last = changed_settings(self.first), changed_settings(self.last)
        model = f"  {model_name(self.model)}" if with_model else ""
        return f"{self.number}{model}  seed {self.first.seed}  {first}" + (f" → {last}" if last != first else "")


def parting(one: str, other: str) -> int | None:
    """Return the index of the first character in which two texts differ; ``None`` as long as one begins the other."""
    return next((index for index, a, b in zip(count(), one, other, strict=False) if a != b), None)
