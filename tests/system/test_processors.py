"""How many cores and which GPUs there are; a machine with GPUs is simulated."""

import os

import pytest
import torch

from shakegpt.system import processors
from shakegpt.system.processors import available_cores, visible_gpus


@pytest.mark.parametrize(("limit", "cores"), [("1", 1), ("3", 3), ("64", 4), ("0", 4), ("", 4), ("many", 4), ("-2", 4)])
def test_cores_follow_affinity_and_omp_num_threads(monkeypatch: pytest.MonkeyPatch, limit: str, cores: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert available_cores() == cores


@pytest.mark.parametrize(
    ("variable", "gpus"), [("", ["0", "1"]), ("3,5", ["3", "5"]), ("GPU-8f2a, GPU-77c1", ["GPU-8f2a", "GPU-77c1"])]
)
def test_gpus_have_the_names_that_the_environment_gives_them(
    variable: str, gpus: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "_GPU_DRIVERS", ("/dev/null",))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert visible_gpus() == gpus


def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "_GPU_DRIVERS", ("/dev/no-such-driver",))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert visible_gpus() == []
