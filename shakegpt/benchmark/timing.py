"""How much a task does in a second, measured in turn with others.

Each round gives every task its moment, so that whatever else the machine does meets all of them alike.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import torch

Task = Callable[[], float]
"""Does some work and returns how many units it was: characters, floating-point operations or bytes."""
Turn = Callable[[float], float]
"""Lets a task work for at least so many seconds and returns how many units it did in one."""
Tell = Callable[[str], None]
"""Is told in a few words what has been measured."""


@dataclass(frozen=True)
class Rates:
    """What a task did in a second, round by round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return median(self.rounds)

    def over(self, other: "Rates") -> float:
        """Return the median ratio to another task, each round with its own."""
        return median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))

    def spread(self) -> list[float]:
        """Return the lowest and the highest."""
        return [round(min(self.rounds), 1), round(max(self.rounds), 1)]


def measure_rate(task: Task, seconds: float, device: torch.device) -> float:
    """Return how many units a task does in a second, after one call that is not measured.

    Args:
        task: called again and again, at least once.
        seconds: the least that the measured calls take together.
        device: where the task computes; its work is waited for.
    """
    task()  # the caches forget much while other tasks have their turns
    _wait(device)
    units, elapsed, began = 0.0, 0.0, time.perf_counter()
    while not units or elapsed < seconds:
        units += task()
        _wait(device)
        elapsed = time.perf_counter() - began
    return units / elapsed


def take_turns(turns: Mapping[str, Turn], rounds: int, seconds: float, tell: Tell) -> dict[str, Rates]:
    """Give every task its turn in every round, after a round that warms up and does not count.

    Args:
        turns: the tasks by name.
        rounds: how many count.
        seconds: the least that a turn takes.
        tell: called after each round.
    """
    measured: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name, turn in turns.items():
            rate = turn(seconds)
            if number:
                measured[name].append(rate)
        tell(f"round {number} of {rounds}" if number else "a round to warm up")
    return {name: Rates(tuple(rates)) for name, rates in measured.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
