"""Which device computes, in which precision, and why."""

import platform
import threading
import timeit
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from shakegpt.config import DeviceName, Precision, PrecisionName
from shakegpt.errors import ShakegptError
from shakegpt.system.cuda_devices import describe_gpu, find_gpus, freest_gpu, has_gpu_per_process
from shakegpt.system.gpu import gpu_driver
from shakegpt.system.processors import available_cores

_ATTENTION_KERNELS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
_MIN_BF16_SPEEDUP = 1.2  # over fp32, before its rounding is accepted

recording = threading.RLock()
"""Held while a CUDA graph is recorded, and while one thread does what would spoil another's recording.

By reading CUDA's guide and torch's source: a device must not be waited for as a whole while one of its streams is
recorded, and the default generator takes part in every recording, so that nothing else may draw from it then.
"""


@dataclass(frozen=True, kw_only=True)
class DevicePlan:
    """A device and how to compute on it."""

    device: torch.device
    name: str
    """The device's own name, such as ``AMD EPYC``."""
    precision: Precision
    reason: str
    """Why this device and precision, for ``doctor`` and the training screen."""
    threads: int
    """How many threads share the work on a CPU; 1 on a GPU."""
    gpu: str | None = None
    """What the driver calls the GPU, such as ``GPU-8f2a…``; ``None`` elsewhere, and where torch does not know."""
    driver: str | None = None
    """The version of the GPU's driver, where that is known."""


def choose_device_plan(device: DeviceName = "auto", precision: PrecisionName = "auto") -> DevicePlan:
    """Return the device and the precision to use on this machine; ``auto`` picks what is fastest.

    Raises:
        ShakegptError: this machine has no such device, or it cannot compute in that precision.
    """
    chosen, device_reason = _choose_device(device)
    if precision == "auto":
        chosen_precision, precision_reason = _fastest_precision(chosen)
    else:
        chosen_precision, precision_reason = precision, f"{precision} as requested"
        _check_precision(chosen, precision)
        if chosen.type == "cuda" and precision == "fp32" and _has_bf16(chosen):
            precision_reason += ", with matrix products in TF32"
    gpu = describe_gpu(chosen.index or 0) if chosen.type == "cuda" else None
    return DevicePlan(
        device=chosen,
        name=gpu.name if gpu else _device_name(chosen),
        precision=chosen_precision,
        reason=f"{device_reason}; {precision_reason}",
        threads=available_cores() if chosen.type == "cpu" else 1,
        gpu=gpu.uuid if gpu else None,
        driver=gpu_driver() if gpu else None,
    )


def _device_name(device: torch.device) -> str:
    if device.type == "mps":
        return "Apple GPU"
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def on_device(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context in which what asks for no device means this one: streams, events, seeds, pinned memory."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


@contextmanager
def training_kernels(device: torch.device) -> Iterator[None]:
    """Within this context, have a CUDA GPU compute fast and give equal bytes for equal steps; else change nothing.

    fp32 matrices are multiplied in TF32 (10 bits of mantissa), for training several times as fast and at least as
    accurate as bf16; evaluation and generation stay in full fp32. Algorithms are deterministic where torch has one, and
    attention is not left to cuDNN, whose backward pass is not. No graph is recorded meanwhile on another thread.
    """
    if device.type != "cuda":
        yield
        return
    settings: Any = torch.utils.deterministic  # whose type has no attributes
    with recording:  # the settings are the whole process's
        matmul, fill = torch.get_float32_matmul_precision(), settings.fill_uninitialized_memory
        deterministic, warn_only = (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        torch.set_float32_matmul_precision("high")
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        settings.fill_uninitialized_memory = False
        try:
            with sdpa_kernel(_ATTENTION_KERNELS):
                yield
        finally:
            torch.set_float32_matmul_precision(matmul)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            settings.fill_uninitialized_memory = fill


def default_device_type() -> str:
    """Return what ``auto`` trains on here, ``cuda``, ``mps`` or ``cpu``, without choosing among several GPUs."""
    if any(gpu.usable for gpu in find_gpus()):
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def numbered_gpus() -> tuple[str, ...]:
    """Return the GPUs that torch can compute on, as ``cuda:0`` and so on, where there is a choice."""
    usable = tuple(gpu.device_name for gpu in find_gpus() if gpu.usable)
    return usable if len(usable) > 1 else ()


def _choose_device(device: DeviceName) -> tuple[torch.device, str]:
    if device.startswith("cuda"):
        return _choose_gpu(device)
    mps = torch.backends.mps.is_available()
    if device == "mps" and not mps:
        raise ShakegptError("This machine has no Apple GPU; leave out --device, or give --device cpu.")
    if device != "auto":
        return torch.device(device), f"{device} as requested"
    gpus = find_gpus()
    usable = [gpu for gpu in gpus if gpu.usable]
    if usable:
        gpu, reason = freest_gpu(usable)
        return torch.device("cuda", gpu.index), reason
    if mps:
        return torch.device("mps"), "an Apple GPU was found"
    return torch.device("cpu"), f"this torch has no kernels for {gpus[0].description}" if gpus else "no GPU was found"


def _choose_gpu(device: DeviceName) -> tuple[torch.device, str]:
    """Return the GPU that ``cuda`` or ``cuda:N`` means; of several that are not numbered, the one with most memory."""
    gpus = find_gpus()
    if not gpus:
        built = "no NVIDIA GPU was found" if torch.version.cuda else "this torch was built without CUDA"
        raise ShakegptError(f"This machine has no CUDA device: {built}; leave out --device, or give --device cpu.")
    _, _, number = device.partition(":")
    if number and has_gpu_per_process():
        raise ShakegptError(f"--device {device} is one GPU, and torchrun gives each process its own; leave it out.")
    reason = f"{device} as requested"
    if number:
        gpu = next((gpu for gpu in gpus if gpu.index == int(number)), None)
        if gpu is None:
            last = f" to cuda:{gpus[-1].index}" if len(gpus) > 1 else ""
            raise ShakegptError(
                f"This machine has no {device}: it has {gpus[0].device_name}{last}; give one that is here."
            )
    else:
        gpu, chosen_reason = freest_gpu([gpu for gpu in gpus if gpu.usable] or gpus)
        reason += f": {chosen_reason}" if len(gpus) > 1 else ""
    if not gpu.usable:
        raise ShakegptError(
            f"This torch has no kernels for {gpu.description}, only for {', '.join(torch.cuda.get_arch_list())}; "
            "install another build of torch, or give --device cpu."
        )
    return torch.device("cuda", gpu.index), reason


def _fastest_precision(device: torch.device) -> tuple[Precision, str]:
    if device.type == "cuda":
        return ("bf16", "this GPU supports bf16") if _has_bf16(device) else ("fp16", "this GPU lacks bf16")
    if device.type == "mps":
        return "fp32", "mixed precision gains little on an Apple GPU"
    ratio = bf16_speed_ratio()
    if ratio >= _MIN_BF16_SPEEDUP:
        return "bf16", f"matrix products are {ratio:.1f} times as fast in bf16 as in fp32"
    if ratio < 1:
        return "fp32", "bf16 is slower than fp32 on this CPU"
    return "fp32", f"bf16 is only {ratio:.1f} times as fast as fp32 on this CPU"


def _has_bf16(device: torch.device) -> bool:
    """Return whether a CUDA GPU computes in bf16 and TF32, and does not emulate them."""
    return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)


def _check_precision(device: torch.device, precision: Precision) -> None:
    if device.type == "cuda" and precision == "bf16" and not _has_bf16(device):
        raise ShakegptError("This GPU does not support bf16; give --precision fp16 or fp32.")
    if device.type == "mps" and precision != "fp32":
        raise ShakegptError("An Apple GPU trains in fp32 only; leave out --precision, or give --precision fp32.")


@cache
def bf16_speed_ratio() -> float:
    """Measure how many times as fast the CPU multiplies matrices of this model's shapes in bf16 as in fp32.

    Measured because a CPU whose flags list bf16 may emulate it. Takes about 20 ms, once.
    """
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(1024, 256, dtype=dtype), torch.ones(256, 1024, dtype=dtype)
        seconds[dtype] = min(timeit.repeat(partial(torch.mm, a, b), number=1, repeat=6))
    return seconds[torch.float32] / seconds[torch.bfloat16]
