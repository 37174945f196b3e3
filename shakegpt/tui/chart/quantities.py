"""What can be drawn of a run: how to read it off a point, and how to spell it."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from shakegpt.events import perplexity
from shakegpt.runs.snapshot import Point
from shakegpt.tui import formatting


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One of the curves that a run draws."""

    key: str
    title: str
    of: Callable[[Point], float]
    spell: Callable[[float | None], str]
    validated: bool
    """Whether evaluations give a value of it too."""
    plunges: bool
    """Whether its first values dwarf all later ones."""


LOSS = Quantity(key="loss", title="Loss", of=attrgetter("loss"), spell=formatting.decimal, validated=True, plunges=True)
PERPLEXITY = Quantity(
    key="perplexity",
    title="Perplexity",
    of=lambda point: perplexity(point.loss),
    spell=formatting.decimal,
    validated=True,
    plunges=True,
)
LEARNING_RATE = Quantity(
    key="learning-rate",
    title="Learning rate",
    of=attrgetter("learning_rate"),
    spell=formatting.scientific,
    validated=False,
    plunges=False,
)
QUANTITIES = (LOSS, PERPLEXITY, LEARNING_RATE)
