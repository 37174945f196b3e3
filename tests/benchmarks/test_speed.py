"""The engine's speed, piece by piece, for whoever changes it: ``pytest tests/benchmarks --benchmark-only``.

Nothing here asserts a time. ``shakegpt bench`` measures the whole, beside the machine's limits.
"""

from typing import Any

import numpy as np
import pytest

from shakegpt.benchmark.benchmark import Workloads
from shakegpt.config import Precision, SamplingConfig
from shakegpt.generation.decoder import Decoder
from shakegpt.generation.filters import apply_filters
from shakegpt.system.device import DevicePlan, choose_device_plan

TASKS = [
    "train",
    "generate",
    "generate_uncached",
    "generate_samples",
    "generate_samples_past_window",
    "multiply",
    "copy",
]


@pytest.fixture(scope="module")
def device_plan() -> DevicePlan:
    return choose_device_plan("cpu")


@pytest.fixture(scope="module")
def workloads(device_plan: DevicePlan) -> Workloads:
    return Workloads(device_plan, "mini")


@pytest.mark.parametrize("task", TASKS)
def test_a_task_of_the_bench(benchmark: Any, workloads: Workloads, task: str) -> None:
    benchmark.extra_info["units"] = benchmark(getattr(workloads, task))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_of_training(benchmark: Any, precision: Precision) -> None:
    benchmark(Workloads(choose_device_plan("cpu", precision), "mini").train)


@pytest.mark.parametrize("forward", ["kernel", "plain"])
@pytest.mark.parametrize("streams", [1, 16, 32])
def test_one_token(benchmark: Any, workloads: Workloads, streams: int, forward: str) -> None:
    decoder = Decoder(workloads.language_model.model, streams)
    if forward == "plain":
        decoder._kernel = None
    half = workloads.config.block_size // 2
    decoder.read(np.zeros((streams, half), np.int64))
    ids = np.zeros((streams, 1), np.int64)
    benchmark.pedantic(decoder.read, args=(ids,), rounds=half, warmup_rounds=0)


@pytest.mark.parametrize(
    "settings",
    [SamplingConfig(), SamplingConfig(top_k=20), SamplingConfig(top_p=0.9), SamplingConfig(min_p=0.05)],
    ids=["temperature", "top-k", "top-p", "min-p"],
)
def test_the_filters_of_one_character(benchmark: Any, settings: SamplingConfig) -> None:
    logits = np.random.default_rng(0).normal(size=65)
    benchmark(apply_filters, logits, settings, np.zeros(65, bool))
