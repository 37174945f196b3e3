"""The gradient of one batch: how the work is cut up, and in which number format it is done."""

import torch
from torch import Tensor
from torch.nn import functional

from shakegpt.config import Precision
from shakegpt.dropout import Noise
from shakegpt.model import GPT

AUTOCAST_DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Gradients:
    """Adds up the gradients of a batch's micro-batches in the model's ``.grad``.

    Args:
        model: the model to differentiate, on its device.
        precision: of the matrix multiplications.
        seed: the run's seed; dropout masks depend on it, the step and the micro-batch.
    """

    def __init__(self, model: GPT, *, precision: Precision, seed: int) -> None:
        self._model = model
        self._seed = seed
        self._device = model.token_embedding.weight.device
        self._dtype = AUTOCAST_DTYPES.get(precision)

    def compute(
        self, inputs: Tensor, targets: Tensor, *, step: int, accumulate: int, scale: Tensor | float = 1.0
    ) -> Tensor:
        """Set every ``.grad`` to the gradient of the batch's mean loss, times ``scale``, and return that loss.

        Args:
            inputs: token ids, (B, T) int64.
            targets: the characters that follow, (B, T) int64.
            step: names the dropout masks.
            accumulate: micro-batches that B is split into; a divisor of B.
            scale: keeps small fp16 gradients from vanishing.

        Returns:
            The mean cross-entropy in nats, a scalar that is still on the device.
        """
        self._model.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self._device)
        pieces = zip(inputs.chunk(accumulate), targets.chunk(accumulate), strict=True)
        for piece, (x, y) in enumerate(pieces):
            noise = Noise(self._seed, "dropout", step, piece, device=self._device)
            with torch.autocast(self._device.type, dtype=self._dtype, enabled=self._dtype is not None):
                logits = self._model(x, noise)  # (B / accumulate, T, V)
            loss = functional.cross_entropy(logits.flatten(0, 1).float(), y.flatten()) / accumulate
            (loss * scale).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        return total
