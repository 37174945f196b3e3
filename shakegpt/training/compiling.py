"""torch.compile for training on a GPU: where it pays within the run, and for as long as it works.

Compiled, a pass through the model is a few dozen kernels instead of hundreds, which a GPU waits less for. On a CPU it
was measured and dropped: 15 to 28 s of compiling for little. Torch's compiler is imported when something is compiled,
and not before: that takes a second and 63 MB. Untested on a GPU.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])
Result = TypeVar("Result")

STEPS_TO_PAY = 5_000
"""Steps from which compiling is expected to pay.

A rule of thumb, not a measurement: compiling the default preset took up to 28 s where it was tried, which over so many
steps is 6 ms a step, about what launching fewer kernels saves on a GPU. A larger model takes longer to compile and
saves more in each step, so the rule asks for steps alone.
"""
_LONGEST_CAUSE = 160


class Compiler:
    """Compiles functions where that pays, until it fails for the first time; from then on, all runs as it is written.

    Args:
        device: where the functions compute.
        steps: how many optimizer steps are left.
    """

    def __init__(self, device: torch.device, steps: int) -> None:
        self.steps = steps
        """As given."""
        self._failure = ""
        self._compiled: dict[Callable[..., Any], Callable[..., Any]] = {}
        self._on = device.type == "cuda" and steps >= STEPS_TO_PAY
        self.reason = ""
        """Why it compiles or not, in a few words; empty where the question does not arise."""
        if device.type == "cuda":
            self.reason = f"compiled for {steps:,} steps" if self._on else f"too few steps to compile for ({steps:,})"

    def run(self, work: Callable[[Function], Result], function: Function) -> Result:
        """Return ``work(function)``, with the function compiled where that pays and works.

        Whatever fails, at whatever step and in whichever direction, is done again uncompiled; if that fails too, it
        raises its own error. ``work`` must therefore change nothing before it is sure to succeed.

        Raises:
            torch.OutOfMemoryError: at once: that is not the compiler's fault.
        """
        if self._on:
            try:
                return work(self._compile(function))
            except torch.OutOfMemoryError:
                raise
            except Exception as error:
                self._on = False
                self._failure = f"torch.compile failed ({_cause(error)}); training goes on uncompiled."
        return work(function)

    def _compile(self, function: Function) -> Function:
        if function not in self._compiled:
            self._compiled[function] = torch.compile(function)
        return self._compiled[function]  # type: ignore[return-value]

    def take_failure(self) -> str:
        """Return, once, a sentence about what failed; empty where nothing did."""
        failure, self._failure = self._failure, ""
        return failure


def _cause(error: Exception) -> str:
    """Return an error's type and the first line of what it says."""
    told = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {told}"[:_LONGEST_CAUSE].rstrip(" .:")
