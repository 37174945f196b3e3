"""AdamW as the trainer uses it: decay on matrices only, a finite check before the step, fp16 loss scaling."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from shakegpt.config import Precision, TrainingConfig
from shakegpt.model.gpt import GPT
from shakegpt.training.adamw import AdamW

_FIRST_SCALE = 2.0**16
_GROWTH_INTERVAL = 2_000
_LEAST_SCALE = 1.0
"""Gradients that overflow even so were not made to by the scaling."""


class Optimizer:
    """Decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101) on matrices, none on biases and norms.

    Args:
        model: whose parameters to step, on its device.
        config: betas, decay and clipping.
        precision: fp16 scales the loss so that small gradients do not vanish (Micikevicius et al. 2018,
            arXiv:1710.03740).
    """

    def __init__(self, model: GPT, config: TrainingConfig, *, precision: Precision) -> None:
        self._parameters = dict(model.named_parameters())
        self._device = model.token_embedding.weight.device
        matrices: list[Tensor] = [parameter for parameter in self._parameters.values() if parameter.ndim >= 2]
        vectors: list[Tensor] = [parameter for parameter in self._parameters.values() if parameter.ndim < 2]
        self._adamw = AdamW([(config.weight_decay, matrices), (0.0, vectors)], (config.beta1, config.beta2))
        self._scaler = torch.amp.GradScaler(
            self._device.type, init_scale=_FIRST_SCALE, growth_interval=_GROWTH_INTERVAL, enabled=precision == "fp16"
        )
        self._one = torch.ones((), device=self._device)
        self._scaler.scale(self._one)  # without a first loss, it has no scale to unscale by
        self._clip = config.grad_clip or float("inf")
        self.finite = torch.ones((), dtype=torch.bool, device=self._device)
        """Whether the last step was taken: a number still on the device, so that nobody has to wait for it."""
        self._overflowed = ~self.finite

    @property
    def skipped(self) -> bool:
        """Whether the last step was not taken, since a number was not finite. Waits for a GPU."""
        return not bool(self.finite)

    @property
    def overflowed(self) -> bool:
        """Whether that was for a loss scale too high for fp16, now lowered: part of the recipe. Waits for a GPU."""
        return bool(self._overflowed)

    @property
    def loss_scale(self) -> Tensor | float:
        """What the loss is multiplied by before it is differentiated: a scalar on the device in fp16, else 1."""
        return self._scale() if self._scaler.is_enabled() else 1.0

    def _scale(self) -> Tensor:
        return self._scaler.scale(self._one)  # what it answers at once: get_scale() waits for a GPU

    def step(self, learning_rate: float, loss: Tensor) -> Tensor:
        """Clip the gradients and step, unless the loss or the gradient is not finite; return the norm before clipping.

        The check comes before the step: a NaN never reaches a weight or a moment. It is made on the device, where the
        step is skipped as well, so nothing here waits for a GPU: not the scaler's own ``step``, which would ask.
        """
        self._adamw.learning_rate = learning_rate
        self._scaler.unscale_(cast(torch.optim.Optimizer, self._adamw))  # as far as a scaler knows
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._clip)
        self.finite = torch.isfinite(loss) & torch.isfinite(norm)
        self._adamw.step(skip=~self.finite)
        if self._scaler.is_enabled():
            before = self._scale()
            self._scaler.update()  # after an overflow lower, after many steps without one higher
            after = self._scale()
            self._overflowed = torch.isfinite(loss) & (after < before) & (after >= _LEAST_SCALE)
        return norm

    def state_dict(self) -> dict[str, Tensor]:
        """Return all that the optimizer remembers, by name, in fp32."""
        adamw = self._adamw
        tensors: dict[str, Tensor] = {}
        for name, parameter in self._parameters.items():
            tensors[f"optimizer.exp_avg.{name}"] = adamw.means[parameter]
            tensors[f"optimizer.exp_avg_sq.{name}"] = adamw.squares[parameter]
            tensors["optimizer.step"] = adamw.steps[parameter]
        if self._scaler.is_enabled():
            state = self._scaler.state_dict()
            tensors["scaler.scale"] = torch.tensor(float(state["scale"]))
            tensors["scaler.growth_tracker"] = torch.tensor(float(state["_growth_tracker"]))
        return tensors

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Remember what ``tensors`` returned once, in this process or another."""
        for name, parameter in self._parameters.items():
            self._adamw.steps[parameter].copy_(tensors["optimizer.step"])
            self._adamw.means[parameter].copy_(tensors[f"optimizer.exp_avg.{name}"])
            self._adamw.squares[parameter].copy_(tensors[f"optimizer.exp_avg_sq.{name}"])
        if self._scaler.is_enabled() and "scaler.scale" in tensors:
            self._scaler.load_state_dict(
                {
                    **self._scaler.state_dict(),
                    "scale": tensors["scaler.scale"].item(),
                    "_growth_tracker": int(tensors["scaler.growth_tracker"].item()),
                }
            )
