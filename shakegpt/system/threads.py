"""Threads that share a CPU's cores, one core each, for work that is cut into equal parts.

Torch's own intra-op threads split every small operation and meet after it; on two cores a training step gains little
from them. Whole pieces of a batch on a thread of their own gain nearly a factor of two: torch's operators release
the interpreter's lock. So training, evaluation and generation compute within ``torch_threads(1)``.
"""

import ctypes
import os
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

import torch

from shakegpt.system.processors import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGEST_ACTIVATION = 6 * 1024**2
"""Bytes. Pieces of the presets that a CPU trains stay below: those of ``baby`` have 3 MB."""


class ThreadPool:
    """Threads that compute on one core each.

    Args:
        size: how many; 1 works on the calling thread.
    """

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self._executor = ThreadPoolExecutor(size, "shakegpt-worker") if size > 1 else None

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return the work's results in the order of the items; the first error is raised when all have ended."""

        def work_on_one_core(item: Item) -> Result:
            with torch_threads(1):
                return work(item)

        if self._executor is None:
            return [work_on_one_core(item) for item in items]
        futures = [self._executor.submit(work_on_one_core, item) for item in items]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def split(self, count: int) -> list[range]:
        """Return ``range(count)`` cut into at most one contiguous range per thread, none empty but that of 0."""
        parts = max(1, min(self.size, count))
        borders = [count * part // parts for part in range(parts + 1)]
        return [range(start, end) for start, end in pairwise(borders)]


class torch_threads:  # noqa: N801 (it is used as a function; a class because it is entered for every character)
    """Have torch split the calling thread's operations over ``count`` threads, and afterwards over as many as before.

    With 1 the last bits of a result do not depend on what the process has set.
    """

    def __init__(self, count: int) -> None:
        self._count = count

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        if self._before != self._count:
            torch.set_num_threads(self._count)

    def __exit__(self, *_: object) -> None:
        if self._before != self._count:
            torch.set_num_threads(self._before)


def configure_process() -> None:
    """Set up a process of our own, such as a command's, to train and generate fast.

    ``import shakegpt`` never calls this: a notebook's process stays as it is, and a training there is some 10 % slower.

    Torch computes on the calling thread, as all that we compute asks for anyway, and glibc keeps memory that is freed.
    A step allocates and frees the same megabytes each time, and handing them back to the system costs a page fault for
    every 4 kB when they are touched again. Blocks larger than any activation of a piece, such as the bytes of a
    checkpoint, still go back at once, and there is one arena for each core instead of eight: what one thread has freed,
    another can use.

    On a CUDA GPU, cuBLAS gives equal bytes for equal products once it is told how much memory it may use; torch warns
    where it was not.
    """
    torch.set_num_threads(1)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_ACTIVATION)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_M_ARENA_MAX, available_cores())
