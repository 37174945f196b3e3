"""Threads that share a CPU's cores, one core each, for work that is cut into equal parts.

Torch's own intra-op threads split every small operation and meet after it; on two cores a training step gains little
from them. Whole pieces of a batch on a thread of their own gain nearly a factor of two: torch's operators release
the interpreter's lock.
"""

import ctypes
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

import torch

from shakegpt.system.device import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGEST_ACTIVATION = 6 * 1024**2
"""Bytes. Pieces of the presets that a CPU trains stay below: those of ``baby`` have 3 MB."""


class ThreadPool:
    """Threads with one intra-op thread each.

    Args:
        size: how many; 1 works on the calling thread.
    """

    def __init__(self, size: int = 1) -> None:
        self.size = size
        torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(size, "shakegpt-worker", torch.set_num_threads, (1,)) if size > 1 else None

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return the work's results in the order of the items; the first error is raised when all have ended."""
        if self._pool is None:
            return [work(item) for item in items]
        futures = [self._pool.submit(work, item) for item in items]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def split(self, count: int) -> list[range]:
        """Return ``range(count)`` cut into at most one contiguous range per thread, none empty but that of 0."""
        parts = max(1, min(self.size, count))
        borders = [count * part // parts for part in range(parts + 1)]
        return [range(start, end) for start, end in pairwise(borders)]


@cache
def keep_freed_memory() -> bool:
    """Have glibc keep memory that is freed instead of handing it back to the system; say whether that was possible.

    A step allocates and frees the same megabytes each time. Handing them back costs a page fault for every 4 kB when
    they are touched again: 10 % of a training step (and up to 16 % with smaller pieces).

    Blocks larger than any activation of a piece, such as the bytes of a checkpoint, still go back at once, and there
    is one arena for each core instead of eight: what one thread has freed, another can use.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    wishes = {
        _M_MMAP_THRESHOLD: _LARGEST_ACTIVATION,
        _M_TRIM_THRESHOLD: 2**31 - 1,
        _M_ARENA_MAX: available_cores(),
    }
    return all(libc.mallopt(option, value) for option, value in wishes.items())
