"""One forward pass with its parts kept, and copies of a model that share its weights."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from shakegpt.model.attention import attention_weights
from shakegpt.model.gpt import GPT, Block


@dataclass(frozen=True)
class Parts:
    """What the stream of a forward pass was made of, on a CPU, in fp32. One entry a block in each list."""

    n_head: int
    streams: list[Tensor] = field(default_factory=list)
    """After the embedding and after each block: L + 1 of (B, T, C)."""
    projected: list[Tensor] = field(default_factory=list)
    """Queries, keys and values of all heads: (B, T, 3·C) each."""
    mixed: list[Tensor] = field(default_factory=list)
    """The values that each head has mixed, side by side, before the output projection: (B, T, C) each."""
    mlps: list[Tensor] = field(default_factory=list)
    """What the MLP adds to the stream: (B, T, C) each."""

    def attention(self, layer: int) -> Tensor:
        """Return how much each token attends to each other in a layer: (B, H, T, T)."""
        return attention_weights(self.projected[layer], self.n_head)


def forward_parts(model: GPT, ids: Tensor) -> Parts:
    """Run the model's own forward pass, and keep its parts.

    Hooks listen to the modules of a copy that shares the weights: another thread may train, evaluate or generate with
    ``model`` meanwhile and is not listened to, and a model that nobody inspects has no hooks at all.

    Args:
        model: the model, on any device. Its weights must not change meanwhile.
        ids: token ids, (B, T).
    """
    model = share_weights(model)
    parts = Parts(model.config.n_head)

    def keep_input(target: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _module, inputs: target.append(_on_cpu(inputs[0]))

    def keep_output(target: list[Tensor]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _module, _inputs, output: target.append(_on_cpu(output))

    for block in model.blocks:
        assert isinstance(block, Block)
        block.register_forward_pre_hook(keep_input(parts.streams))
        block.attention.query_key_value.register_forward_hook(keep_output(parts.projected))
        block.attention.projection.register_forward_pre_hook(keep_input(parts.mixed))
        block.mlp.register_forward_hook(keep_output(parts.mlps))
    model.final_norm.register_forward_pre_hook(keep_input(parts.streams))
    model(ids.to(model.token_embedding.weight.device))
    return parts


def share_weights(model: GPT) -> GPT:
    """Return a copy of a model whose modules are its own and whose parameters are the model's."""
    return copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})


def _on_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32)
