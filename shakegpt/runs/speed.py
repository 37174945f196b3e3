"""How fast this machine trains, from the logs of what it has trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from shakegpt.errors import ShakegptError
from shakegpt.events import Step
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store

_RUNS = 60
_SIMILAR = 10.0
"""How many times as large a model may be for its speed to be worked out from that of a smaller one."""


@dataclass(frozen=True)
class Speed:
    """How fast a model was trained."""

    parameters: int
    tokens_per_second: float
    """With the time that evaluations and saves took."""


def measured_speeds(store: Store) -> dict[str, Speed]:
    """Return the last speed that this machine trained each preset at; a preset it has not trained is left out.

    Raises:
        ShakegptError: the store cannot be read.
    """
    speeds: dict[str, Speed] = {}
    for run in islice(store.runs(), _RUNS):
        try:
            preset = run.metadata.preset
            if preset not in speeds and run.trained_here() and (speed := _measured_speed(run)) is not None:
                speeds[preset] = speed
        except (ShakegptError, OSError):
            continue  # perhaps removed meanwhile
    return speeds


def _measured_speed(run: Run) -> Speed | None:
    step = next((event for event in run.log.newest() if isinstance(event, Step)), None)
    if step is None or not step.seconds > 0 or not step.tokens:
        return None
    return Speed(run.metadata.model.parameters, step.tokens / step.seconds)


def expected_speed(speeds: Mapping[str, Speed], preset: str, parameters: int) -> tuple[float, bool] | None:
    """Return the tokens per second that a preset will be trained at, and whether that was measured.

    One that was not is worked out from the largest smaller model, since a token's cost grows as the weights do, if that
    has at least a tenth of the weights: smaller ones leave most of a processor idle. Else it is not known.
    """
    if preset in speeds:
        return speeds[preset].tokens_per_second, True
    smaller = [speed for speed in speeds.values() if speed.parameters <= parameters <= _SIMILAR * speed.parameters]
    if not smaller:
        return None
    nearest = max(smaller, key=lambda speed: speed.parameters)
    return nearest.tokens_per_second * nearest.parameters / parameters, False
