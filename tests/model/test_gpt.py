"""The GPT against its definition: attention spelled out in plain Python, GPT-2's start, causality, the tied head."""

import math

import pytest
import torch
from torch.nn import functional

from shakegpt.config import PRESETS, ModelConfig
from shakegpt.data.corpus import Corpus
from shakegpt.evaluation.loss import evaluate
from shakegpt.model.gpt import GPT, CausalSelfAttention
from shakegpt.model.kv_cache import KVCache


def attend_in_plain_python(attention: CausalSelfAttention, x: torch.Tensor) -> list[list[float]]:
    """One sequence, (T, C), through the attention as the paper defines it: loops, lists and ``math.exp``."""
    width, heads = x.shape[1], attention.n_head
    size = width // heads
    weight, bias = attention.query_key_value.weight.tolist(), attention.query_key_value.bias.tolist()
    rows = [[sum(w * v for w, v in zip(line, row, strict=True)) + b for line, b in zip(weight, bias, strict=True)]
            for row in x.tolist()]  # fmt: skip
    mixed = [[0.0] * width for _ in rows]
    for head in range(heads):
        columns = range(head * size, (head + 1) * size)
        for t, row in enumerate(rows):
            scores = [
                sum(row[c] * rows[s][width + c] for c in columns) / math.sqrt(size) for s in range(t + 1)
            ]  # fmt: skip
            largest = max(scores)
            exponentials = [math.exp(score - largest) for score in scores]
            for c in columns:
                mixed[t][c] = sum(
                    e / sum(exponentials) * rows[s][2 * width + c] for s, e in enumerate(exponentials)
                )  # fmt: skip
    weight, bias = attention.projection.weight.tolist(), attention.projection.bias.tolist()
    return [[sum(w * v for w, v in zip(line, row, strict=True)) + b for line, b in zip(weight, bias, strict=True)]
            for row in mixed]  # fmt: skip


@pytest.mark.parametrize(("heads", "length"), [(1, 1), (1, 5), (2, 2), (3, 7), (6, 8)])
def test_attention_is_as_the_paper_defines_it(heads: int, length: int) -> None:
    config = ModelConfig(vocab_size=5, n_layer=1, n_head=heads, d_model=12, d_ff=8, block_size=8)
    attention = CausalSelfAttention(config)
    generator = torch.Generator().manual_seed(heads)
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_(generator=generator)
        x = torch.randn(2, length, 12, generator=generator)
        computed = attention(x)
    for sequence, result in zip(x, computed, strict=True):
        assert torch.allclose(result, torch.tensor(attend_in_plain_python(attention, sequence)), atol=1e-4)


def test_the_forward_pass_is_made_of_its_parts(tiny_model: GPT, tiny_config: ModelConfig) -> None:
    """Pre-norm blocks, residuals, GELU, a final norm and the tied head, put together from the named parts."""
    ids = torch.randint(13, (3, 8), generator=torch.Generator().manual_seed(0))
    weights = dict(tiny_model.named_parameters())
    with torch.no_grad():
        x = weights["token_embedding.weight"][ids] + weights["position_embedding.weight"][:8]
        for block in tiny_model.blocks:
            x = x + block.attention(functional.layer_norm(
                x, (12,), block.attention_norm.weight, block.attention_norm.bias))  # fmt: skip
            hidden = functional.layer_norm(x, (12,), block.mlp_norm.weight, block.mlp_norm.bias)
            hidden = functional.gelu(hidden @ block.mlp.expansion.weight.T + block.mlp.expansion.bias)
            x = x + hidden @ block.mlp.projection.weight.T + block.mlp.projection.bias
        x = functional.layer_norm(x, (12,), weights["final_norm.weight"], weights["final_norm.bias"])
        expected = x @ weights["token_embedding.weight"].T
        assert torch.allclose(tiny_model(ids), expected, atol=1e-4)


def test_no_token_sees_a_later_one(tiny_model: GPT) -> None:
    ids = torch.randint(13, (1, 8), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = tiny_model(ids)
        for place in range(8):
            changed = ids.clone()
            changed[0, place] = (changed[0, place] + 1) % 13
            after = tiny_model(changed)
            assert torch.equal(after[:, :place], before[:, :place])
            assert not torch.allclose(after[:, place:], before[:, place:])


def test_a_shorter_sequence_has_the_same_logits(tiny_model: GPT) -> None:
    ids = torch.randint(13, (2, 8), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        whole = tiny_model(ids)
        for length in range(1, 9):
            assert torch.allclose(tiny_model(ids[:, :length]), whole[:, :length], atol=1e-4)


@pytest.mark.parametrize("cuts", [[1] * 8, [3, 1, 4], [8]])
def test_with_a_cache_the_last_logits_are_those_of_the_whole(tiny_model: GPT, cuts: list[int]) -> None:
    ids = torch.randint(13, (2, 8), generator=torch.Generator().manual_seed(2))
    cache = KVCache(tiny_model.config, 2, device=ids.device, dtype=torch.float32)
    end = 0
    with torch.no_grad():
        whole = tiny_model(ids)
        for piece in ids.split(cuts, dim=1):
            end += piece.shape[1]
            assert torch.allclose(tiny_model(piece, cache), whole[:, end - 1 : end], atol=1e-5)
    assert cache.position == 8


def test_the_head_is_the_token_embedding(tiny_model: GPT) -> None:
    names = dict(tiny_model.named_parameters())
    assert not any("head" in name for name in names)
    ids = torch.zeros((1, 1), dtype=torch.int64)
    with torch.no_grad():
        before = tiny_model(ids)[0, 0]
        tiny_model.token_embedding.weight[5] *= 2  # a character that the input does not have
        after = tiny_model(ids)[0, 0]
    assert after[5] == pytest.approx(2 * float(before[5]), rel=1e-5)
    others = torch.arange(13) != 5
    assert torch.equal(after[others], before[others])


@pytest.mark.parametrize("layers", [1, 2, 6])
def test_the_initial_weights_are_gpt2s(layers: int) -> None:
    model = GPT(ModelConfig(vocab_size=65, n_layer=layers, n_head=4, d_model=128, d_ff=512, block_size=64), seed=1)
    for name, parameter in model.named_parameters():
        if name.endswith("norm.weight"):
            assert torch.all(parameter == 1), name
        elif parameter.ndim == 1:
            assert torch.all(parameter == 0), name
        else:
            residual = name.endswith("projection.weight")
            std = 0.02 / math.sqrt(2 * layers) if residual else 0.02
            assert parameter.std().item() == pytest.approx(std, rel=0.05), name
            assert abs(parameter.mean().item()) < std * 0.05, name
    scaled = [name for name, _ in model.named_parameters() if name.endswith("projection.weight")]
    assert len(scaled) == 2 * layers  # each block adds to the stream twice


def test_a_seed_fixes_the_initial_weights(tiny_config: ModelConfig) -> None:
    torch.manual_seed(0)
    first = torch.rand(1)
    torch.manual_seed(0)
    models = [GPT(tiny_config, seed=seed) for seed in (5, 5, 6)]
    assert torch.rand(1) == first  # torch's global generator has not moved
    a, b, c = ([parameter.clone() for parameter in model.parameters()] for model in models)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not all(torch.equal(x, y) for x, y in zip(a, c, strict=True))


@pytest.mark.parametrize("preset", ["mini", "nano", "baby", "gpt2"])
def test_a_configurations_shapes_are_those_of_the_model(preset: str) -> None:
    config = PRESETS[preset].model_config(65)
    with torch.device("meta"):
        model = GPT(config)
    shapes = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    assert list(config.weight_shapes.items()) == list(shapes.items())
    assert config.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_an_untrained_model_finds_all_characters_equally_likely(tiny_shakespeare: Corpus) -> None:
    model = GPT(PRESETS["mini"].model_config(len(tiny_shakespeare.vocabulary)), seed=1337)
    assert evaluate(model, tiny_shakespeare.validation[:4_000]).nats == pytest.approx(math.log(65), abs=0.1)
