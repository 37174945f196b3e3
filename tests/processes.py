"""Waiting for other processes: until something is so, and until they are at rest."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE = 120.0
"""Seconds. Other tests share the cores, so what takes a second may take thirty; only a failure takes all of this."""


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until a condition holds, and fail where it never does."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        pause.wait(0.01)


def wait_until_idle(pid: int) -> None:
    """Wait until a process uses less than a tenth of a core for half a second, which a spinning thread prevents."""

    def idle() -> bool:
        spent, began = cpu_seconds(pid), time.monotonic()
        threading.Event().wait(0.5)
        return cpu_seconds(pid) - spent < 0.1 * (time.monotonic() - began)

    wait_for(idle)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
