"""How much work gets done in a second, measured in rounds.

Every workload has a turn in each round, so that whatever else the machine does affects all of them alike.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch

Work = Callable[[], float]
"""Does some work and returns how many units that was: characters, floating-point operations or bytes."""
Turn = Callable[[float], float]
"""Works for at least the given seconds and returns the units per second."""
Report = Callable[[str], None]
"""Called with a few words about what has been measured."""


_MOST_CALLS = 64


@dataclass(frozen=True)
class Rates:
    """Units per second in each round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return median(self.rounds)

    def over(self, other: "Rates") -> float:
        """Return the median ratio to another workload's rates in the same rounds."""
        return median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))

    def spread(self) -> list[float]:
        """Return the lowest and the highest rate."""
        return [round(min(self.rounds), 1), round(max(self.rounds), 1)]


def measure_rate(work: Work, seconds: float, device: torch.device) -> float:
    """Return the units of work per second, after one call to warm up.

    A GPU is waited for after 1, 2, 4 … calls, so that it need not wait for the host in between.

    Args:
        work: called repeatedly, at least once.
        seconds: the shortest duration of the measured calls together.
        device: where the work is done, to synchronize with.
    """
    work()  # caches are cold after the turns of other workloads
    _synchronize(device)
    units, elapsed, calls, start = 0.0, 0.0, 1, time.perf_counter()
    while not units or elapsed < seconds:
        units += sum(work() for _ in range(calls))
        _synchronize(device)
        calls = 1 if device.type == "cpu" else min(2 * calls, _MOST_CALLS)
        elapsed = time.perf_counter() - start
    return units / elapsed


def take_turns(turns: Mapping[str, Turn], rounds: int, seconds: float, report: Report) -> dict[str, Rates]:
    """Give each workload a turn in every round, after one round to warm up that does not count."""
    measured: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name, turn in turns.items():
            rate = turn(seconds)
            if number:
                measured[name].append(rate)
        report(f"round {number} of {rounds}" if number else "a round to warm up")
    return {name: Rates(tuple(rates)) for name, rates in measured.items()}


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
