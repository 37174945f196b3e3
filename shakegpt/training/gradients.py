"""The gradient of one batch: in micro-batches that fit the caches, over several threads, in mixed precision.

Weights, optimizer, residual stream, norms and loss are fp32; the linear layers multiply by copies of their weights in
the lower precision, made once a step. Each thread adds up the gradients of its micro-batches in an fp32 buffer of its
own, and the buffers are added in the order of the threads, so equal steps give equal bytes.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from shakegpt.config import Precision
from shakegpt.model.dropout import make_dropout_masks
from shakegpt.model.gpt import GPT
from shakegpt.system.device import tf32_matmul
from shakegpt.system.threads import ThreadPool

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MICRO_BATCH_TOKENS = 1024
"""On a CPU, so that a thread's activations stay near its core's caches.

9 % faster than 512, which saves some 30 MB; the whole half of a batch would be 1 % faster still, for 80 MB more.
"""


class Gradients:
    """Adds up the gradients of a batch's micro-batches in the model's ``.grad``.

    Args:
        model: the fp32 model, on its device.
        precision: of the linear layers and the attention.
        seed: the run's seed; dropout masks depend on it, the step and the sequence.
        pool: the threads that share the work on a CPU.
    """

    def __init__(self, model: GPT, *, precision: Precision, seed: int, pool: ThreadPool | None = None) -> None:
        self._seed = seed
        self._pool = pool or ThreadPool()
        self._device = model.token_embedding.weight.device
        self.parameters: list[Tensor] = list(model.parameters())
        """Those of the model."""
        # Low-precision copies of the linear layers' weights, shared by the threads; the rest is the model's own memory.
        self._low_precision = {
            name: parameter.detach().to(DTYPES[precision])
            for name, parameter in model.named_parameters()
            if precision != "fp32" and _is_linear(name)
        }
        self._master_weights = [dict(model.named_parameters())[name].detach() for name in self._low_precision]
        self._replicas = [self._replicate(model) for _ in range(self._pool.size)]
        # What each thread adds up, as one vector (N,), and as views of it in the parameters' shapes.
        sizes = [parameter.numel() for parameter in self.parameters]
        self._flat = [torch.zeros(sum(sizes), device=self._device) for _ in self._replicas]
        self.total = self._flat[0]
        """The gradient of all parameters, (N,); every ``.grad`` is a view of it."""
        self._sums = [
            [part.view_as(parameter) for part, parameter in zip(torch.split(flat, sizes), self.parameters, strict=True)]
            for flat in self._flat
        ]

    def _replicate(self, model: GPT) -> GPT:
        """Return a model that shares the weights' memory, or their low-precision copies, but not the gradients."""
        weights = {
            id(parameter): nn.Parameter(self._low_precision.get(name, parameter.detach()))
            for name, parameter in model.named_parameters()
        }
        return copy.deepcopy(model, weights)  # which takes these where it would copy a parameter

    def compute(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        step: int,
        accumulate: int = 1,
        scale: float | Tensor = 1.0,
        rows: range | None = None,
    ) -> Tensor:
        """Set every ``.grad`` to the gradient of the batch's mean loss, times ``scale``, and return that loss.

        Args:
            inputs: token ids, (B, T) int64.
            targets: the characters that follow, (B, T) int64.
            step: the optimizer step, which the dropout masks depend on.
            accumulate: the least number of micro-batches.
            scale: keeps small fp16 gradients from vanishing; a number, or a scalar on the device.
            rows: the sequences to compute here, where other processes compute the others; the loss and the gradient
                are then their part of the whole. All of them where left out.

        Returns:
            The mean cross-entropy in nats, a scalar that is still on the device.
        """
        B, T = inputs.shape  # noqa: N806
        if self._low_precision:
            torch._foreach_copy_(list(self._low_precision.values()), self._master_weights)
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
                loss += self._add_micro_batch(thread, inputs, targets, micro_batch, step, scale / (B * T))
            return loss

        with tf32_matmul(self._device):
            losses = self._pool.map(work, range(len(parts)))
        for flat in self._flat[1 : len(parts)]:
            self._flat[0] += flat
        for parameter, gradient in zip(self.parameters, self._sums[0], strict=True):
            parameter.grad = gradient
        return torch.stack(losses).sum() / (B * T)

    def _add_micro_batch(
        self, thread: int, inputs: Tensor, targets: Tensor, rows: range, step: int, scale: float | Tensor
    ) -> Tensor:
        """Add the gradient of some rows' loss, times ``scale``, to a thread's sum; return that loss, also a sum."""
        replica, chosen = self._replicas[thread], slice(rows.start, rows.stop)
        masks = make_dropout_masks(self._seed, step, rows, self._device)
        logits = replica(inputs[chosen], masks=masks)  # (B, T, V)
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), targets[chosen].flatten(), reduction="sum")
        torch._foreach_add_(self._sums[thread], torch.autograd.grad(loss * scale, list(replica.parameters())))
        return loss.detach()


def _is_linear(name: str) -> bool:
    """Return whether a parameter of this name belongs to a linear layer of a block."""
    return any(f".{layer}." in name for layer in ("query_key_value", "projection", "expansion"))
