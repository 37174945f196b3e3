"""Whether a GPU trains as the CPU does: one step on each, from the same weights and on the same batch.

Wrong results without an error are on record, for Apple GPUs above all (pytorch issues 109457 and 118115).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from shakegpt.config import PRESETS
from shakegpt.model.gpt import GPT
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.gradients import Gradients
from shakegpt.training.optimizer import Optimizer
from shakegpt.training.step import StepProgram

LARGEST_LOSS_DIFFERENCE = 0.005
LARGEST_GRADIENT_DIFFERENCE = 0.02
"""Relative, as is the other; TF32 differs by about a thousandth."""
LARGEST_UPDATE_DIFFERENCE = 0.3
"""The first step of AdamW moves each weight by the sign of its gradient, and rounding turns the smallest of them."""
_VOCAB_SIZE = 65
_CHARACTERS = 4_096
_RATE = 1e-3


@dataclass(frozen=True)
class StepComparison:
    """How far a device's step is from the CPU's; every difference is relative to the CPU's value, or vector's norm."""

    loss_difference: float
    gradient_difference: float
    update_difference: float
    """Of the change of the weights."""

    @property
    def agrees(self) -> bool:
        """Whether rounding can explain the differences."""
        return (  # false for NaN
            self.loss_difference <= LARGEST_LOSS_DIFFERENCE
            and self.gradient_difference <= LARGEST_GRADIENT_DIFFERENCE
            and self.update_difference <= LARGEST_UPDATE_DIFFERENCE
        )


@dataclass(frozen=True)
class CheckedStep:
    """One step: its loss, and the gradient and the change of all weights as vectors on the CPU."""

    loss: float
    gradient: Tensor
    update: Tensor


def compare_with_cpu(device: torch.device) -> StepComparison:
    """Return how one fp32 step of the preset ``nano``, without dropout, differs from the CPU's.

    Raises:
        RuntimeError: as torch does where the device cannot compute.
    """
    expected, found = take_checked_step(torch.device("cpu")), take_checked_step(device)
    return StepComparison(
        abs(found.loss - expected.loss) / expected.loss,
        _distance(found.gradient, expected.gradient),
        _distance(found.update, expected.update),
    )


def take_checked_step(device: torch.device) -> CheckedStep:
    """Take the step on a device."""
    config = PRESETS["nano"].training_config(seed=1)
    shape = PRESETS["nano"].model_config(_VOCAB_SIZE, dropout=0.0)
    model = GPT(shape, seed=1).to(device)
    parameters = FlatParameters(model)
    gradients = Gradients(model, parameters, precision="fp32")
    ids = torch.randint(_VOCAB_SIZE, (_CHARACTERS,), generator=torch.Generator().manual_seed(1)).to(device)
    program = StepProgram(ids, config, shape.block_size, gradients, Optimizer(parameters, config, precision="fp32"))
    before = parameters.weights.to("cpu", copy=True)
    program.load(1, 1, lambda _: _RATE)
    program.begin(1)
    program.step()
    [result] = program.read(1)
    return CheckedStep(result.loss, parameters.gradient.cpu(), parameters.weights.cpu() - before)


def _distance(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())
