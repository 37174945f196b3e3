"""Training over several processes, one per device or core, started by ``torchrun``.

Every rank holds the model, the optimizer and the text, computes the gradient of its rows of the batch, and takes the
same step: one all-reduce of the gradient joins them. Rank 0 trains as if it were alone. It also evaluates, samples,
saves and takes the commands, and tells the other ranks which step comes next; where that is not the one after their
last, since the run begins, is resumed or went back to a checkpoint, it sends them its state. The masks of dropout on a
CPU depend on the sequence, so the loss is that of one process within rounding. On a GPU every rank draws its own. A run
can be resumed with any number of ranks.

    torchrun --nproc-per-node 2 -m -- shakegpt train --run macbeth

(Without the ``--``, torchrun takes ``--run`` for an abbreviation of one of its own options.) Over GPUs (NCCL) this has
not been tried.
"""

import json
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import timedelta
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.errors import ShakegptError
from shakegpt.system.device import DevicePlan
from shakegpt.system.seeds import derive_seed
from shakegpt.system.threads import ThreadPool
from shakegpt.training.gradients import Gradients
from shakegpt.training.recovery import is_out_of_memory
from shakegpt.training.schedule import learning_rate_at
from shakegpt.training.state import TrainingState
from shakegpt.training.step import StepProgram

TIMEOUT = timedelta(seconds=45)
"""How long a rank waits for another's part of a step, or for rank 0's next word, before it takes it for lost."""
KEEP_ALIVE_SECONDS = 10.0
CHECK_EVERY = 100
"""Steps between two comparisons of the ranks' weights."""
_PIECE = 4 * 1024**2
"""Numbers sent at a time: over a slow network, a whole text or a large model takes longer than the timeout."""

_END, _WAIT, _BEGIN, _STATE, _STEP = range(5)
_HEADER_NUMBERS = 4


class LostRankError(ShakegptError):
    """Another process of the training has ended, or does not answer."""


class DifferentWeightsError(ShakegptError):
    """The ranks' weights are no longer the same. The step was not taken; before the next they get those of rank 0."""


class _Ranks:
    """The processes of this training. All of them take part in every exchange, in the same order."""

    def __init__(self) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()
        self.lock = threading.RLock()
        """Held by rank 0 from a message to the end of what it asks for."""
        self._group = dist.new_group(timeout=TIMEOUT)
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep_alive, name="shakegpt-keep-alive", daemon=True)
        if self.rank == 0:
            self._keeper.start()

    def _keep_alive(self) -> None:
        """Tell the others to wait, over and over: a pause or an evaluation lasts longer than their patience."""
        with suppress(LostRankError):  # which the next step will meet as well
            while not self._ended.wait(KEEP_ALIVE_SECONDS):
                self.tell(_WAIT)

    def tell(self, kind: int, *numbers: float) -> None:
        """Announce to the other ranks, from rank 0, what comes next."""
        with self.lock:
            self.broadcast(
                torch.tensor([kind, *numbers, *[0.0] * (_HEADER_NUMBERS - len(numbers))], dtype=torch.float64)
            )

    def hear(self) -> list[float]:
        """Return what rank 0 tells: the kind of message, and its numbers."""
        header = torch.zeros(1 + _HEADER_NUMBERS, dtype=torch.float64)
        self.broadcast(header)
        return header.tolist()

    def broadcast(self, tensor: Tensor) -> None:
        """Send rank 0's tensor to all; on the others, it is overwritten."""
        for piece in torch.split(tensor.view(-1), _PIECE):
            self._exchange(partial(dist.broadcast, piece, 0, group=self._group))

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor on every rank by its sum over all ranks."""
        self._exchange(partial(dist.all_reduce, tensor, group=self._group))

    def greatest(self, *numbers: int) -> list[int]:
        """Return for each number the greatest that a rank has given."""
        tensor = torch.tensor(numbers)
        self._exchange(partial(dist.all_reduce, tensor, dist.ReduceOp.MAX, group=self._group))
        return tensor.tolist()

    def _exchange(self, collective: Callable[[], object]) -> None:
        try:
            collective()
        except RuntimeError as error:
            raise LostRankError("Another process of this training has ended, or does not answer.") from error

    def leave(self) -> None:
        """End the other ranks that still run, where this is rank 0."""
        self._ended.set()
        if self.rank == 0:
            self._keeper.join()
            with suppress(LostRankError):
                self.tell(_END)


_ranks: _Ranks | None = None  # as torch.distributed has one default group


def is_distributed() -> bool:
    """Return whether this process trains together with others."""
    return _ranks is not None and _ranks.count > 1


def join_group(device: torch.device) -> int:
    """Join the processes that ``torchrun`` started, and return this one's rank.

    Args:
        device: to train on; each rank of a host has a GPU of its own.

    Raises:
        ShakegptError: the processes cannot connect.
    """
    global _ranks
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
        os.environ.setdefault("TORCH_NCCL_BLOCKING_WAIT", "1")  # else NCCL ends the process at a timeout, unsaved
    try:
        dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo")
        _ranks = _Ranks()
    except (RuntimeError, ValueError) as error:
        raise ShakegptError(f"The processes of this training could not connect ({error}).") from error
    return _ranks.rank


def _joined() -> _Ranks:
    if _ranks is None:
        raise RuntimeError("This process has not joined others.")
    return _ranks


def leave_group() -> None:
    """Leave the other ranks; rank 0 ends those that still run."""
    global _ranks
    if _ranks is not None:
        _ranks.leave()
        with suppress(RuntimeError):
            dist.destroy_process_group()
    _ranks = None


def rows_of_rank(rank: int, ranks: int, rows: int) -> range:
    """Return the sequences of a batch that a rank computes: contiguous, and as many as another's or one more."""
    return range(rows * rank // ranks, rows * (rank + 1) // ranks)


class SharedGradients(Gradients):
    """The ``Gradients`` of every rank: the same sums, computed by all of them.

    Args:
        state: the training; on the other ranks, it is that of rank 0 when the first step begins.
        config: how to train.
        device_plan: where, and in which precision.
        ids: the split to train on, (N,) int32; on rank 0, which sends it to the others.
        pool: the threads that share the work on a CPU.
        ranks: all of them; those of ``join_group`` where left out.

    Raises:
        LostRankError: a rank has ended or does not answer; so does ``compute``.
    """

    def __init__(
        self,
        state: TrainingState,
        config: TrainingConfig,
        device_plan: DevicePlan,
        *,
        ids: Tensor | None = None,
        pool: ThreadPool | None = None,
        ranks: "_Ranks | None" = None,
    ) -> None:
        super().__init__(state.model, state.parameters, precision=device_plan.precision, pool=pool)
        self._ranks, self._state = ranks or _joined(), state
        self._shared_step: int | None = None  # the last that all ranks have taken; None makes rank 0 send its state
        if ids is not None:
            setup = {
                "model": asdict(state.model.config),
                "training": asdict(config),
                "precision": device_plan.precision,
            }
            text = torch.tensor(list(json.dumps(setup).encode()), dtype=torch.uint8)
            with self._ranks.lock:
                self._ranks.tell(_BEGIN, len(text), len(ids))
                self._ranks.broadcast(text)
                self._ranks.broadcast(ids.to("cpu", torch.int32))

    def compute(self, inputs: Tensor, targets: Tensor, **options: Any) -> Tensor:
        """Set the gradient to that of the whole batch and return its mean loss; see ``Gradients.compute``.

        Raises:
            torch.OutOfMemoryError: memory ran out on a rank.
            DifferentWeightsError: the ranks have drifted apart.
        """
        step = options["masks"].step
        with self._ranks.lock:
            if self._ranks.rank == 0:
                if self._shared_step != step - 1:
                    self._ranks.tell(_STATE)
                    self.share_state()
                self._ranks.tell(_STEP, step, options["accumulate"], self._state.learning_rate_scale)
            return self._compute_together(inputs, targets, options)

    def _compute_together(self, inputs: Tensor, targets: Tensor, options: dict[str, Any]) -> Tensor:
        ranks, out_of_memory, loss = self._ranks, False, None
        rows = rows_of_rank(ranks.rank, ranks.count, len(inputs))
        try:
            loss = super().compute(inputs, targets, rows=rows, **options)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            out_of_memory = True  # which the others must know before they wait for this rank's gradient
        step = options["masks"].step
        checksum = self._checksum() if step % CHECK_EVERY == 0 else 0
        failed, highest, negative_lowest = ranks.greatest(out_of_memory, checksum, -checksum)
        if failed or loss is None:
            raise torch.OutOfMemoryError("Memory ran out on a rank.")
        if highest != -negative_lowest:
            self._shared_step = None
            raise DifferentWeightsError(
                f"By step {step} the processes' weights had drifted apart; all take those of the first."
            )
        ranks.add(self._state.parameters.gradient)
        ranks.add(loss)
        self._shared_step = step
        return loss

    @torch.no_grad()
    def share_state(self) -> None:
        """Give the weights, moments and loss scale of rank 0 to all: every rank calls this at the same time."""
        saved = self._state.optimizer.state_dict()
        weights = self._state.parameters.weights
        flat = torch.cat([weights, *(tensor.flatten().to(weights) for tensor in saved.values())])  # all are fp32
        self._ranks.broadcast(flat)
        shared, *parts = torch.split(flat, [len(weights), *(tensor.numel() for tensor in saved.values())])
        weights.copy_(shared)
        moments = zip(saved.items(), parts, strict=True)
        self._state.optimizer.load_state_dict({name: part.view_as(tensor) for (name, tensor), part in moments})

    def _checksum(self) -> int:
        """Return the sum of the weights' bits. Waits for a GPU."""
        return int(self._state.parameters.weights.view(torch.int32).sum())


def follow(device_plan: DevicePlan) -> int:
    """Take every step with rank 0 until it ends this rank; return the exit code. Rank 0 handles the signals."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        _follow(_joined(), device_plan)
    except LostRankError:
        return 1  # without a message: rank 0 prints it, unless it is the lost one
    finally:
        leave_group()
    return 0


def _follow(ranks: _Ranks, device_plan: DevicePlan) -> None:
    follower: _Follower | None = None
    while True:
        kind, *numbers = ranks.hear()
        if kind == _END:
            return
        if kind == _BEGIN:
            follower = _Follower(ranks, device_plan, *map(int, numbers[:2]))
        elif follower is not None and kind == _STATE:
            follower.gradients.share_state()
        elif follower is not None and kind == _STEP:
            follower.take_step(int(numbers[0]), int(numbers[1]), learning_rate_scale=numbers[2])


class _Follower:
    """The training of a rank other than 0, as rank 0 describes it: ``size`` bytes of JSON, then the text."""

    def __init__(self, ranks: _Ranks, device_plan: DevicePlan, size: int, characters: int) -> None:
        text, ids = torch.zeros(size, dtype=torch.uint8), torch.zeros(characters, dtype=torch.int32)
        ranks.broadcast(text)
        ranks.broadcast(ids)
        setup = json.loads(bytes(text.tolist()))
        self._config, model_config = TrainingConfig(**setup["training"]), ModelConfig(**setup["model"])
        self._rank, self._device = ranks.rank, device_plan.device
        device_plan = replace(device_plan, precision=setup["precision"])
        self._state = TrainingState(self._config, model_config, device_plan)
        self.gradients = SharedGradients(
            self._state, self._config, device_plan, pool=ThreadPool(device_plan.threads), ranks=ranks
        )
        self._program = StepProgram(
            ids.to(device_plan.device), self._config, model_config.block_size, self.gradients, self._state.optimizer
        )

    def take_step(self, step: int, accumulate: int, *, learning_rate_scale: float) -> None:
        """Take a step as rank 0 takes it, or leave it out where rank 0 does: it says what comes next."""
        self._program.accumulate = accumulate
        self._program.load(step, 1, lambda step: learning_rate_scale * learning_rate_at(step, self._config))
        self._program.begin(step)
        if self._device.type != "cpu":  # there all ranks would draw the same masks, for other sequences
            own_seed = derive_seed(self._config.seed, "dropout", step, self._rank)
            torch.get_device_module(self._device).manual_seed(own_seed)
        with suppress(torch.OutOfMemoryError, DifferentWeightsError):
            self._program.step()
