"""The processors there are to compute on, found without torch where there is no GPU."""

import os
import platform
from pathlib import Path

CUDA_VARIABLE = "CUDA_VISIBLE_DEVICES"
THREADS_VARIABLE = "OMP_NUM_THREADS"
_GPU_DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # NVIDIA's, AMD's, and NVIDIA's below Windows


def available_cores() -> int:
    """Return how many cores this process may use: what its affinity allows, capped by ``OMP_NUM_THREADS``."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get(THREADS_VARIABLE, "")
    return min(cores, int(limit)) if limit.isdecimal() and int(limit) > 0 else cores


def visible_gpus() -> list[str]:
    """Return the CUDA GPUs by the names that ``CUDA_VISIBLE_DEVICES`` has for them; none where there is no driver.

    Imports torch where there is one. Untested on more than one GPU.
    """
    if not any(Path(driver).exists() for driver in _GPU_DRIVERS):
        return []
    import torch

    number = torch.cuda.device_count()
    listed = [name.strip() for name in os.environ.get(CUDA_VARIABLE, "").split(",") if name.strip()]
    return listed[:number] or [str(index) for index in range(number)]


def has_apple_gpu() -> bool:
    """Return whether this is a Mac whose GPU trains."""
    return platform.system() == "Darwin" and platform.machine() == "arm64"
