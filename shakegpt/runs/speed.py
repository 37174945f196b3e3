"""How fast this machine trains, from the logs of what it has trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from shakegpt.config import PRESETS, ModelConfig, TrainingConfig, current_preset
from shakegpt.errors import ShakegptError
from shakegpt.events import Started, Step
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
    threads: int | None = None
    """How many threads computed, 1 on a GPU; ``None`` where the log does not say."""


def speed_key(preset: str, model: ModelConfig) -> str:
    """Return what the speed of a model is found by: its preset, and its shape where that is not the preset's."""
    preset = current_preset(preset)
    usual = PRESETS[preset].model_config(model.vocab_size).shape if preset in PRESETS else {}
    return preset if usual == model.shape else "/".join(map(str, model.shape.values()))


def measured_speeds(store: Store) -> dict[str, Speed]:
    """Return the last speed that this machine trained each preset, and each shape of a user's, at, by ``speed_key``.

    Raises:
        ShakegptError: the store cannot be read.
    """
    speeds: dict[str, Speed] = {}
    for run in islice(store.runs(), _RUNS):
        try:
            key = speed_key(run.metadata.preset, run.metadata.model)
            if key not in speeds and run.trained_here() and (speed := _measured_speed(run)) is not None:
                speeds[key] = speed
        except (ShakegptError, OSError):
            continue  # perhaps removed meanwhile
    return speeds


def _measured_speed(run: Run) -> Speed | None:
    step = next((event for event in run.log.newest() if isinstance(event, Step)), None)
    if step is None or not step.seconds > 0 or not step.tokens:
        return None
    first = next(run.log.events(), None)
    threads = first.threads if isinstance(first, Started) else None
    return Speed(run.metadata.model.parameters, step.tokens / step.seconds, threads)


def expected_speed(speeds: Mapping[str, Speed], key: str, parameters: int) -> tuple[float, bool] | None:
    """Return the tokens per second that a preset or shape will be trained at, and whether that was measured.

    One that was not is worked out from the largest smaller model, since a token's cost grows as the weights do, if that
    has at least a tenth of the weights: smaller ones leave most of a processor idle. Else it is not known.
    """
    if key in speeds:
        return speeds[key].tokens_per_second, True
    smaller = [speed for speed in speeds.values() if speed.parameters <= parameters <= _SIMILAR * speed.parameters]
    if not smaller:
        return None
    nearest = max(smaller, key=lambda speed: speed.parameters)
    return nearest.tokens_per_second * nearest.parameters / parameters, False


def training_seconds(
    speeds: Mapping[str, Speed],
    preset: str,
    model: ModelConfig,
    training: TrainingConfig,
    *,
    step: int = 0,
    threads: int | None = None,
) -> tuple[float, bool] | None:
    """Return how long a training will take from a step on, and whether that was measured; ``None`` if it is not known.

    Args:
        speeds: what ``measured_speeds`` returned.
        preset: the preset's name.
        model: the shape of the model.
        training: its steps and its batch.
        step: the step that it goes on from.
        threads: how many threads of a CPU will compute, where that may differ from what was measured.
    """
    key = speed_key(preset, model)
    speed = expected_speed(speeds, key, model.parameters)
    if speed is None:
        return None
    measured = speeds[key].threads if key in speeds else None
    share = threads / measured if threads and measured else 1.0
    return (training.steps - step) * training.batch_size * model.block_size / (speed[0] * share), speed[1]


def expected_seconds(store: Store, run: Run, step: int = 0) -> tuple[float, bool] | None:
    """Return how long a run will take from a step on, and whether that was measured; ``None`` where it is not known."""
    metadata = run.metadata
    try:
        return training_seconds(measured_speeds(store), metadata.preset, metadata.model, metadata.training, step=step)
    except ShakegptError:
        return None
