"""The CUDA GPUs that this process can use: their names, whether torch can compute on them, and which is the freest."""

import os
from dataclasses import dataclass

import torch

from shakegpt.errors import ShakegptError
from shakegpt.system.gpu import gpu_usage


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A CUDA GPU."""

    index: int
    """As in ``cuda:0``."""
    name: str
    """Its model, such as ``NVIDIA H100 80GB HBM3``."""
    capability: tuple[int, int]
    """What its kernels are compiled for, such as (9, 0)."""
    uuid: str | None
    """What the driver calls it, such as ``GPU-4d5b…``; ``None`` where torch does not know."""
    usable: bool
    """Whether this torch has kernels for it."""

    @property
    def device_name(self) -> str:
        """What torch calls it, such as ``cuda:0``."""
        return f"cuda:{self.index}"

    @property
    def description(self) -> str:
        """Its name, its number and its capability, for a sentence."""
        major, minor = self.capability
        return f"the GPU {self.name} ({self.device_name}, compute capability {major}.{minor})"


def find_gpus() -> list[Gpu]:
    """Return the GPUs that this process can see. Below torchrun each process has one of its own, and sees no other.

    Raises:
        ShakegptError: torchrun started more processes on this machine than it has GPUs.
    """
    if not torch.cuda.is_available():
        return []
    gpus = [describe_gpu(index) for index in range(torch.cuda.device_count())]
    if not has_gpu_per_process():
        return gpus
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    if rank >= len(gpus):
        raise ShakegptError(
            f"torchrun started more processes here than there are GPUs; give --nproc-per-node {len(gpus)}."
        )
    return [gpus[rank]]


def has_gpu_per_process() -> bool:
    """Return whether this is one of several processes that torchrun started, each with a GPU of its own."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def describe_gpu(index: int) -> Gpu:
    """Return the GPU ``cuda:index``."""
    found = torch.cuda.get_device_properties(index)
    capability = (found.major, found.minor)
    uuid = getattr(found, "uuid", None)
    return Gpu(
        index=index,
        name=found.name,
        capability=capability,
        uuid=None if uuid is None else f"GPU-{uuid}",
        usable=_has_kernels(capability),
    )


def _has_kernels(capability: tuple[int, int]) -> bool:
    """Return whether this torch was compiled for a GPU of such a capability.

    Kernels for 8.0 (``sm_80``) run on 8.6 too, not on 9.0; what the driver compiles (``compute_80``) on all later ones.
    """
    for architecture in torch.cuda.get_arch_list():
        kind, _, number = architecture.partition("_")
        digits = number.rstrip("abcdefghijklmnopqrstuvwxyz")
        if not digits.isdecimal():  # AMD's are not told apart here
            return True
        compiled = (int(digits[:-1]), int(digits[-1]))
        if digits != number:  # sm_90a runs on 9.0 alone; sm_100f on its family
            matches = compiled == capability or (number.endswith("f") and compiled[0] == capability[0])
        elif kind == "compute":
            matches = True
        else:
            matches = compiled[0] == capability[0]
        if matches and compiled <= capability:
            return True
    return False


def freest_gpu(gpus: list[Gpu]) -> tuple[Gpu, str]:
    """Return the GPU with the most free memory, and why it was taken, in a few words.

    The driver is asked where its bindings are installed (the extra ``gpu``). Torch, asked otherwise, takes some hundred
    megabytes of every GPU to answer; a single GPU is not asked.
    """
    if len(gpus) == 1:
        return gpus[0], "a CUDA GPU was found"
    usages = [gpu_usage(gpu.uuid) for gpu in gpus]
    free = [None if usage is None else usage.total_bytes - usage.used_bytes for usage in usages]
    known = [_ask_torch(gpu) if asked is None else asked for gpu, asked in zip(gpus, free, strict=True)]
    best = max(range(len(gpus)), key=lambda number: known[number])
    reason = f"of {len(gpus)} CUDA GPUs, {gpus[best].device_name} has the most free memory, {known[best] / 1e9:.1f} GB"
    return gpus[best], reason


def _ask_torch(gpu: Gpu) -> int:
    try:
        return torch.cuda.mem_get_info(gpu.index)[0]
    except RuntimeError:  # it is full, or another process keeps it for itself
        return 0
