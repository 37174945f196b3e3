"""Compiling pays from some length on, and where it fails, training goes on as if it had never been tried."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch

from shakegpt.config import ModelConfig
from shakegpt.events import Event, Step, Warning
from shakegpt.model.dropout import DeviceDropoutMasks
from shakegpt.model.gpt import GPT
from shakegpt.training import compiling
from shakegpt.training.compiling import STEPS_TO_PAY, Compiler
from shakegpt.training.gradients import summed_loss

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
Double = Callable[[float], float]


def double(x: float) -> float:
    return 2 * x


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Double]:
    """What was compiled, by a compiler whose functions say three times instead of twice."""
    seen: list[Double] = []

    def fake(function: Double) -> Double:
        seen.append(function)
        return lambda x: 3 * x

    monkeypatch.setattr(torch, "compile", fake)
    return seen


def refuse(function: object) -> object:
    raise RuntimeError("\n  no compiler here.\nlong story")


@pytest.mark.parametrize(
    ("device", "steps", "result", "reason"),
    [
        (CUDA, STEPS_TO_PAY, 6, "compiled for 5,000 steps"),
        (CUDA, STEPS_TO_PAY - 1, 4, "too few steps to compile for (4,999)"),
        (CPU, 10 * STEPS_TO_PAY, 4, ""),
    ],
)
def test_what_pays_is_compiled_and_the_reason_told(
    compiled: list[Double], device: torch.device, steps: int, result: float, reason: str
) -> None:
    compiler = Compiler(device, steps)
    assert [compiler.run(lambda function: function(2), double) for _ in range(3)] == [result] * 3
    assert compiled == [double] * (result == 6)  # once, however often it runs
    assert (compiler.reason, compiler.take_failure()) == (reason, "")


def test_a_compiler_that_fails_is_told_of_once_and_never_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", refuse)
    compiler = Compiler(CUDA, STEPS_TO_PAY)
    assert compiler.run(lambda function: function(2), double) == 4
    assert compiler.take_failure() == (
        "torch.compile failed (RuntimeError: no compiler here); training goes on uncompiled."
    )
    monkeypatch.undo()
    assert compiler.run(lambda function: function(2), double) == 4
    assert compiler.take_failure() == ""


def test_work_that_fails_with_the_compiled_function_is_done_again_without(compiled: list[Double]) -> None:
    """As where the backward pass, which is compiled when it is first wanted, is what fails."""

    def work(function: Double) -> float:
        if function is not double:
            raise ValueError
        return function(2)

    compiler = Compiler(CUDA, STEPS_TO_PAY)
    assert compiler.run(work, double) == 4
    assert compiler.take_failure() == "torch.compile failed (ValueError); training goes on uncompiled."


def test_full_memory_is_not_the_compilers_fault(compiled: list[Double]) -> None:
    def work(function: Double) -> float:
        raise torch.OutOfMemoryError("full")

    compiler = Compiler(CUDA, STEPS_TO_PAY)
    with pytest.raises(torch.OutOfMemoryError):
        compiler.run(work, double)
    assert compiler.take_failure() == ""
    assert compiler.run(lambda function: function(2), double) == 6


@pytest.mark.parametrize("failing", [1, 4])
def test_training_goes_on_uncompiled_from_whatever_step(
    train_nano: Callable[..., tuple[object, list[Event]]], monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """One warning, and the losses of a run that never compiled."""

    def losses(events: list[Event]) -> list[float]:
        return [event.loss for event in events if isinstance(event, Step)]

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # one pass a step
    _, plain = train_nano(dropout=0.2)
    monkeypatch.setattr(compiling, "STEPS_TO_PAY", 1)
    monkeypatch.setattr("shakegpt.training.trainer.Compiler", lambda device, steps: Compiler(CUDA, steps))
    passes = 0

    def fail_at_last(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def run(*arguments: object) -> torch.Tensor:
            nonlocal passes
            passes += 1
            if passes == failing:
                raise RuntimeError("cut off")
            return function(*arguments)

        return run

    monkeypatch.setattr(torch, "compile", fail_at_last)
    _, events = train_nano(dropout=0.2)
    assert losses(events) == losses(plain)
    (warning,) = (event for event in events if isinstance(event, Warning))
    assert (warning.kind, warning.step, passes) == ("compile", failing, failing)
    assert "uncompiled" in warning.message
    assert events[0].reason.endswith("; compiled for 5 steps")  # type: ignore[attr-defined]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_training_pass_of_a_gpu_is_one_graph(
    tiny_config: ModelConfig, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    """The path of GPUs, traced on torch's device without memory: no break, and nothing compiled anew at each step."""
    model = GPT(ModelConfig(**{**tiny_config.__dict__, "dropout": 0.1})).to("meta")
    for block in model.blocks:
        for layer in (block.attention.query_key_value, block.attention.projection):
            layer.to(dtype)
        block.mlp.to(dtype)
    graphs = 0

    def count(graph: Callable[..., object], inputs: object) -> Callable[..., object]:
        nonlocal graphs
        graphs += 1
        return graph

    torch.compiler.reset()
    forward = torch.compile(summed_loss, backend=count, fullgraph=True)
    ids = torch.zeros(3, 9, dtype=torch.int64, device="meta")
    for step in (1, 2):
        with monkeypatch.context() as patch:
            patch.setattr(torch, "get_device_module", lambda device: torch)  # that device has no generator
            noise = DeviceDropoutMasks(7, step, range(3), torch.device("meta"))
        loss = forward(model, ids[:, :-1], ids[:, 1:], noise)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        assert [gradient.shape for gradient in gradients] == [parameter.shape for parameter in model.parameters()]
    assert graphs == 1


def test_training_on_a_cpu_never_imports_the_compiler() -> None:
    code = (
        "import sys; from shakegpt.cli import main; sys.argv[1:] = '"
        "train --preset nano --corpus demo --steps 2 --device cpu --dropout 0.1'.split()\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
