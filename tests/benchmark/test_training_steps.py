"""The steps that the bench measures: they are a training's, and every figure of a preset is there."""

import pytest
import torch

from shakegpt.benchmark import training_steps
from shakegpt.benchmark.training_steps import TrainingSteps, measure_presets
from shakegpt.system.device import choose_device_plan

CPU = choose_device_plan("cpu", "fp32")


@pytest.mark.parametrize("plainly", [False, True])
def test_a_piece_of_work_is_a_step_on_a_cpu_and_counts_its_characters(plainly: bool) -> None:
    steps = TrainingSteps(CPU, "nano", 65)
    before = steps.model.token_embedding.weight.detach().clone()
    assert (steps.train_plainly() if plainly else steps.train()) == 16 * 64
    assert not torch.equal(steps.model.token_embedding.weight, before)


def test_on_a_cpu_a_preset_has_a_speed_and_no_launches_to_wait_for() -> None:
    found = measure_presets(CPU, ("nano",), 65, rounds=1, seconds=0.0)
    assert list(found) == ["nano"]
    assert set(found["nano"]) == {"parameters", "tokens_per_second", "spread", "step_seconds"}
    assert found["nano"]["step_seconds"] == pytest.approx(16 * 64 / found["nano"]["tokens_per_second"], rel=1e-3)


def test_a_preset_that_memory_does_not_suffice_for_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(_: object, preset: str, *__: object) -> dict[str, object]:
        if preset == "gpt2":
            raise torch.OutOfMemoryError("CUDA out of memory")
        if preset == "baby":
            raise RuntimeError("no kernel image")
        return {"parameters": 1}

    said: list[str] = []
    monkeypatch.setattr(training_steps, "_measure_preset", measure)
    found = measure_presets(CPU, ("gpt2", "mini"), 65, rounds=1, seconds=0.0, report=said.append)
    assert found == {"mini": {"parameters": 1}}
    assert said == ["gpt2, which takes more memory than there is"]
    with pytest.raises(RuntimeError, match="no kernel image"):
        measure_presets(CPU, ("baby",), 65, rounds=1, seconds=0.0)
