"""AdamW's state and step, without ``torch.optim.Optimizer``: that imports torch's compiler, for 63 MB and a second."""

import torch
from torch import Tensor
from torch.optim.adamw import adamw

_EPSILON = 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv:1711.05101), in torch's fused kernel.

    Args:
        groups: each the weight decay and the parameters it goes for, all on one device.
        betas: decay of the running means of the gradient and of its square.
    """

    def __init__(self, groups: list[tuple[float, list[Tensor]]], betas: tuple[float, float]) -> None:
        self.param_groups = [{"params": parameters} for _, parameters in groups]
        """As a gradient scaler wants to see them."""
        self._groups, self._betas = groups, betas
        self.means = {p: torch.zeros_like(p, requires_grad=False) for _, parameters in groups for p in parameters}
        """The running mean of each parameter's gradient."""
        self.squares = {p: torch.zeros_like(mean) for p, mean in self.means.items()}
        """The running mean of its square."""
        self.steps = {p: torch.zeros((), device=p.device) for p in self.means}
        """Steps taken; the kernel wants one number for each parameter, where the parameter is."""
        self.learning_rate = 0.0

    @torch.no_grad()
    def step(self, skip: Tensor) -> None:
        """Move every parameter by its ``.grad``.

        Args:
            skip: a bool on the device; where it is true, nothing moves and the step does not count.
        """
        for weight_decay, parameters in self._groups:
            adamw(
                parameters,
                [parameter.grad for parameter in parameters if parameter.grad is not None],
                [self.means[parameter] for parameter in parameters],
                [self.squares[parameter] for parameter in parameters],
                [],
                [self.steps[parameter] for parameter in parameters],
                fused=True,
                found_inf=skip.float(),
                amsgrad=False,
                beta1=self._betas[0],
                beta2=self._betas[1],
                lr=self.learning_rate,
                weight_decay=weight_decay,
                eps=_EPSILON,
                maximize=False,
            )
