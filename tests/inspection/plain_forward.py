"""The forward pass of one text in plain numpy, in double precision, straight from the definition: nothing is shared."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shakegpt.model.gpt import GPT

Array = NDArray[np.float64]


@dataclass
class PlainForward:
    """What a pass over T tokens leaves."""

    attention: Array
    """(L, H, T, T)."""
    lens: Array
    """(L + 1, T, V)."""
    head_outputs: Array
    """(L, H, T, C): what each head adds to the stream."""
    mlp_outputs: Array
    """(L, T, C)."""
    stream: Array
    """(T, C): the last."""


def normalise(x: Array, gain: Array, bias: Array) -> Array:
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5) * gain + bias


def plain_forward(model: GPT, ids: list[int]) -> PlainForward:
    weights = {name: value.detach().double().numpy() for name, value in model.state_dict().items()}
    layers, heads = model.config.n_layer, model.config.n_head
    T, C = len(ids), model.config.d_model  # noqa: N806
    D = C // heads  # noqa: N806

    def read(stream: Array) -> Array:
        final = normalise(stream, weights["final_norm.weight"], weights["final_norm.bias"])
        return final @ weights["token_embedding.weight"].T

    x = weights["token_embedding.weight"][ids] + weights["position_embedding.weight"][:T]
    attention = np.zeros((layers, heads, T, T))
    head_outputs, mlp_outputs, lens = np.zeros((layers, heads, T, C)), np.zeros((layers, T, C)), [read(x)]
    for layer in range(layers):
        block = {
            name.removeprefix(f"blocks.{layer}."): value
            for name, value in weights.items()
            if name.startswith(f"blocks.{layer}.")
        }
        normed = normalise(x, block["attention_norm.weight"], block["attention_norm.bias"])
        projected = normed @ block["attention.query_key_value.weight"].T + block["attention.query_key_value.bias"]
        for head in range(heads):
            query, key, value = (
                projected[:, part * C + head * D : part * C + (head + 1) * D] for part in range(3)
            )  # (T, D) each
            for t in range(T):
                scores = np.array([query[t] @ key[s] / math.sqrt(D) for s in range(t + 1)])
                exponentials = np.exp(scores - scores.max())
                attention[layer, head, t, : t + 1] = exponentials / exponentials.sum()
            columns = block["attention.projection.weight"][:, head * D : (head + 1) * D]
            head_outputs[layer, head] = attention[layer, head] @ value @ columns.T
        x = x + head_outputs[layer].sum(axis=0) + block["attention.projection.bias"]
        normed = normalise(x, block["mlp_norm.weight"], block["mlp_norm.bias"])
        hidden = normed @ block["mlp.expansion.weight"].T + block["mlp.expansion.bias"]
        hidden = hidden * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2))) / 2
        mlp_outputs[layer] = hidden @ block["mlp.projection.weight"].T + block["mlp.projection.bias"]
        x = x + mlp_outputs[layer]
        lens.append(read(x))
    return PlainForward(attention, np.array(lens), head_outputs, mlp_outputs, x)


def plain_losses(logits: Array, ids: list[int]) -> Array:
    """The loss of each token but the first, (T - 1,), from the logits at the one before it, (T, V)."""
    return np.array(
        [math.log(np.exp(row - row[target]).sum()) for row, target in zip(logits[:-1], ids[1:], strict=True)]
    )
