"""The learning-rate range test: one short training whose rate rises from far too low to far too high.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks" (arXiv:1506.01186). The rate rises exponentially, as
only its order of magnitude matters. Nothing is written.
"""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shakegpt.errors import ShakegptError
from shakegpt.system.threads import ThreadPool, torch_threads
from shakegpt.training.gradients import Gradients
from shakegpt.training.setup import PreparedTraining
from shakegpt.training.state import TrainingState
from shakegpt.training.step import StepProgram

LOWEST, HIGHEST = 1e-5, 1.0
MOST_STEPS, LEAST_STEPS = 200, 60
SECONDS = 45.0
"""How long a test takes at most, unless sixty steps take longer."""
_TIMED_STEPS = 4
"""How often the time is looked at that the rest will take."""
_DECAY = 0.9
"""Of the running mean that tells while the test runs whether it has diverged."""
_SMOOTHING_DECADES, _SMOOTHING_POINTS = 0.1, 2.5
"""Standard deviation of the bell that smooths the finished curve, along the logarithm of the rate; at least so wide."""
_BOTTOM = 1.02
"""Times the lowest loss: the bottom of the curve is below it."""
_FALLEN = 0.1
"""Share of the whole fall of the loss that shows that it falls."""
_LEAST_POINTS = 20
_SAFE = 0.01
"""Times the rate at which the loss diverges: the highest suggestion."""


@dataclass(frozen=True)
class RangePoint:
    """One step of a range test."""

    learning_rate: float
    loss: float
    """Of the step's batch, before the step; nats per character."""


class RangeTest:
    """A range test to iterate over: each step is a point. It ends where the loss diverges, or at the highest rate.

    Args:
        prepared: the training to find a rate for.
        lowest: the rate of the first step.
        highest: the rate of the last step, unless the test ends before.
        seconds: how long the test may take.
    """

    def __init__(
        self, prepared: PreparedTraining, *, lowest: float = LOWEST, highest: float = HIGHEST, seconds: float = SECONDS
    ) -> None:
        self._prepared, self._lowest, self._highest, self._seconds = prepared, lowest, highest, seconds
        self._stop = threading.Event()
        self.steps = MOST_STEPS
        """How many steps the whole range takes; fewer where a step takes long."""

    def stop(self) -> None:
        """End after the current step; from any thread."""
        self._stop.set()

    def __iter__(self) -> Iterator[RangePoint]:
        prepared = self._prepared
        config, plan = prepared.config, prepared.device_plan
        state = TrainingState(config, prepared.model_config, plan, prepared.initial_weights)
        pool = ThreadPool(plan.threads)
        gradients = Gradients(state.model, state.parameters, precision=plan.precision, pool=pool)
        ids = prepared.corpus.train.to(plan.device)
        program = StepProgram(ids, config, prepared.model_config.block_size, gradients, state.optimizer)
        mean = weight = 0.0
        lowest_mean, first_loss = math.inf, math.nan
        began = time.perf_counter()
        step, rate = 0, self._lowest
        while step < self.steps and not self._stop.is_set():
            if step > 0:  # the rest of the range is spread over the rest of the steps
                rate *= (self._highest / rate) ** (1 / (self.steps - step))
            step += 1
            with torch_threads(1):
                program.load(step, 1, lambda _, rate=rate: rate)  # type: ignore[misc]
                program.begin(step)
                program.step()
                nats = program.read(1)[0].loss
            if math.isnan(first_loss):
                first_loss = nats
            if not math.isfinite(nats):
                return
            yield RangePoint(rate, nats)
            mean, weight = _DECAY * mean + (1 - _DECAY) * nats, _DECAY * weight + (1 - _DECAY)
            lowest_mean = min(lowest_mean, mean / weight)
            if mean / weight > max(first_loss, 2 * lowest_mean):
                return
            if step % _TIMED_STEPS == 0 and step < self.steps:  # other programs may slow the steps down
                affordable = int(self._seconds * step / (time.perf_counter() - began))
                self.steps = max(step + 1, LEAST_STEPS, min(MOST_STEPS, affordable))


@dataclass(frozen=True, kw_only=True)
class RangeResult:
    """What a range test says; rates are those of its points."""

    points: list[RangePoint]
    smoothed: list[float]
    """The loss at each point, smoothed."""
    falls_at: float
    """Where the loss has begun to fall."""
    steepest: float
    """Where it falls fastest."""
    bottom: float
    """Where it first comes within 2 % of its lowest."""
    lowest: float
    """Where it is lowest, which at the bottom is a matter of chance."""
    rises_at: float
    """The last rate of the bottom, which begins at ``bottom``."""
    diverges_at: float | None
    """Where the loss is back where it began; ``None`` where it never is."""
    suggestion: float
    reason: str
    short_reason: str
    """The same in one line of a screen, to follow the suggestion."""


def read_range_test(points: Sequence[RangePoint]) -> RangeResult:
    """Return what the points of a range test say, with a rate to train at.

    The usual rules, the steepest point or a tenth of the lowest, are for SGD. The steps of AdamW hardly depend on the
    gradient: the loss falls fastest at rates that only teach it which characters are frequent, far below good ones. The
    middle of the bottom is good, and depends less on the seed and on the number of steps than the lowest point does.
    But so short a test also likes rates too high for a long training: `nano` is lowest at 1e-2, and after 500 steps on
    Tiny Shakespeare it was 0.1 worse with that than with 3e-3. Hence the limit below the rate that diverges. That is
    where nothing learned is left: where a part of it is lost depends on the number of steps, by ten for `mini`.

    Raises:
        ShakegptError: the loss never fell, or the test was too short to tell.
    """
    if len(points) < _LEAST_POINTS:
        raise ShakegptError(
            f"The loss diverged after {len(points)} steps, so the test says nothing; begin at a lower rate, with --low."
        )
    logs = [math.log10(point.learning_rate) for point in points]
    smoothed = _smooth(logs, [point.loss for point in points])
    lowest = min(range(len(points)), key=smoothed.__getitem__)
    start, fall = smoothed[0], smoothed[0] - smoothed[lowest]
    falling = [index for index in range(lowest + 1) if smoothed[index] < start - _FALLEN * fall]
    if lowest < 2 or not falling:
        raise ShakegptError("The loss never fell in this test, so it says nothing; try another range of rates.")
    slopes = [
        (smoothed[index + 1] - smoothed[index - 1]) / (logs[index + 1] - logs[index - 1]) for index in range(1, lowest)
    ]
    steepest = 1 + min(range(len(slopes)), key=slopes.__getitem__)
    lost = (index for index in range(lowest, len(points)) if smoothed[index] > start)
    diverges = next(lost, None)
    highest = _BOTTOM * smoothed[lowest]
    bottom = next(index for index in range(len(points)) if smoothed[index] <= highest)
    after = (index - 1 for index in range(lowest, len(points)) if smoothed[index] > highest)
    rises = next(after, len(points) - 1)
    diverges_at = None if diverges is None else points[diverges].learning_rate
    middle = 10 ** ((logs[bottom] + logs[rises]) / 2)
    if diverges_at is not None and middle > _SAFE * diverges_at:
        suggestion = _round(_SAFE * diverges_at)
        reason = (
            "it is a hundredth of the rate at which the loss diverges; higher rates do better only in so short a test"
        )
        short_reason = f"a hundredth of {_short(diverges_at)}, where the loss diverges"
    else:
        suggestion = _round(middle)
        reason = (
            f"it is the middle of the bottom, from {points[bottom].learning_rate:.1e} to "
            f"{points[rises].learning_rate:.1e}, where the loss is within 2 % of its lowest: less learns more slowly, "
            "more is nearer to diverging"
        )
        first, last = (_short(points[index].learning_rate) for index in (bottom, rises))
        short_reason = f"the middle of {first} to {last}, the bottom of the curve"
    return RangeResult(
        points=list(points),
        smoothed=smoothed,
        falls_at=points[falling[0]].learning_rate,
        steepest=points[steepest].learning_rate,
        bottom=points[bottom].learning_rate,
        lowest=points[lowest].learning_rate,
        rises_at=points[rises].learning_rate,
        diverges_at=diverges_at,
        suggestion=suggestion,
        reason=reason,
        short_reason=short_reason,
    )


def _round(rate: float) -> float:
    """Return the nearest of 1, 1.5, 2, 3, 5 and 7 times a power of ten."""
    exponent, fraction = divmod(math.log10(rate), 1)
    digit = min((1, 1.5, 2, 3, 5, 7, 10), key=lambda digit: abs(math.log10(digit) - fraction))
    return float(f"{digit * 10**exponent:.1e}")


def _short(rate: float) -> str:
    return f"{rate:.1e}".replace("e-0", "e-")


def _smooth(logs: Sequence[float], losses: Sequence[float]) -> list[float]:
    """Return the losses averaged with a bell around each, which does not shift the curve as a running mean would."""
    smoothed = []
    width = max(_SMOOTHING_DECADES, _SMOOTHING_POINTS * (logs[-1] - logs[0]) / len(logs))
    for centre in logs:
        weights = [math.exp(-(((log - centre) / width) ** 2) / 2) for log in logs]
        smoothed.append(sum(weight * loss for weight, loss in zip(weights, losses, strict=True)) / sum(weights))
    return smoothed
