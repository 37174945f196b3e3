"""A device that computes wrongly is found by one training step; the CPU stands in for it."""

import math

import pytest
import torch

from shakegpt.training import device_check
from shakegpt.training.device_check import CheckedStep, compare_with_cpu, take_checked_step

GPU = torch.device("mps")


def test_the_cpu_agrees_with_itself_to_the_bit() -> None:
    comparison = compare_with_cpu(torch.device("cpu"))
    assert comparison.agrees
    assert comparison.loss_difference == comparison.gradient_difference == comparison.update_difference == 0


@pytest.mark.parametrize(("noise", "agrees"), [(1e-3, True), (0.1, False)])
def test_rounding_is_told_from_wrong_gradients(monkeypatch: pytest.MonkeyPatch, noise: float, *, agrees: bool) -> None:
    """Noise of a thousandth is about what TF32 brings."""

    def take(device: torch.device) -> CheckedStep:
        step = take_checked_step(torch.device("cpu"))
        if device == GPU:
            step.gradient.add_(noise * step.gradient.norm() * _unit_noise(len(step.gradient)))
        return step

    monkeypatch.setattr(device_check, "take_checked_step", take)
    comparison = compare_with_cpu(GPU)
    assert comparison.gradient_difference == pytest.approx(noise, rel=0.1)
    assert comparison.agrees == agrees


def _unit_noise(length: int) -> torch.Tensor:
    noise = torch.randn(length, generator=torch.Generator().manual_seed(0))
    return noise / noise.norm()


def test_weights_that_do_not_move_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(device: torch.device) -> CheckedStep:
        with monkeypatch.context() as patch:
            if device == GPU:
                patch.setattr(torch, "_fused_adamw_", lambda *_, **__: None)
            return take_checked_step(torch.device("cpu"))

    monkeypatch.setattr(device_check, "take_checked_step", take)
    comparison = compare_with_cpu(GPU)
    assert comparison.gradient_difference == 0
    assert comparison.update_difference == 1
    assert not comparison.agrees


def test_a_number_that_is_not_finite_never_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    good = take_checked_step(torch.device("cpu"))
    steps = {"cpu": good, "mps": CheckedStep(math.nan, good.gradient, good.update)}
    monkeypatch.setattr(device_check, "take_checked_step", lambda device: steps[device.type])
    assert not compare_with_cpu(GPU).agrees
