"""Which device trains, in which number format, and why."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from shakegpt.config import DeviceName, Precision, PrecisionName
from shakegpt.errors import ShakegptError

_PROBE_REPEATS = 5
_WORTH_IT = 1.2  # bf16 has to win by this much over fp32 before its rounding is accepted


@dataclass(frozen=True, kw_only=True)
class DevicePlan:
    """Where and how to train."""

    device: torch.device
    name: str
    """The device's own name, such as ``AMD EPYC``."""
    precision: Precision
    reason: str
    """Why, in a few words that ``doctor`` and the training screen show."""
    threads: int
    """Threads that share the work on a CPU; 1 on a GPU."""


def choose_device_plan(device: DeviceName = "auto", precision: PrecisionName = "auto") -> DevicePlan:
    """Return the device and the precision that a choice comes to on this machine.

    Raises:
        ShakegptError: the device is not here, or cannot compute in that precision.
    """
    chosen, why = _choose_device(device)
    if precision == "auto":
        settled, because = _choose_precision(chosen)
    else:
        settled, because = precision, f"{precision} as asked"
        _check_precision(chosen, precision)
        if chosen.type == "cuda" and precision == "fp32":
            because += ", its products in TF32"
    return DevicePlan(
        device=chosen,
        name=device_name(chosen),
        precision=settled,
        reason=f"{why}; {because}",
        threads=available_cores() if chosen.type == "cpu" else 1,
    )


def available_cores() -> int:
    """Return how many cores this process may use: what its affinity allows, capped by ``OMP_NUM_THREADS``."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(wish)) if wish.isdecimal() and int(wish) > 0 else cores


def device_name(device: torch.device) -> str:
    """Return what a device calls itself."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    return _cpu_name()


@contextmanager
def tf32_products(device: torch.device) -> Iterator[None]:
    """Let a CUDA GPU that has TF32 (10 bits of mantissa) multiply fp32 matrices in it meanwhile; else change nothing.

    For training only, where it is several times as fast and as good as bf16 or better; evaluation and speech stay in
    full fp32. Through torch's older switch: its compiler trips over the newer one (torch 2.10, issue 166387).
    """
    if device.type != "cuda":
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _choose_device(device: DeviceName) -> tuple[torch.device, str]:
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "cuda" and not cuda:
        built = "no NVIDIA GPU answers" if torch.version.cuda else "this torch was built without CUDA"
        raise ShakegptError(f"There is no CUDA device here: {built}; leave out --device, or give --device cpu.")
    if device == "mps" and not mps:
        raise ShakegptError("There is no Apple GPU here; leave out --device, or give --device cpu.")
    if device == "auto":
        if cuda:
            return torch.device("cuda"), "a CUDA GPU is here"
        if mps:
            return torch.device("mps"), "an Apple GPU is here"
        return torch.device("cpu"), "no GPU is here"
    return torch.device(device), f"{device} as asked"


def _choose_precision(device: torch.device) -> tuple[Precision, str]:
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "this GPU computes in bf16"
        return "fp16", "this GPU has no bf16"
    if device.type == "mps":
        return "fp32", "mixed precision gains little on an Apple GPU"
    ratio = bf16_speed_ratio()
    if ratio >= _WORTH_IT:
        return "bf16", f"its matrix multiplications run {ratio:.1f} times as fast in bf16"
    return "fp32", f"bf16 would be {ratio:.1f} times as fast as fp32 on this CPU"


def _check_precision(device: torch.device, precision: Precision) -> None:
    if device.type == "cuda" and precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise ShakegptError("This GPU does not compute in bf16; give --precision fp16 or fp32.")
    if device.type == "mps" and precision != "fp32":
        raise ShakegptError("On an Apple GPU only --precision fp32 is offered.")


@cache
def bf16_speed_ratio() -> float:
    """Measure how many times as fast a CPU multiplies matrices of this model's shapes in bf16 as in fp32.

    Measured rather than read off the CPU's flags: a CPU that lists bf16 may emulate it. Takes some 20 ms, once.
    """
    times = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(1024, 256, dtype=dtype), torch.ones(256, 1024, dtype=dtype)
        times[dtype] = _fastest(lambda a=a, b=b: torch.mm(a, b))  # type: ignore[misc]
    return times[torch.float32] / times[torch.bfloat16]


def _fastest(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(_PROBE_REPEATS + 1):  # the first run, which warms up, is never the fastest
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
