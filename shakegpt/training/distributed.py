"""Training over several processes, one per device or core, started by ``torchrun``.

Rank 0 trains as if it were alone: it draws the batches, steps the optimizer, evaluates, samples and saves. Only the
gradient is shared work: rank 0 broadcasts the weights and the batch, every rank takes its rows through the model, and
rank 0 reduces the gradients. Together that is the traffic of one all-reduce; the other ranks have no state that could
differ, and need no corpus. Dropout masks depend on the sequence, so the loss is that of one process within rounding,
and a run can be resumed with any number of ranks.

    torchrun --nproc-per-node 2 -m -- shakegpt train --run macbeth

(Without the ``--``, torchrun takes ``--run`` for an abbreviation of one of its own options.)
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
_TIMEOUT = timedelta(days=30)  # a rank that died is noticed at once; the others may wait as long as a pause lasts


class LostRankError(ShakegptError):
    """Another process of the training has ended."""


def is_distributed() -> bool:
    """Return whether this process trains together with others."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def join_group(device: torch.device) -> int:
    """Join the processes that ``torchrun`` started, and return this one's rank.

    Args:
        device: the kind of device to train on; each rank of a host takes a GPU of its own.

    Raises:
        ShakegptError: the processes cannot connect.
    """
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise ShakegptError(f"The processes of this training could not connect ({error}).") from error
    return dist.get_rank()


def leave_group() -> None:
    """End the other ranks that still run, from rank 0."""
    with suppress(LostRankError):
        _send(_END)
    dist.destroy_process_group()


def rows_of_rank(rank: int, ranks: int, rows: int) -> range:
    """Return the sequences of a batch that a rank computes: contiguous, and as many as another's or one more."""
    return range(rows * rank // ranks, rows * (rank + 1) // ranks)


class SharedGradients(Gradients):
    """The ``Gradients`` of rank 0: the same sums, computed by all ranks.

    Raises:
        LostRankError: a rank has ended; so do ``compute`` and its like.
    """

    def __init__(self, model: GPT, *, precision: Precision, seed: int, pool: ThreadPool | None = None) -> None:
        super().__init__(model, precision=precision, seed=seed, pool=pool)
        text = json.dumps({"model": asdict(model.config), "precision": precision, "seed": seed}).encode()
        _send(_MODEL, len(text))
        _broadcast(torch.tensor(list(text), dtype=torch.uint8, device=_device()))

    def compute(self, inputs: Tensor, targets: Tensor, **options: Any) -> Tensor:
        """Set every ``.grad`` to that of the whole batch and return its mean loss; see ``Gradients.compute``."""
        B, T = inputs.shape  # noqa: N806
        _send(_STEP, options["step"], options.get("accumulate", 1), B, T)
        _broadcast(torch.stack([inputs, targets]))
        scale = torch.ones((), device=inputs.device) * options.get("scale", 1.0)
        _broadcast(_flatten([*self.parameters, scale]))
        try:
            loss = super().compute(inputs, targets, rows=rows_of_rank(0, dist.get_world_size(), B), **options)
        except Exception:  # such as too little memory: the others must not wait for this rank
            _reduce(self.total, torch.zeros((), device=inputs.device))
            raise
        _reduce(self.total, loss)
        return loss


def serve(threads: int) -> int:
    """Compute gradients for rank 0 until it ends this rank; return the exit code. Rank 0 handles the signals."""
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
        return 1  # without a message: rank 0 prints it, unless it is the lost one


def _receive_model(size: int, pool: ThreadPool) -> Gradients:
    text = torch.zeros(size, dtype=torch.uint8, device=_device())
    _broadcast(text)
    setup = json.loads(bytes(text.tolist()))
    model = GPT(ModelConfig(**setup["model"]), seed=0).to(_device())
    return Gradients(model, precision=setup["precision"], seed=setup["seed"], pool=pool)


def _serve_step(gradients: Gradients, step: float, accumulate: float, batch_size: float, length: float) -> None:
    batch = torch.zeros((2, int(batch_size), int(length)), dtype=torch.int64, device=_device())
    _broadcast(batch)
    weights = _flatten([*gradients.parameters, torch.ones((), device=_device())])
    _broadcast(weights)
    with torch.no_grad():
        *parts, scale = torch.split(weights, [*(parameter.numel() for parameter in gradients.parameters), 1])
        for parameter, part in zip(gradients.parameters, parts, strict=True):
            parameter.copy_(part.view_as(parameter))
    rows = rows_of_rank(dist.get_rank(), dist.get_world_size(), int(batch_size))
    loss = gradients.compute(batch[0], batch[1], step=int(step), accumulate=int(accumulate), scale=scale[0], rows=rows)
    _reduce(gradients.total, loss)


# Messages


def _send(kind: int, *numbers: float) -> None:
    """Announce to the other ranks which message comes next."""
    header = [float(kind), *numbers]
    header += [0.0] * (_HEADER_NUMBERS - len(header))
    on_gpu = _device().type == "cuda"
    message = torch.tensor(header, dtype=torch.float64, pin_memory=on_gpu)
    _broadcast(message.to(_device(), non_blocking=True))  # from pinned memory: rank 0 does not wait for its GPU


def _receive() -> list[float]:
    header = torch.zeros(_HEADER_NUMBERS, dtype=torch.float64, device=_device())
    _broadcast(header)
    return header.tolist()


def _broadcast(tensor: Tensor) -> None:
    """Send rank 0's tensor to all; on the others, it is overwritten."""
    _exchange(lambda: dist.broadcast(tensor, 0))


def _reduce(*tensors: Tensor) -> None:
    """Replace each of rank 0's tensors by its sum over all ranks."""
    for tensor in tensors:
        _exchange(lambda tensor=tensor: dist.reduce(tensor, 0))  # type: ignore[misc]


def _exchange(collective: Callable[[], object]) -> None:
    try:
        collective()
    except RuntimeError as error:
        raise LostRankError("Another process of this training has ended.") from error


def _device() -> torch.device:
    """Return where messages are: NCCL carries tensors of GPUs, gloo those of the CPU."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


def _flatten(tensors: list[Tensor]) -> Tensor:
    """Return the elements of all tensors in one vector, (N,)."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
