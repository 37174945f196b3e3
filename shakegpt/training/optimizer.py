"""AdamW with decay on matrices only, a finite check before the step, and fp16 loss scaling.

Without ``torch.optim.Optimizer``: that imports torch's compiler, for 63 MB and a second. Torch's fused kernel does not.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from shakegpt.config import Precision, TrainingConfig
from shakegpt.model.gpt import GPT

_EPSILON = 1e-8
_INITIAL_SCALE = 2.0**16
_GROWTH_INTERVAL = 2_000
_MIN_SCALE = 1.0
"""Gradients that overflow at this loss scale are not finite for another reason."""


class Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101), on matrices and not on vectors.

    Args:
        model: whose parameters to step, on its device.
        config: betas, decay and clipping.
        precision: fp16 scales the loss so that small gradients do not vanish (Micikevicius et al. 2018,
            arXiv:1710.03740).
    """

    def __init__(self, model: GPT, config: TrainingConfig, *, precision: Precision) -> None:
        self._parameters: dict[str, Tensor] = dict(model.named_parameters())
        parameters = list(self._parameters.values())
        device = parameters[0].device
        matrices, vectors = ([p for p in parameters if (p.ndim >= 2) == is_matrix] for is_matrix in (True, False))
        self._groups = ((config.weight_decay, matrices), (0.0, vectors))
        self.param_groups = [{"params": group} for _, group in self._groups]
        """Read by the gradient scaler."""
        self._betas = config.beta1, config.beta2
        self._exp_avg = {p: torch.zeros_like(p, requires_grad=False) for p in parameters}
        self._exp_avg_sq = {p: torch.zeros_like(p, requires_grad=False) for p in parameters}
        self._steps = {p: torch.zeros((), device=device) for p in parameters}  # the kernel wants one each
        self._scaler = torch.amp.GradScaler(
            device.type, init_scale=_INITIAL_SCALE, growth_interval=_GROWTH_INTERVAL, enabled=precision == "fp16"
        )
        self._one = torch.ones((), device=device)
        self._scaler.scale(self._one)  # its scale is created by the first loss
        self._max_norm = config.grad_clip or float("inf")
        self.finite = torch.ones((), dtype=torch.bool, device=device)
        """Whether the last step was taken: a bool on the device, so that nothing waits for it."""
        self._overflowed = ~self.finite

    @property
    def skipped(self) -> bool:
        """Whether the last step was not taken, since a number was not finite. Waits for a GPU."""
        return not bool(self.finite)

    @property
    def overflowed(self) -> bool:
        """Whether the reason was a loss scale too high for fp16, now lowered: not an error. Waits for a GPU."""
        return bool(self._overflowed)

    @property
    def loss_scale(self) -> Tensor | float:
        """What the loss is multiplied by before it is differentiated: a scalar on the device in fp16, else 1."""
        return self._scale() if self._scaler.is_enabled() else 1.0

    def _scale(self) -> Tensor:
        return self._scaler.scale(self._one)  # unlike get_scale(), this does not wait for a GPU

    def step(self, learning_rate: float, loss: Tensor) -> Tensor:
        """Clip the gradients and step, unless the loss or the gradient is not finite; return the norm before clipping.

        The check comes before the step: a NaN never reaches a weight or a moment. It is made on the device, where the
        step is skipped as well, so nothing here waits for a GPU, as the scaler's own ``step`` would.
        """
        self._scaler.unscale_(cast(torch.optim.Optimizer, self))  # which has what the scaler uses
        norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), self._max_norm)
        self.finite = torch.isfinite(loss) & torch.isfinite(norm)
        self._adamw(learning_rate)
        if self._scaler.is_enabled():
            before = self._scale()
            self._scaler.update()  # after an overflow lower, after many steps without one higher
            after = self._scale()
            self._overflowed = torch.isfinite(loss) & (after < before) & (after >= _MIN_SCALE)
        return norm

    @torch.no_grad()
    def _adamw(self, learning_rate: float) -> None:
        """Move every parameter by its ``.grad``; unless ``finite``, nothing moves and the step does not count."""
        for weight_decay, parameters in self._groups:
            adamw(
                parameters,
                [parameter.grad for parameter in parameters if parameter.grad is not None],
                [self._exp_avg[parameter] for parameter in parameters],
                [self._exp_avg_sq[parameter] for parameter in parameters],
                [],
                [self._steps[parameter] for parameter in parameters],
                fused=True,
                found_inf=(~self.finite).float(),
                amsgrad=False,
                beta1=self._betas[0],
                beta2=self._betas[1],
                lr=learning_rate,
                weight_decay=weight_decay,
                eps=_EPSILON,
                maximize=False,
            )

    def state_dict(self) -> dict[str, Tensor]:
        """Return the moments, the step count and the loss scale, by name, in fp32."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self._parameters.items():
            tensors[f"optimizer.exp_avg.{name}"] = self._exp_avg[parameter]
            tensors[f"optimizer.exp_avg_sq.{name}"] = self._exp_avg_sq[parameter]
            tensors["optimizer.step"] = self._steps[parameter]
        if self._scaler.is_enabled():
            state = self._scaler.state_dict()
            tensors["scaler.scale"] = torch.tensor(float(state["scale"]))
            tensors["scaler.growth_tracker"] = torch.tensor(float(state["_growth_tracker"]))
        return tensors

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned. The loss scale is the initial one where another precision had none."""
        for name, parameter in self._parameters.items():
            self._steps[parameter].copy_(tensors["optimizer.step"])
            self._exp_avg[parameter].copy_(tensors[f"optimizer.exp_avg.{name}"])
            self._exp_avg_sq[parameter].copy_(tensors[f"optimizer.exp_avg_sq.{name}"])
        if self._scaler.is_enabled():
            scale, tracker = tensors.get("scaler.scale"), tensors.get("scaler.growth_tracker")
            self._scaler.load_state_dict(
                {
                    **self._scaler.state_dict(),
                    "scale": _INITIAL_SCALE if scale is None else scale.item(),
                    "_growth_tracker": 0 if tracker is None else int(tracker.item()),
                }
            )
