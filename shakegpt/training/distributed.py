"""Training over several processes, one per device or core, started by ``torchrun``.

Rank 0 trains as if it were alone: it draws the batches, steps the optimizer, evaluates, speaks and writes. Only where
it wants a gradient, every rank takes a share of the batch through the model. Rank 0 hands out the weights and the
batch, and collects the sum of the gradients, which together is the traffic of one all-reduce; the other ranks keep no
state that could differ, and need no corpus. Dropout masks are named by sequence, so the loss is that of one process
within rounding, and a run goes on under any number of ranks.

    torchrun --nproc-per-node 2 -m -- shakegpt train --run macbeth

(Without the ``--``, torchrun takes ``--run`` for the beginning of an option of its own.)
"""

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from shakegpt.config import ModelConfig, Precision
from shakegpt.errors import ShakegptError
from shakegpt.model.gpt import GPT
from shakegpt.system.threads import ThreadPool
from shakegpt.training.gradients import Gradients

_END, _MODEL, _STEP = range(3)
_HEADER_NUMBERS = 5
_PATIENCE = timedelta(days=30)  # a rank that died is noticed at once; one that waits may wait out a pause


class LostRankError(ShakegptError):
    """A process that takes part in the training has ended."""


def is_distributed() -> bool:
    """Say whether this process has joined others."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def join_group(device: torch.device) -> int:
    """Join the processes that ``torchrun`` started, and return this one's rank.

    Args:
        device: the kind of device to train on; of several GPUs, each rank of a host takes its own.

    Raises:
        ShakegptError: the processes do not find one another.
    """
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ShakegptError(f"The processes of this training do not find one another ({error}).") from error
    return dist.get_rank()


def leave_group() -> None:
    """Send the other ranks home, from rank 0, as far as they are still there."""
    with suppress(LostRankError):
        _send(_END)
    dist.destroy_process_group()


def rows_of_rank(rank: int, ranks: int, rows: int) -> range:
    """Return the sequences of a batch that a rank takes: contiguous, as equal as can be."""
    return range(rows * rank // ranks, rows * (rank + 1) // ranks)


class SharedGradients(Gradients):
    """Rank 0's ``Gradients``: the same sums, computed by all ranks.

    Args:
        model: the fp32 model, on this rank's device.
        precision: as in ``Gradients``.
        seed: as in ``Gradients``.
        pool: this rank's threads.

    Raises:
        LostRankError: a rank has ended; so do ``compute`` and its like.
    """

    def __init__(self, model: GPT, *, precision: Precision, seed: int, pool: ThreadPool | None = None) -> None:
        super().__init__(model, precision=precision, seed=seed, pool=pool)
        record = json.dumps({"model": asdict(model.config), "precision": precision, "seed": seed}).encode()
        _send(_MODEL, len(record))
        _broadcast(torch.tensor(list(record), dtype=torch.uint8, device=_device()))

    def compute(self, inputs: Tensor, targets: Tensor, **options: Any) -> Tensor:
        """Set every ``.grad`` to that of the whole batch and return its mean loss; see ``Gradients.compute``."""
        rows, length = inputs.shape
        _send(_STEP, options["step"], options.get("accumulate", 1), rows, length)
        _broadcast(torch.stack([inputs, targets]))
        scale = torch.ones((), device=inputs.device) * options.get("scale", 1.0)
        _broadcast(_flatten([*self.parameters, scale]))
        try:
            loss = super().compute(inputs, targets, share=rows_of_rank(0, dist.get_world_size(), rows), **options)
        except Exception:  # such as too little memory: the others must not wait for this rank's share
            _reduce(self.total, torch.zeros((), device=inputs.device))
            raise
        _reduce(self.total, loss)
        return loss


def serve(threads: int) -> int:
    """Work for rank 0 until it says so, and return the exit code. Whoever asks to end the training asks rank 0."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pool = ThreadPool(threads)
    gradients: Gradients | None = None
    try:
        while True:
            kind, *numbers = _receive()
            if kind == _END:
                dist.destroy_process_group()
                return 0
            if kind == _MODEL:
                gradients = _receive_model(int(numbers[0]), pool)
            elif gradients is not None:
                _serve_step(gradients, *numbers)
    except LostRankError:
        with suppress(RuntimeError):  # its threads must not outlive the interpreter
            dist.destroy_process_group()
        return 1  # rank 0 alone speaks: it says so, or is what was lost


def _receive_model(size: int, pool: ThreadPool) -> Gradients:
    record = torch.zeros(size, dtype=torch.uint8, device=_device())
    _broadcast(record)
    wanted = json.loads(bytes(record.tolist()))
    model = GPT(ModelConfig(**wanted["model"])).to(_device())
    return Gradients(model, precision=wanted["precision"], seed=wanted["seed"], pool=pool)


def _serve_step(gradients: Gradients, step: float, accumulate: float, rows: float, length: float) -> None:
    batch = torch.zeros((2, int(rows), int(length)), dtype=torch.int64, device=_device())
    _broadcast(batch)
    weights = _flatten([*gradients.parameters, torch.ones((), device=_device())])
    _broadcast(weights)
    with torch.no_grad():
        *parts, scale = torch.split(weights, [*(parameter.numel() for parameter in gradients.parameters), 1])
        for parameter, part in zip(gradients.parameters, parts, strict=True):
            parameter.copy_(part.view_as(parameter))
    share = rows_of_rank(dist.get_rank(), dist.get_world_size(), int(rows))
    loss = gradients.compute(
        batch[0], batch[1], step=int(step), accumulate=int(accumulate), scale=scale[0], share=share
    )
    _reduce(gradients.total, loss)


# What travels


def _send(kind: int, *numbers: float) -> None:
    """Tell all other ranks what comes next."""
    header = [float(kind), *numbers]
    header += [0.0] * (_HEADER_NUMBERS - len(header))
    on_gpu = _device().type == "cuda"
    told = torch.tensor(header, dtype=torch.float64, pin_memory=on_gpu)
    _broadcast(told.to(_device(), non_blocking=True))  # from pinned memory: rank 0 does not wait for its GPU


def _receive() -> list[float]:
    header = torch.zeros(_HEADER_NUMBERS, dtype=torch.float64, device=_device())
    _broadcast(header)
    return header.tolist()


def _broadcast(tensor: Tensor) -> None:
    """Give a tensor of rank 0 to all; on the others, it is overwritten."""
    _guard(lambda: dist.broadcast(tensor, 0))


def _reduce(*tensors: Tensor) -> None:
    """Replace rank 0's tensors by the sums over all ranks."""
    for tensor in tensors:
        _guard(lambda tensor=tensor: dist.reduce(tensor, 0))  # type: ignore[misc]


def _guard(exchange: Callable[[], object]) -> None:
    try:
        exchange()
    except RuntimeError as error:
        raise LostRankError("Another process of this training has ended.") from error


def _device() -> torch.device:
    """Where tensors that travel are: NCCL carries those of GPUs, gloo those of the CPU."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def _flatten(tensors: list[Tensor]) -> Tensor:
    """Return the elements of all tensors in one vector, (N,)."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
