"""A model's parameters as one vector, and their gradient as another: a step over all of them is a few kernels."""

import torch
from torch import Tensor

from shakegpt.model.gpt import GPT

_LINEAR_LAYERS = ("query_key_value", "projection", "expansion")


class FlatParameters:
    """One fp32 vector of all weights and one of their gradient, on the model's device.

    Every parameter becomes a view of the first, and its ``.grad`` a view of the second. Matrices come before vectors,
    and what the linear layers of the blocks have of both lies side by side: embeddings, weights of linear layers, their
    biases, norms. So AdamW's groups are two slices, and one copy takes all linear layers to a lower precision.

    Args:
        model: its weights keep their values. It must not be moved to another device afterwards.
    """

    def __init__(self, model: GPT) -> None:
        named = dict(model.named_parameters())
        self._names = tuple(named)
        self._shapes = {name: named[name].shape for name in sorted(named, key=lambda name: _place(name, named[name]))}
        sizes = {name: parameter.numel() for name, parameter in named.items()}
        matrices = sum(size for name, size in sizes.items() if named[name].ndim >= 2)
        embeddings = sum(size for name, size in sizes.items() if named[name].ndim >= 2 and not is_linear(name))
        linear = sum(size for name, size in sizes.items() if is_linear(name))
        self.matrices, self.vectors = slice(0, matrices), slice(matrices, None)
        """Which elements are of matrices, and which are not."""
        self.linear = slice(embeddings, embeddings + linear)
        """Which elements are of the blocks' linear layers, weights and biases."""
        self.weights, self.gradient = (
            torch.zeros(sum(sizes.values()), device=model.token_embedding.weight.device) for _ in range(2)
        )  # (N,) each
        weights, gradients = self.views(self.weights), self.views(self.gradient)
        for name, parameter in named.items():
            weights[name].copy_(parameter.detach())
            parameter.data, parameter.grad = weights[name], gradients[name]

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Return the parameters' parts of a vector (N,) in their shapes, by name, in the model's order."""
        sizes = [shape.numel() for shape in self._shapes.values()]
        parts = dict(zip(self._shapes, torch.split(flat, sizes), strict=True))
        return {name: parts[name].view(self._shapes[name]) for name in self._names}

    def linear_views(self, flat: Tensor) -> dict[str, Tensor]:
        """Return the linear layers' parts of a vector as long as their slice, in their shapes, by name."""
        shapes = {name: shape for name, shape in self._shapes.items() if is_linear(name)}
        parts = torch.split(flat, [shape.numel() for shape in shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def is_linear(name: str) -> bool:
    """Return whether a parameter of this name belongs to a linear layer of a block."""
    return any(f".{layer}." in name for layer in _LINEAR_LAYERS)


def _place(name: str, parameter: Tensor) -> int:
    if parameter.ndim >= 2:
        return 1 if is_linear(name) else 0
    return 2 if is_linear(name) else 3
