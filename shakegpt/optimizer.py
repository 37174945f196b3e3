"""AdamW as the trainer uses it: decay on matrices only, a finite check before the step, fp16 loss scaling."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from shakegpt.adamw import AdamW
from shakegpt.config import Precision, TrainingConfig
from shakegpt.model import GPT

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
        self._scaler.scale(torch.ones((), device=self._device))  # without a first loss, it has no scale to unscale by
        self._clip = config.grad_clip or float("inf")
        self.finite = torch.ones((), dtype=torch.bool, device=self._device)
        """Whether the last step was taken: a number still on the device, so that nobody has to wait for it."""
        self.overflowed = False
        """Whether that was for a loss scale too high for fp16, now lowered: part of the recipe, and no trouble."""

    @property
    def skipped(self) -> bool:
        """Whether the last step was not taken, since a number was not finite. Waits for a GPU."""
        return not bool(self.finite)

    @property
    def loss_scale(self) -> float:
        """What the loss is multiplied by before it is differentiated; 1 but in fp16."""
        return float(self._scaler.get_scale())

    def step(self, learning_rate: float, loss: Tensor) -> Tensor:
        """Clip the gradients and step, unless the loss or the gradient is not finite; return the norm before clipping.

        The check comes before the step: a NaN never reaches a weight or a moment.
        """
        self._adamw.learning_rate = learning_rate
        adamw = cast(torch.optim.Optimizer, self._adamw)  # as far as a scaler knows
        self._scaler.unscale_(adamw)
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._clip)
        self.finite = torch.isfinite(loss) & torch.isfinite(norm)
        if not self._scaler.is_enabled():
            self._adamw.step(skip=~self.finite)
            return norm
        before = self._scaler.get_scale()
        if not self.skipped:
            self._scaler.step(adamw)
        self._scaler.update()  # after an overflow lower, after many steps without one higher
        self.overflowed = bool(torch.isfinite(loss)) and _LEAST_SCALE <= self._scaler.get_scale() < before
        return norm

    def tensors(self) -> dict[str, Tensor]:
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

    def load(self, tensors: Mapping[str, Tensor]) -> None:
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
