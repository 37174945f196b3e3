"""The gradient of one batch: cut into pieces that fit the caches, shared by threads, in mixed precision.

Mixed precision without surprises: weights, optimizer, residual stream, norms and loss are fp32; the linear layers
multiply by copies of their weights in the shorter format, made once a step. Each thread adds up the gradients of its
pieces in fp32 buffers of its own, and the buffers are added in the order of the threads, so equal steps give equal
bytes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from shakegpt.config import Precision
from shakegpt.model.dropout import make_dropout_masks
from shakegpt.model.gpt import GPT
from shakegpt.system.device import tf32_matmul
from shakegpt.system.threads import ThreadPool

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_TOKENS_PER_PIECE = 1024
"""What a CPU's thread takes through the model at once: its activations then stay near the core's caches.

9 % faster than 512, which saves some 30 MB; the whole half of a batch would be 1 % faster still, for 80 MB more.
"""


class Gradients:
    """Adds up the gradients of a batch's pieces in the model's ``.grad``.

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
        """The model's own."""
        # Shorter copies of the linear layers' weights, shared by the threads; the rest is the model's own memory.
        self._shorter = {
            name: parameter.detach().to(DTYPES[precision])
            for name, parameter in model.named_parameters()
            if precision != "fp32" and _is_linear(name)
        }
        self._masters = [dict(model.named_parameters())[name].detach() for name in self._shorter]
        self._replicas = [self._replicate(model) for _ in range(self._pool.size)]
        # What each thread adds up, as one vector, and as views of it in the parameters' shapes.
        sizes = [parameter.numel() for parameter in self.parameters]
        self._flat = [torch.zeros(sum(sizes), device=self._device) for _ in self._replicas]
        self.total = self._flat[0]
        """The gradient of all parameters as one vector, (N,); every ``.grad`` is a view of it."""
        self._sums = [
            [part.view_as(parameter) for part, parameter in zip(torch.split(flat, sizes), self.parameters, strict=True)]
            for flat in self._flat
        ]

    def _replicate(self, model: GPT) -> GPT:
        """Return a model that shares all memory but for its gradients."""
        replica = GPT(model.config)
        for name, parameter in model.named_parameters():
            owner, _, leaf = name.rpartition(".")
            memory = self._shorter.get(name, parameter.detach())
            setattr(replica.get_submodule(owner), leaf, nn.Parameter(memory))
        return replica

    def compute(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        step: int,
        accumulate: int = 1,
        scale: float | Tensor = 1.0,
        share: range | None = None,
    ) -> Tensor:
        """Set every ``.grad`` to the gradient of the batch's mean loss, times ``scale``, and return that loss.

        Args:
            inputs: token ids, (B, T) int64.
            targets: the characters that follow, (B, T) int64.
            step: names the dropout masks.
            accumulate: the least number of pieces that B is cut into.
            scale: keeps small fp16 gradients from vanishing; a scalar on the device where nobody knows it yet.
            share: the sequences that go through here, where other processes see to the others: the loss and the
                gradient are then this share's part of the whole. All of them where left out.

        Returns:
            The mean cross-entropy in nats, a scalar that is still on the device.
        """
        B, T = inputs.shape  # noqa: N806
        if self._shorter:
            torch._foreach_copy_(list(self._shorter.values()), self._masters)
        rows = -(-B // accumulate)
        if self._device.type == "cpu":
            rows = min(rows, max(1, _TOKENS_PER_PIECE // T))

        here = range(B) if share is None else share

        def work(worker: int) -> Tensor:
            share, replica = shares[worker], self._replicas[worker]
            self._flat[worker].zero_()
            total = torch.zeros((), device=self._device)
            for start in range(share.start, share.stop, rows):
                piece = here[start : min(start + rows, share.stop)]
                total += self._add_piece(replica, self._sums[worker], inputs, targets, piece, step, scale / (B * T))
            return total

        shares = self._pool.split(len(here))
        with tf32_matmul(self._device):
            losses = self._pool.map(work, range(len(shares)))
        for flat in self._flat[1 : len(shares)]:
            self._flat[0] += flat
        for parameter, gradient in zip(self.parameters, self._sums[0], strict=True):
            parameter.grad = gradient
        return torch.stack(losses).sum() / (B * T)

    def _add_piece(
        self,
        replica: GPT,
        sums: list[Tensor],
        inputs: Tensor,
        targets: Tensor,
        piece: range,
        step: int,
        scale: float | Tensor,
    ) -> Tensor:
        """Add the gradient of a piece's loss, times ``scale``, to ``sums``; return the loss summed over characters."""
        rows = slice(piece.start, piece.stop)
        masks = make_dropout_masks(self._seed, step, piece, self._device)
        logits = replica(inputs[rows], masks=masks)  # (B, T, V)
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), targets[rows].flatten(), reduction="sum")
        torch._foreach_add_(sums, torch.autograd.grad(loss * scale, list(replica.parameters())))
        return loss.detach()


def _is_linear(name: str) -> bool:
    """Say whether a parameter belongs to a linear layer of a block, by its name."""
    return any(f".{layer}." in name for layer in ("query_key_value", "projection", "expansion"))
