"""What an NVIDIA driver says of a GPU; the driver's bindings are a fake of the same functions and errors."""

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from shakegpt.system import gpu
from shakegpt.system.gpu import GpuUsage, gpu_usage


class NVMLError(Exception):
    """As in pynvml, the parent of all its errors."""


class NotSupportedError(NVMLError):
    """What a MIG or virtual GPU answers to much."""


class FakeNvml:
    """Two GPUs and a MIG part, with what each answers; ``unsupported`` names the functions that it refuses."""

    NVMLError = NVMLError
    NVML_TEMPERATURE_GPU = 0

    def __init__(self) -> None:
        self.unsupported: set[str] = set()
        self.starts = 0

    def _answer(self, name: str, answer: Any) -> Any:
        if name in self.unsupported:
            raise NotSupportedError
        return answer

    def nvmlInit(self) -> None:  # noqa: N802
        self._answer("nvmlInit", None)
        self.starts += 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index > 1:
            raise NVMLError("Invalid Argument")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        return {"GPU-b": 1, "MIG-c": 2}[uuid]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return self._answer("nvmlDeviceGetMemoryInfo", SimpleNamespace(used=3 + handle, total=8))

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return self._answer("nvmlDeviceGetUtilizationRates", SimpleNamespace(gpu=50))

    def nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:  # noqa: N802
        return self._answer("nvmlDeviceGetTemperature", 61)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    def refuse(*_: object) -> None:
        raise AssertionError("a CUDA context was made")

    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", refuse)
    monkeypatch.setattr(torch.cuda, "init", refuse)
    gpu._start_nvml.cache_clear()
    yield fake
    gpu._start_nvml.cache_clear()


def test_the_driver_is_asked_without_a_cuda_context_and_started_once(nvml: FakeNvml) -> None:
    assert gpu_usage() == gpu_usage() == GpuUsage(used_bytes=3, total_bytes=8, busy=0.5, celsius=61)
    assert nvml.starts == 1


@pytest.mark.parametrize(
    ("visible", "used"), [("1,0", 4), ("GPU-b", 4), ("MIG-c", 5), ("", None), ("-1", None), ("7", None)]
)
def test_the_gpu_is_the_first_visible_one(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, visible: str, used: int | None
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    usage = gpu_usage()
    assert (usage and usage.used_bytes) == used


def test_a_part_of_a_gpu_says_what_it_knows(nvml: FakeNvml) -> None:
    nvml.unsupported = {"nvmlDeviceGetUtilizationRates", "nvmlDeviceGetTemperature"}
    assert gpu_usage() == GpuUsage(used_bytes=3, total_bytes=8)


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetMemoryInfo"])
def test_a_driver_that_does_not_answer_is_no_error(nvml: FakeNvml, function: str) -> None:
    nvml.unsupported = {function}
    assert gpu_usage() is None


def test_without_the_drivers_bindings_nothing_is_known(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert gpu_usage() is None
