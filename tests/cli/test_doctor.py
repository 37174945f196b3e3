"""What ``shakegpt doctor`` says of a device that trains as the CPU does, and of one that does not."""

import json

import pytest
import torch

from shakegpt.system import device
from shakegpt.system.device import DevicePlan
from shakegpt.training import device_check
from shakegpt.training.device_check import StepComparison
from tests.cli.cli_results import Invoke

Answer = StepComparison | RuntimeError


@pytest.fixture
def answer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """A machine with an Apple GPU, whose comparison with the CPU has this result."""
    plan = DevicePlan(device=torch.device("mps"), name="Apple GPU", precision="fp32", reason="it is here", threads=1)
    monkeypatch.setattr(device, "choose_device_plan", lambda: plan)

    def compare(found: torch.device) -> StepComparison:
        assert found.type == "mps"
        if isinstance(request.param, RuntimeError):
            raise request.param
        return request.param

    monkeypatch.setattr(device_check, "compare_with_cpu", compare)
    return request.param


CASES: list[tuple[Answer, bool, str]] = [
    (StepComparison(1e-6, 3e-4, 0.01), True, "is the CPU's within rounding (loss 1.0e-06, gradient 3.0e-04)"),
    (StepComparison(0.3, 0.9, 1.0), False, "A TRAINING STEP DIFFERS FROM THE CPU'S (loss 3.0e-01, gradient 9.0e-01"),
    (StepComparison(float("nan"), 0.9, 1.0), False, "(loss not finite, gradient 9.0e-01"),
    (RuntimeError("CUDA error: no kernel image\nmore"), False, "a training step failed: CUDA error: no kernel image\n"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "agrees", "said"), CASES, indirect=["answer"])
def test_a_gpu_is_compared_with_the_cpu(answer: Answer, agrees: bool, said: str, invoke: Invoke) -> None:
    assert said in invoke("doctor").stdout
    check = json.loads(invoke("doctor", "--json").stdout)["step_check"]
    assert check["agrees"] is agrees
    assert (check["error"] is None) == isinstance(answer, StepComparison)


def test_where_the_cpu_trains_there_is_nothing_to_compare(monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert "check      nothing to compare: the CPU trains\n" in invoke("doctor").stdout
    assert json.loads(invoke("doctor", "--json").stdout)["step_check"] == {"agrees": None, "error": None}
