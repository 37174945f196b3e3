"""How much memory training takes, without asking torch."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class GpuUsage:
    """What a GPU is doing at this moment."""

    used: int
    """Bytes in use, by everyone."""
    total: int
    """Bytes it has."""
    busy: float | None = None
    """Share of the time that it computed lately, from 0 to 1; ``None`` where the driver does not say."""


def gpu_in_use() -> GpuUsage | None:
    """Return what the GPU that this process trains on is doing; ``None`` where there is none, or no torch yet."""
    if not hasattr(sys.modules.get("torch"), "cuda"):  # not imported, or still being imported
        return None
    from shakegpt.system.device import gpu_usage

    usage = gpu_usage()
    return None if usage is None else GpuUsage(used=usage[0], total=usage[1], busy=usage[2])


def process_memory() -> int | None:
    """Return the bytes of main memory that this process holds; its peak where the system knows no more."""
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
