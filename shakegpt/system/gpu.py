"""The load of an NVIDIA GPU, asked of its driver (NVML): no CUDA context is made, and torch is not needed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class GpuUsage:
    """A GPU's load at one moment, of all processes together."""

    used_bytes: int
    total_bytes: int
    busy: float | None = None
    """Share of the time that it computed lately, from 0 to 1; ``None`` where the driver does not say."""
    celsius: int | None = None
    """Its temperature; ``None`` where the driver does not say."""


def gpu_usage(uuid: str | None) -> GpuUsage | None:
    """Return the load of an NVIDIA GPU; ``None`` where the driver does not say, or its bindings are not installed.

    Asks the driver's own library (NVML), so that a process which only looks takes no memory of the GPU.

    Args:
        uuid: what the driver calls the GPU; ``None`` for no GPU.
    """
    nvml = _nvml() if uuid else None
    if nvml is None or uuid is None:
        return None
    handle = _ask(nvml, lambda: nvml.nvmlDeviceGetHandleByUUID(uuid))
    if handle is None:  # a part of a GPU (MIG) is called otherwise
        handle = _ask(nvml, lambda: nvml.nvmlDeviceGetHandleByUUID(uuid.replace("GPU-", "MIG-", 1)))
    memory = None if handle is None else _ask(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    if memory is None:
        return None
    # Neither is said of a part of a GPU, or of a virtual one.
    rates = _ask(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    celsius = _ask(nvml, lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    return GpuUsage(
        used_bytes=memory.used,
        total_bytes=memory.total,
        busy=None if rates is None else rates.gpu / 100,
        celsius=celsius,
    )


def gpu_driver() -> str | None:
    """Return the version of NVIDIA's driver, such as ``570.86.15``; ``None`` where there is none that says so."""
    try:
        first = _DRIVER_VERSION.read_text(encoding="ascii", errors="replace").partition("\n")[0]
    except OSError:
        nvml = _nvml()
        return None if nvml is None else _ask(nvml, nvml.nvmlSystemGetDriverVersion)
    return next((word for word in first.split() if word[0].isdecimal()), None)


_DRIVER_VERSION = Path("/proc/driver/nvidia/version")


@cache
def _nvml() -> Any:
    """Return the driver's bindings, ready to be asked; ``None`` where they or the driver are missing."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _ask(nvml: Any, question: Callable[[], Any]) -> Any:
    """Return the driver's answer; ``None`` where it has none."""
    try:
        return question()
    except nvml.NVMLError:
        return None
