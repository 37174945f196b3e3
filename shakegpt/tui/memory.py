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
