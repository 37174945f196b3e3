"""The load of an NVIDIA GPU, asked of its driver (NVML): no CUDA context is made, and torch is not needed."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, kw_only=True)
class GpuUsage:
    """A GPU's load at one moment, of all processes together."""

    used_bytes: int
    total_bytes: int
    busy: float | None = None
    """Share of the time that it computed lately, from 0 to 1; ``None`` where the driver does not say."""
    celsius: int | None = None
    """Its temperature; ``None`` where the driver does not say, as for a part of a GPU (MIG) or a virtual one."""


def gpu_usage() -> GpuUsage | None:
    """Return the load of the first NVIDIA GPU that ``CUDA_VISIBLE_DEVICES`` leaves visible.

    The GPUs are counted as the driver does, in the order of their PCI slots; CUDA may put a faster card first.

    Returns:
        ``None`` without a GPU, or without its driver's bindings (the extra ``gpu``).
    """
    nvml = _start_nvml()
    if nvml is None:
        return None
    handle = _ask(nvml, lambda: _first_visible(nvml))
    memory = None if handle is None else _ask(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    if memory is None:
        return None
    rates = _ask(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    return GpuUsage(
        used_bytes=int(memory.used),
        total_bytes=int(memory.total),
        busy=None if rates is None else rates.gpu / 100,
        celsius=_ask(nvml, lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
    )


@cache
def _start_nvml() -> Any:
    """Return the driver's bindings, started once for this process; ``None`` without them or without a driver."""
    try:
        import pynvml
    except ImportError:
        return None
    return _ask(pynvml, lambda: (pynvml.nvmlInit(), pynvml)[1])


def _first_visible(nvml: Any) -> Any:
    """Return the handle of the GPU that CUDA is to use first; ``None`` where all are hidden."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return nvml.nvmlDeviceGetHandleByIndex(0)
    first = visible.split(",")[0].strip()
    if first.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(first))
    return nvml.nvmlDeviceGetHandleByUUID(first) if first.startswith(("GPU-", "MIG-")) else None


def _ask(nvml: Any, question: Callable[[], Any]) -> Any:
    """Return the driver's answer; ``None`` where it has none, as for much of what a MIG or virtual GPU is asked."""
    try:
        return question()
    except nvml.NVMLError:
        return None
