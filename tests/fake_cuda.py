"""A machine with CUDA GPUs, and the bindings of their driver, as far as asking what is there goes."""

import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from shakegpt.system import gpu as driver

GB = 10**9


def gpu(name: str = "Fine GPU", capability: tuple[int, int] = (9, 0)) -> SimpleNamespace:
    """A GPU as torch describes it."""
    return SimpleNamespace(name=name, major=capability[0], minor=capability[1])


def add_gpus(
    patch: pytest.MonkeyPatch,
    *gpus: SimpleNamespace,
    architectures: Sequence[str] = ("sm_80", "sm_90"),
    free: Sequence[int] = (),
) -> None:
    """Make torch say that there are GPUs, and how many of their bytes are free; numbered names are their UUIDs."""
    for index, each in enumerate(gpus):
        each.uuid = f"uuid-{index}"
    patch.setattr(torch.cuda, "is_available", lambda: bool(gpus))
    patch.setattr(torch.cuda, "device_count", lambda: len(gpus))
    patch.setattr(torch.cuda, "get_device_properties", lambda index: gpus[index])
    patch.setattr(
        torch.cuda, "get_device_capability", lambda device: (gpus[device.index].major, gpus[device.index].minor)
    )
    patch.setattr(torch.cuda, "get_arch_list", lambda: list(architectures))
    patch.setattr(torch.cuda, "mem_get_info", lambda index: (free[index], 80 * GB))


class FakeNvml:
    """The driver's bindings. ``refused`` names the questions that have no answer."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        """What the driver answers instead."""

    def __init__(self, *refused: str, free: Sequence[int] = (5 * GB,), prefix: str = "GPU") -> None:
        self._refused, self._free, self._prefix = refused, free, prefix
        self.asked: list[str] = []

    def __getattr__(self, question: str) -> Any:
        def ask(*arguments: Any) -> Any:
            self.asked.append(question)
            if question in self._refused:
                raise self.NVMLError(question)
            return getattr(self, f"_{question}")(*arguments)

        if not question.startswith("nvml"):
            raise AttributeError(question)
        return ask

    def _nvmlInit(self) -> None:  # noqa: N802
        pass

    def _nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        prefix, _, index = uuid.replace("-uuid-", "/").partition("/")
        if prefix != self._prefix or not index.isdecimal() or int(index) >= len(self._free):
            raise self.NVMLError(uuid)
        return int(index)

    def _nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(used=8 * GB - self._free[handle], total=8 * GB)

    def _nvmlDeviceGetUtilizationRates(self, handle: int) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(gpu=50)

    def _nvmlDeviceGetTemperature(self, handle: int, sensor: int) -> int:  # noqa: N802
        assert sensor == self.NVML_TEMPERATURE_GPU
        return 64

    def _nvmlSystemGetDriverVersion(self) -> str:  # noqa: N802
        return "570.86.15"


def install_nvml(patch: pytest.MonkeyPatch, nvml: FakeNvml | None) -> None:
    """Make ``import pynvml`` find these bindings, or none."""
    patch.setitem(sys.modules, "pynvml", nvml)
    driver._nvml.cache_clear()
