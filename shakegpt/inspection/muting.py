"""Muting heads: a copy of a model that speaks without them."""

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from shakegpt.config import ModelConfig
from shakegpt.errors import UsageError
from shakegpt.inspection.head import WITHOUT_HEAD, Head, head_name
from shakegpt.inspection.parts import share_weights
from shakegpt.model.gpt import Block
from shakegpt.model.language_model import LanguageModel


def mute(language_model: LanguageModel, heads: Iterable[Head]) -> LanguageModel:
    """Return a copy in which some heads add nothing to the stream: their columns of the output projection are zero.

    It is a model like any other: it can be evaluated, inspected and generated with. The other weights are shared.

    Args:
        language_model: the model.
        heads: which ones, as (block, head), both from 0.

    Raises:
        UsageError: there is no such head.
    """
    muted = sorted(set(heads))
    config = language_model.model.config
    for layer, head in muted:
        if not (0 <= layer < config.n_layer and 0 <= head < config.n_head):
            raise UsageError(
                f"There is no head {head_name((layer, head))}, which is {(layer, head)} counted from 0: the model has "
                f"{config.n_layer} {'block' if config.n_layer == 1 else 'blocks'} of {config.n_head} heads."
            )
    if not muted:
        return language_model
    model, width = share_weights(language_model.model), config.d_model // config.n_head
    for layer in {layer for layer, _ in muted}:
        block = model.blocks[layer]
        assert isinstance(block, Block)
        weight = block.attention.projection.weight
        with torch.no_grad():
            columns = weight.detach().clone()
            for head in (head for muted_layer, head in muted if muted_layer == layer):
                columns[:, head * width : (head + 1) * width] = 0
        block.attention.projection.weight = nn.Parameter(columns, requires_grad=weight.requires_grad)
    names = ", ".join(head_name(head) for head in muted)
    name = f"{language_model.name}{WITHOUT_HEAD}{'s' if len(muted) > 1 else ''} {names}"
    return replace(language_model, model=model, name=name)


def all_heads(config: ModelConfig) -> list[Head]:
    """Return every head of a model, block after block."""
    return [(layer, head) for layer in range(config.n_layer) for head in range(config.n_head)]
