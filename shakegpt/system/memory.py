"""The memory of this process and the load of its GPU."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class GpuUsage:
    """A GPU's load at one moment, of all processes together."""

    used_bytes: int
    total_bytes: int
    busy: float | None = None
    """Share of the time that it computed lately, from 0 to 1; ``None`` where the driver does not say."""


def gpu_usage() -> GpuUsage | None:
    """Return the load of the CUDA GPU; ``None`` without one, or while nobody has imported torch. Untested on a GPU."""
    if not hasattr(sys.modules.get("torch"), "cuda"):  # not imported, or still being imported
        return None
    import torch

    if not torch.cuda.is_available():
        return None
    free, total = torch.cuda.mem_get_info()
    try:
        busy = torch.cuda.utilization() / 100
    except (ModuleNotFoundError, RuntimeError):  # the driver's bindings (pynvml) are not installed
        busy = None
    return GpuUsage(used_bytes=total - free, total_bytes=total, busy=busy)


def process_memory() -> int | None:
    """Return the bytes of main memory that this process holds; its peak where the system reports no more."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return _peak_memory()
    return pages * os.sysconf("SC_PAGE_SIZE")


def _peak_memory() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
