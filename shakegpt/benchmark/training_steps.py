"""The training's optimizer steps alone, on whatever device: their speed, and on a GPU what launching them costs."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from shakegpt.benchmark.timing import Report, measure_rate, take_turns
from shakegpt.config import PRESETS
from shakegpt.model.gpt import GPT
from shakegpt.system.device import DevicePlan
from shakegpt.system.threads import ThreadPool, torch_threads
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.gradients import Gradients
from shakegpt.training.optimizer import Optimizer
from shakegpt.training.recovery import is_out_of_memory
from shakegpt.training.step import LONGEST_CHUNK, StepProgram
from shakegpt.training.step_runner import StepRunner, make_step_runner

_SECONDS_ON_GPU = 0.2
"""For which steps are begun together, so that the GPU need not wait for the host."""


class TrainingSteps:
    """A preset's training on characters drawn at random, as the trainer does it.

    Args:
        device_plan: where to compute, and in which precision.
        preset: of the model and the batch.
        vocab_size: characters.
    """

    def __init__(self, device_plan: DevicePlan, preset: str, vocab_size: int) -> None:
        self.config = PRESETS[preset].model_config(vocab_size)
        self.training = PRESETS[preset].training_config()
        self.model = GPT(self.config, seed=0).to(device_plan.device)
        parameters, pool = FlatParameters(self.model), ThreadPool(device_plan.threads)
        generator = torch.Generator().manual_seed(0)
        self.ids = torch.randint(vocab_size, (100_000,), generator=generator).to(device_plan.device)
        program = StepProgram(
            self.ids,
            replace(self.training, seed=0),
            self.config.block_size,
            Gradients(self.model, parameters, precision=device_plan.precision, pool=pool),
            Optimizer(parameters, self.training, precision=device_plan.precision),
        )
        on_cpu = device_plan.device.type == "cpu"
        self._runner = make_step_runner(program, device_plan.device, alone=True)
        self._plain_runner = StepRunner(program, in_chunks=not on_cpu)
        self._seconds = 0.0 if on_cpu else _SECONDS_ON_GPU
        self._step = 0

    def train(self) -> float:
        """Take optimizer steps, one on a CPU and many on a GPU; in characters."""
        return self._train(self._runner)

    def train_plainly(self) -> float:
        """Do the same without a recorded step; in characters."""
        return self._train(self._plain_runner)

    def is_recorded(self) -> bool:
        """Return whether ``train`` has not failed to record the step; to be asked once."""
        return not self._runner.take_failure()

    def _train(self, runner: StepRunner) -> float:
        rate, end = self.training.learning_rate, time.perf_counter() + self._seconds
        steps = range(self._step + 1, self._step + 1 + LONGEST_CHUNK)
        taken = runner.take(
            steps, lambda _: rate, accumulate=self.training.accumulate, go_on=lambda: time.perf_counter() < end
        )
        with torch_threads(1):
            count = sum(1 for _ in taken)
        self._step += count
        return count * self.training.batch_size * self.config.block_size


def measure_presets(
    device_plan: DevicePlan,
    presets: tuple[str, ...],
    vocab_size: int,
    *,
    rounds: int,
    seconds: float,
    report: Report = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Return the speed of each preset's training, and on a CUDA GPU its launch-bound share and its memory.

    The launch-bound share is the part of a step's time in which a GPU that is given one kernel after another waits for
    the host to launch the next. It is what the recorded step, which the host launches as one, saves of the plain one's
    time, as in NVIDIA's and PyTorch's own accounts of CUDA graphs (https://pytorch.org/blog/accelerating-pytorch-with-cuda-graphs).
    Training itself takes the recorded step. Where it cannot be recorded, the share is ``None``.

    A preset that the device has too little memory for is left out.
    """
    results = {}
    for preset in presets:
        try:
            results[preset] = _measure_preset(device_plan, preset, vocab_size, rounds, seconds, report)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            report(f"{preset}, which takes more memory than there is")
    return results


def _measure_preset(
    device_plan: DevicePlan, preset: str, vocab_size: int, rounds: int, seconds: float, report: Report
) -> dict[str, Any]:
    device, on_cuda = device_plan.device, device_plan.device.type == "cuda"
    with _peak_memory(device) as peak:
        steps = TrainingSteps(device_plan, preset, vocab_size)
        measure_rate(steps.train, 0.0, device)
    works = {"recorded": steps.train, "plain": steps.train_plainly} if on_cuda else {"recorded": steps.train}
    turns = {name: partial(measure_rate, work, device=device) for name, work in works.items()}
    rates = take_turns(turns, rounds, seconds, lambda part: report(f"{preset}, {part}"))
    recorded = rates["recorded"]
    result: dict[str, Any] = {
        "parameters": steps.config.parameters,
        "tokens_per_second": round(recorded.median, 1),
        "spread": recorded.spread(),
        "step_seconds": round(steps.training.batch_size * steps.config.block_size / recorded.median, 6),
    }
    if on_cuda:
        result["plain_tokens_per_second"] = round(rates["plain"].median, 1)
        share = round(max(0.0, 1 - rates["plain"].over(recorded)), 4)
        result["launch_bound_share"] = share if steps.is_recorded() else None
        result["gpu_peak_bytes"] = peak[0]
    return result


@contextmanager
def _peak_memory(device: torch.device) -> Iterator[list[int]]:
    """Yield a list that has afterwards the most bytes of a CUDA GPU that tensors took in the block beyond before."""
    found: list[int] = []
    if device.type != "cuda":
        yield found
        return
    gc.collect()
    torch.cuda.empty_cache()  # of the recorded step of the preset before
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    yield found
    found.append(torch.cuda.max_memory_allocated(device) - before)
