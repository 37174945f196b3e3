"""The gradient of one batch: in micro-batches that fit the caches, over several threads, in mixed precision.

Weights, optimizer, residual stream, norms and loss are fp32; the linear layers multiply by copies of their weights in
the lower precision, made once a step. Each thread adds up the gradients of its micro-batches in an fp32 vector of its
own, and these are added in the order of the threads, so equal steps give equal bytes.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from shakegpt.config import Precision
from shakegpt.model.dropout import DropoutMasks
from shakegpt.model.gpt import GPT
from shakegpt.system.threads import ThreadPool
from shakegpt.training.flat_parameters import FlatParameters

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MICRO_BATCH_TOKENS = 1024
"""On a CPU, so that a thread's activations stay near its core's caches.

9 % faster than 512, which saves some 30 MB; the whole half of a batch would be 1 % faster still, for 80 MB more.
"""


class Gradients:
    """Computes the gradient of a batch's mean loss into ``parameters.gradient``.

    Args:
        model: the fp32 model, on its device.
        parameters: its weights and their gradient, as vectors.
        precision: of the linear layers and the attention.
        pool: the threads that share the work on a CPU.
    """

    def __init__(
        self, model: GPT, parameters: FlatParameters, *, precision: Precision, pool: ThreadPool | None = None
    ) -> None:
        self._pool = pool or ThreadPool()
        self._device = parameters.weights.device
        # The linear layers in the lower precision, shared by the threads; the rest is the model's own memory.
        self._linear = parameters.weights[parameters.linear]
        self._low_precision = self._linear.to(DTYPES[precision])  # in fp32 the model's own as well
        self._copies = parameters.linear_views(self._low_precision)
        self._replicas = [self._replicate(model) for _ in range(self._pool.size)]
        # What each thread adds up, as one vector (N,), and as views of it in the parameters' shapes.
        others = [torch.zeros_like(parameters.gradient) for _ in self._replicas[1:]]
        self._flat = [parameters.gradient, *others]
        self._sums = [list(parameters.views(flat).values()) for flat in self._flat]
        self._linear_sums = [flat[parameters.linear] for flat in self._flat]
        names = [name for name, _ in model.named_parameters()]
        self._linear_places = [names.index(name) for name in self._copies]
        self._joins_linear = self._device.type == "cuda" and precision != "fp32"

    def _replicate(self, model: GPT) -> GPT:
        """Return a model that shares the weights' memory, or their low-precision copies, but not the gradients."""
        weights = {
            id(parameter): nn.Parameter(self._copies.get(name, parameter.detach()))
            for name, parameter in model.named_parameters()
        }
        return copy.deepcopy(model, weights)  # which takes these where it would copy a parameter

    def compute(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        masks: DropoutMasks,
        accumulate: int = 1,
        scale: float | Tensor = 1.0,
        rows: range | None = None,
    ) -> Tensor:
        """Set the gradient to that of the batch's mean loss, times ``scale``, and return that loss.

        Args:
            inputs: token ids, (B, T) int64.
            targets: the characters that follow, (B, T) int64.
            masks: the dropout masks of the step.
            accumulate: the least number of micro-batches.
            scale: keeps small fp16 gradients from vanishing; a number, or a scalar on the device.
            rows: the sequences to compute here, where other processes compute the others; the loss and the gradient
                are then their part of the whole. All of them where left out.

        Returns:
            The mean cross-entropy in nats, a scalar that is still on the device.
        """
        B, T = inputs.shape  # noqa: N806
        if self._low_precision is not self._linear:
            self._low_precision.copy_(self._linear)
        size = -(-B // accumulate)
        if self._device.type == "cpu":
            size = min(size, max(1, _MICRO_BATCH_TOKENS // T))

        rows = range(B) if rows is None else rows
        parts = self._pool.split(len(rows))  # one for each thread

        def work(thread: int) -> Tensor:
            part = rows[parts[thread].start : parts[thread].stop]
            self._flat[thread].zero_()
            loss = torch.zeros((), device=self._device)
            for start in range(0, len(part), size):
                micro_batch = part[start : start + size]
                loss += self._add_micro_batch(
                    thread, inputs, targets, micro_batch, masks.of_rows(micro_batch), scale / (B * T)
                )
            return loss

        losses = self._pool.map(work, range(len(parts)))
        for flat in self._flat[1 : len(parts)]:
            self._flat[0] += flat
        return torch.stack(losses).sum() / (B * T)

    def _add_micro_batch(
        self, thread: int, inputs: Tensor, targets: Tensor, rows: range, masks: DropoutMasks, scale: float | Tensor
    ) -> Tensor:
        """Add the gradient of some rows' loss, times ``scale``, to a thread's sum; return that loss, also a sum."""
        replica, chosen = self._replicas[thread], slice(rows.start, rows.stop)
        logits = replica(inputs[chosen], masks=masks)  # (B, T, V)
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), targets[chosen].flatten(), reduction="sum")
        self._add(thread, torch.autograd.grad(loss * scale, list(replica.parameters())))
        return loss.detach()

    def _add(self, thread: int, gradients: Sequence[Tensor]) -> None:
        """Add the gradients of the parameters to a thread's sum.

        Where formats differ, torch adds one tensor after the other. In the sum those of the linear layers lie side by
        side, so on a GPU they are joined and added at once: two kernels. On a CPU joining them takes 2 % of a step.
        """
        places = list(range(len(gradients)))
        if self._joins_linear:
            self._linear_sums[thread] += torch.cat([gradients[place].flatten() for place in self._linear_places])
            places = [place for place in places if place not in self._linear_places]
        for dtype in {gradients[place].dtype for place in places}:  # in one call, mixed formats are slow on a GPU
            alike = [place for place in places if gradients[place].dtype == dtype]
            torch._foreach_add_([self._sums[thread][place] for place in alike], [gradients[place] for place in alike])
