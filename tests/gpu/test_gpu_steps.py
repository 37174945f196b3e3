"""Training steps on a CUDA GPU, plain and recorded. Run with ``pytest tests/gpu -c tests/gpu/pytest.ini``.

What can be compared on any device is compared on the CPU too, so that the tests themselves are known to work.
"""

import math
from functools import cache

import pytest
import torch
from torch.nn import functional

from shakegpt.benchmark.training_steps import measure_presets
from shakegpt.config import PRESETS, Precision
from shakegpt.data.corpus import cut_windows, draw_starts
from shakegpt.model.gpt import GPT
from shakegpt.system.cuda_devices import describe_gpu
from shakegpt.system.device import choose_device_plan
from shakegpt.system.gpu import gpu_usage
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.gradients import Gradients
from shakegpt.training.optimizer import Optimizer
from shakegpt.training.schedule import learning_rate_at
from shakegpt.training.step import StepProgram
from shakegpt.training.step_runner import StepRunner, TakenStep, make_step_runner

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
on_gpu = pytest.param("cuda", marks=needs_gpu)
pytestmark = pytest.mark.gpu

VOCABULARY = 65


class Training:
    """A small training on characters drawn at random, the same on every device."""

    def __init__(self, device: str, precision: Precision = "fp32", dropout: float = 0.1) -> None:
        self.device = torch.device(device)
        shape = PRESETS["nano"].model_config(VOCABULARY, dropout=dropout)
        self.config = PRESETS["nano"].training_config(steps=40, batch_size=8)
        self.model = GPT(shape, seed=1).to(self.device)
        self.parameters = FlatParameters(self.model)
        self.optimizer = Optimizer(self.parameters, self.config, precision=precision)
        noise = torch.rand(20_000, generator=torch.Generator().manual_seed(3))
        self.ids = (VOCABULARY * noise**4).long().to(self.device)  # some characters are frequent, which can be learned
        gradients = Gradients(self.model, self.parameters, precision=precision)
        self.program = StepProgram(self.ids, self.config, shape.block_size, gradients, self.optimizer)

    def rate(self, step: int) -> float:
        return learning_rate_at(step, self.config)

    def take(self, runner: StepRunner, count: int) -> list[TakenStep]:
        return list(runner.take(range(1, count + 1), self.rate, accumulate=1, go_on=lambda: True))

    def plain(self, count: int) -> list[float]:
        return [taken.result.loss for taken in self.take(StepRunner(self.program), count)]

    def recorded(self, count: int) -> list[float]:
        runner = make_step_runner(self.program, self.device, alone=True)
        losses = [taken.result.loss for taken in self.take(runner, count)]
        assert runner.take_failure() == ""
        assert (runner._replay is not None) == (self.device.type == "cuda")  # a CPU has plain steps only
        return losses


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("device", [on_gpu])  # a CPU records nothing; tests/training has it record with a fake
def test_recorded_steps_equal_plain_ones_with_dropout(device: str, precision: Precision) -> None:
    plain, recorded = Training(device, precision), Training(device, precision)
    losses = plain.plain(20)
    assert losses == recorded.recorded(20)
    assert losses[-1] < losses[0]
    assert torch.equal(plain.parameters.weights, recorded.parameters.weights)
    without = Training(device, precision, dropout=0.0)
    assert without.recorded(20) != losses  # the masks that are equal are there


@cache
def losses_in_double_precision(count: int) -> list[float]:
    """Take the steps on the CPU in fp64, by a loop written with torch's own optimizer and clipping."""
    training = Training("cpu", dropout=0.0)
    config, model = training.config, GPT(training.model.config, seed=1).double()
    decayed = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    adamw = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}],
        betas=(config.beta1, config.beta2),
    )
    losses = []
    for step in range(1, count + 1):
        T = model.config.block_size  # noqa: N806
        starts = draw_starts(len(training.ids), step, seed=config.seed, batch_size=config.batch_size, block_size=T)
        inputs, targets = cut_windows(training.ids, starts, T)  # (B, T) each
        loss = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        adamw.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        for group in adamw.param_groups:
            group["lr"] = training.rate(step)
        adamw.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("device", ["cpu", on_gpu])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 3e-4), ("bf16", 1e-3), ("fp16", 3e-4)])
def test_steps_follow_those_of_a_cpu_in_fp64(device: str, precision: Precision, tolerance: float) -> None:
    """The largest error on a CPU is 1e-7, 1e-5 and 3e-6; a GPU multiplies fp32 in TF32, as coarse as fp16."""
    found = Training(device, precision, dropout=0.0).recorded(10)
    assert found == pytest.approx(losses_in_double_precision(10), rel=tolerance)
    assert found[-1] < 0.95 * found[0]


@pytest.mark.parametrize("device", ["cpu", on_gpu])
def test_fp16_skips_what_overflows_and_goes_on(device: str) -> None:
    training = Training(device, "fp16")
    training.optimizer._set_loss_scale(2.0**40, 0)
    runner = make_step_runner(training.program, training.device, alone=True)
    before = training.parameters.weights.clone()
    results = [taken.result for taken in training.take(runner, 6)]  # the last three are replays
    assert [result.overflowed for result in results] == [True] * 6
    assert [result.loss_scale for result in results] == [2.0**power for power in range(40, 34, -1)]
    assert torch.equal(training.parameters.weights, before)
    training.optimizer._set_loss_scale(2.0**10, 0)
    assert all(taken.result.finite for taken in training.take(runner, 10))
    assert not torch.equal(training.parameters.weights, before)


@pytest.mark.parametrize("device", ["cpu", on_gpu])
def test_a_gradient_that_is_not_finite_leaves_the_weights(device: str) -> None:
    training = Training(device)
    training.parameters.weights[0] = math.nan
    before = training.parameters.weights.clone()
    taken = training.take(make_step_runner(training.program, training.device, alone=True), 6)
    assert len(taken) == 6
    assert not any(step.result.finite for step in taken)
    assert torch.equal(training.parameters.weights.nan_to_num(), before.nan_to_num())


@pytest.mark.parametrize("device", [on_gpu])
def test_the_host_waits_for_nothing_in_a_step(device: str) -> None:
    training = Training(device)
    training.plain(3)  # libraries may wait while they start
    torch.cuda.set_sync_debug_mode("error")
    try:
        training.program.load(4, 5, training.rate)
        for step in range(4, 9):
            training.program.begin(step)
            training.program.step()
        ledger = training.program.copy_ledger(5)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(result.finite for result in ledger.wait())


@pytest.mark.parametrize("device", [on_gpu])
def test_no_memory_is_added_once_a_step_is_recorded(device: str) -> None:
    training = Training(device)
    runner = make_step_runner(training.program, training.device, alone=True)
    training.take(runner, 10)
    held = torch.cuda.memory_allocated()
    training.take(runner, 40)
    assert torch.cuda.memory_allocated() <= held


@needs_gpu
def test_the_bench_says_what_launching_kernels_costs() -> None:
    plan = choose_device_plan("cuda", "fp32")
    found = measure_presets(plan, ("nano",), VOCABULARY, rounds=1, seconds=0.1)["nano"]
    assert found["tokens_per_second"] > found["plain_tokens_per_second"] > 0
    assert 0 < found["launch_bound_share"] < 1
    assert found["gpu_peak_bytes"] > 4 * 4 * found["parameters"]  # weights, gradient and two moments


@needs_gpu
def test_the_load_is_known_without_nvidia_smi(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pynvml", reason="the driver's bindings are missing: pip install 'shakegpt[gpu]'")
    monkeypatch.setenv("PATH", "")
    usage = gpu_usage(describe_gpu(torch.cuda.current_device()).uuid)
    assert usage is not None
    assert 0 < usage.used_bytes <= usage.total_bytes
