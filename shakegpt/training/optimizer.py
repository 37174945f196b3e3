"""AdamW with decay on matrices only, a finite check before the step, and fp16 loss scaling.

Without ``torch.optim``, which imports torch's compiler, for 63 MB and a second. Torch's fused kernel does not.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor

from shakegpt.config import Precision, TrainingConfig
from shakegpt.runs.checkpoint import AVERAGE_PREFIX
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.weight_average import WeightAverage

_EPSILON = 1e-8
_NORM_EPSILON = 1e-6  # of torch's clip_grad_norm_
_INITIAL_SCALE = 2.0**16
_GROWTH_INTERVAL = 2_000
_MIN_SCALE = 1.0
"""Gradients that overflow at this loss scale are not finite for another reason."""


class Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101), on matrices and not on vectors.

    Nothing in a step waits for a GPU or reads a number from it.

    Args:
        parameters: those to step, and their gradient.
        config: betas, decay and clipping; whether to average the weights.
        precision: fp16 scales the loss so that small gradients do not vanish (Micikevicius et al. 2018,
            arXiv:1710.03740).
    """

    def __init__(self, parameters: FlatParameters, config: TrainingConfig, *, precision: Precision) -> None:
        self._parameters = parameters
        weights = parameters.weights
        device = weights.device
        self._exp_avg, self._exp_avg_sq = torch.zeros_like(weights), torch.zeros_like(weights)
        self._steps = torch.zeros((), device=device)
        self.average = WeightAverage(weights, config.ema) if config.ema else None
        """A moving average of the weights, where one is kept."""
        self._decays = ((config.weight_decay, parameters.matrices), (0.0, parameters.vectors))
        self._betas = config.beta1, config.beta2
        self._max_norm = config.grad_clip or float("inf")
        self._kernel_ignores_found_inf = device.type == "mps"  # by reading torch's source; it has not been seen
        self._gradients = list(parameters.views(parameters.gradient).values())
        self._scaler = torch.amp.GradScaler(
            device.type, init_scale=_INITIAL_SCALE, growth_interval=_GROWTH_INTERVAL, enabled=precision == "fp16"
        )
        self._one = torch.ones((), device=device)
        self._scaler.scale(self._one)  # its scale is created by the first loss
        flat = weights.view_as(weights)
        flat.grad = parameters.gradient
        self.param_groups = [{"params": [flat]}]
        """Read by the gradient scaler."""
        self.finite = torch.ones((), dtype=torch.bool, device=device)
        """Whether the last step was taken: a bool on the device."""
        self.overflowed = torch.zeros((), dtype=torch.bool, device=device)
        """Whether it was not, since the loss scale was too high for fp16 and is now lower: not an error."""

    @property
    def loss_scale(self) -> Tensor:
        """What the loss is multiplied by before it is differentiated, a scalar on the device: 1 but in fp16."""
        return self._scaler.scale(self._one) if self._scaler.is_enabled() else self._one  # get_scale() would wait

    @torch.no_grad()
    def step(self, learning_rate: Tensor | float, loss: Tensor) -> Tensor:
        """Clip the gradient and step, unless the loss or the gradient is not finite; return the norm before clipping.

        The check comes before the step: a NaN never reaches a weight or a moment.

        Args:
            learning_rate: a number, or a scalar on the device.
            loss: a scalar on the device.
        """
        self._scaler.unscale_(cast(torch.optim.Optimizer, self))  # which has what the scaler uses
        norm = torch.nn.utils.get_total_norm(self._gradients)
        self._parameters.gradient.mul_((self._max_norm / (norm + _NORM_EPSILON)).clamp(max=1.0))
        self.finite.copy_(torch.isfinite(loss) & torch.isfinite(norm))
        self._adamw(learning_rate)
        if self.average is not None:
            self.average.update(self._steps, self.finite)
        if self._scaler.is_enabled():
            before = self.loss_scale
            self._scaler.update()  # after an overflow lower, after many steps without one higher
            after = self.loss_scale
            self.overflowed.copy_(torch.isfinite(loss) & (after < before) & (after >= _MIN_SCALE))
        return norm

    def _adamw(self, learning_rate: Tensor | float) -> None:
        """Move every weight by its gradient; unless ``finite``, nothing moves and the step does not count."""
        flat = self._parameters
        moved = (flat.weights, self._exp_avg, self._exp_avg_sq)
        before = [tensor.clone() for tensor in moved] if self._kernel_ignores_found_inf else []
        self._steps += self.finite
        for weight_decay, part in self._decays:
            torch._fused_adamw_(  # without the copies of numbers that ``torch.optim.adamw`` makes
                [flat.weights[part]],
                [flat.gradient[part]],
                [self._exp_avg[part]],
                [self._exp_avg_sq[part]],
                [],
                [self._steps],
                found_inf=(~self.finite).float(),
                amsgrad=False,
                lr=learning_rate,
                beta1=self._betas[0],
                beta2=self._betas[1],
                weight_decay=weight_decay,
                eps=_EPSILON,
                maximize=False,
            )
        for tensor, old in zip(moved, before, strict=False):
            tensor.copy_(torch.where(self.finite, tensor, old))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the moments, the step count, the loss scale and the averaged weights, by name, in fp32."""
        tensors: dict[str, Tensor] = {}
        squares = self._parameters.views(self._exp_avg_sq)
        for name, mean in self._parameters.views(self._exp_avg).items():
            tensors[f"optimizer.exp_avg.{name}"] = mean
            tensors[f"optimizer.exp_avg_sq.{name}"] = squares[name]
            tensors["optimizer.step"] = self._steps
        if self._scaler.is_enabled():
            state = self._scaler.state_dict()
            tensors["scaler.scale"] = torch.tensor(float(state["scale"]))
            tensors["scaler.growth_tracker"] = torch.tensor(float(state["_growth_tracker"]))
        for name, weight in self.averaged_weights().items():
            tensors[f"{AVERAGE_PREFIX}{name}"] = weight
        return tensors

    def averaged_weights(self) -> dict[str, Tensor]:
        """Return the averaged weights by name; nothing where no average is kept."""
        return {} if self.average is None else self._parameters.views(self.average.vector)

    def reset(self) -> None:
        """Return to the state before the first step, which the weights must have returned to before."""
        for tensor in (self._exp_avg, self._exp_avg_sq, self._steps):
            tensor.zero_()
        self._set_loss_scale(_INITIAL_SCALE, 0)
        if self.average is not None:
            self.average.restart()

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned, after the weights.

        The loss scale is the initial one where another precision had none. An average that there was none of before
        begins with the weights.
        """
        self._steps.copy_(tensors["optimizer.step"])
        squares = self._parameters.views(self._exp_avg_sq)
        for name, mean in self._parameters.views(self._exp_avg).items():
            mean.copy_(tensors[f"optimizer.exp_avg.{name}"])
            squares[name].copy_(tensors[f"optimizer.exp_avg_sq.{name}"])
        for name, weight in self.averaged_weights().items():
            weight.copy_(tensors.get(f"{AVERAGE_PREFIX}{name}", self._parameters.views(self._parameters.weights)[name]))
        scale, tracker = tensors.get("scaler.scale"), tensors.get("scaler.growth_tracker")
        self._set_loss_scale(
            _INITIAL_SCALE if scale is None else scale.item(), 0 if tracker is None else int(tracker.item())
        )

    def _set_loss_scale(self, scale: float, growth_tracker: int) -> None:
        if self._scaler.is_enabled():
            state = {**self._scaler.state_dict(), "scale": scale, "_growth_tracker": growth_tracker}
            self._scaler.load_state_dict(state)
