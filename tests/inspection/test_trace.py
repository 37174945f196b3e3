"""A trace, beside the forward pass written out in numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shakegpt.errors import UsageError
from shakegpt.inspection.parts import share_weights
from shakegpt.inspection.trace import inspect
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from tests.inspection.plain_forward import normalise, plain_forward, plain_losses

TEXT = "ab: jih\n"  # a whole window


def weight(language_model: LanguageModel, name: str) -> np.ndarray:
    return language_model.model.state_dict()[name].double().numpy()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="\n abcdefghij:", min_size=1, max_size=8))
def test_attention_lens_and_loss_are_those_of_the_definition(random_model: LanguageModel, text: str) -> None:
    ids = random_model.vocabulary.encode(text)
    expected = plain_forward(random_model.model, ids)
    trace = inspect(random_model, text)
    assert trace.attention.shape == (2, 3, len(text), len(text))
    assert trace.lens.shape == (3, len(text), 13)
    np.testing.assert_allclose(trace.attention, expected.attention, atol=1e-5)
    np.testing.assert_allclose(trace.lens, expected.lens, atol=1e-5)
    assert trace.loss.shape == (len(text),)
    assert math.isnan(trace.loss[0])
    np.testing.assert_allclose(trace.loss[1:], plain_losses(expected.lens[-1], ids), atol=1e-5)


def test_nobody_looks_ahead_and_each_row_sums_to_one(random_model: LanguageModel) -> None:
    attention = inspect(random_model, TEXT).attention
    assert (np.triu(attention, 1) == 0).all()
    np.testing.assert_allclose(attention.sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("character", "a:\n")
@pytest.mark.parametrize("position", [0, 3, -1])
def test_the_parts_of_a_logit_add_up_to_it(random_model: LanguageModel, character: str, position: int) -> None:
    trace = inspect(random_model, TEXT)
    found = trace.attribution(character, position)
    index = random_model.vocabulary.stoi[character]
    assert found.position == position % len(TEXT)
    assert found.logit == trace.lens[-1, position, index]
    assert found.total == pytest.approx(found.logit, abs=1e-5)
    assert (found.heads.shape, found.mlps.shape, found.biases.shape) == ((2, 3), (2,), (2,))


def test_each_part_of_a_logit_is_its_output_through_the_final_norm_and_the_head(random_model: LanguageModel) -> None:
    """Less the embeddings, the biases and the constant, the heads and the MLPs are the logit."""
    ids, position = random_model.vocabulary.encode(TEXT), 5
    expected, found = plain_forward(random_model.model, ids), inspect(random_model, TEXT).attribution("c", position)
    row = weight(random_model, "token_embedding.weight")[random_model.vocabulary.stoi["c"]]
    gain = weight(random_model, "final_norm.weight")
    scale = math.sqrt(expected.stream[position].var() + 1e-5)

    def add(output: np.ndarray) -> float:
        return float(((output - output.mean()) / scale * gain) @ row)

    for layer in range(2):
        for head in range(3):
            output = expected.head_outputs[layer, head, position]
            assert found.heads[layer, head] == pytest.approx(add(output), abs=1e-5)
        assert found.mlps[layer] == pytest.approx(add(expected.mlp_outputs[layer, position]), abs=1e-5)
        bias = weight(random_model, f"blocks.{layer}.attention.projection.bias")
        assert found.biases[layer] == pytest.approx(add(bias), abs=1e-5)
    assert found.token == pytest.approx(add(weight(random_model, "token_embedding.weight")[ids[position]]), abs=1e-5)
    assert found.place == pytest.approx(add(weight(random_model, "position_embedding.weight")[position]), abs=1e-5)
    assert found.constant == pytest.approx(float(weight(random_model, "final_norm.bias") @ row), abs=1e-5)
    others = found.token + found.place + found.biases.sum() + found.constant
    assert found.heads.sum() + found.mlps.sum() == pytest.approx(found.logit - others, abs=1e-5)


def test_the_final_norm_of_the_test_is_the_model_s(random_model: LanguageModel) -> None:
    x = np.random.default_rng(0).normal(size=(3, 12))
    norm = random_model.model.final_norm
    expected = norm(torch.from_numpy(x).float()).detach().numpy()
    parts = (norm.weight.detach().double().numpy(), norm.bias.detach().double().numpy())
    np.testing.assert_allclose(normalise(x, *parts), expected, atol=1e-5)


def test_of_a_long_text_the_last_window_is_looked_at(random_model: LanguageModel) -> None:
    long, last = inspect(random_model, "abcdefgh" + TEXT), inspect(random_model, TEXT)
    assert (long.text, long.skipped) == (TEXT, 8)
    assert last.skipped == 0
    assert (long.attention == last.attention).all()
    assert (long.lens == last.lens).all()


def test_the_likeliest_and_the_layer_that_decides(random_model: LanguageModel) -> None:
    trace = inspect(random_model, TEXT)
    for position in range(len(TEXT)):
        likeliest = trace.likeliest(position, 13)
        assert [p for _, p in likeliest] == sorted((p for _, p in likeliest), reverse=True)
        assert sum(p for _, p in likeliest) == pytest.approx(1)
        leaders = [trace.likeliest(position, 1, layer=layer)[0][0] for layer in range(3)]
        decided = trace.decided_at(position)
        assert set(leaders[decided:]) == {leaders[-1]}
        assert decided == 0 or leaders[decided - 1] != leaders[-1]
    assert trace.mean_loss == pytest.approx(float(np.mean(trace.loss[1:])))
    assert len({trace.decided_at(position) for position in range(len(TEXT))}) > 1


def test_a_single_character_has_no_loss(random_model: LanguageModel) -> None:
    trace = inspect(random_model, "a")
    assert math.isnan(trace.mean_loss)
    assert trace.attention.shape == (2, 3, 1, 1)


def test_a_muted_trace_is_that_of_a_model_with_zeroed_columns(random_model: LanguageModel) -> None:
    muted = inspect(random_model, TEXT, muted=[(0, 1)])
    with torch.no_grad():
        random_model.model.blocks[0].attention.projection.weight[:, 4:8] = 0
    by_hand = inspect(random_model, TEXT)
    assert muted.muted == ((0, 1),)
    assert (muted.lens == by_hand.lens).all()
    assert (muted.attention == by_hand.attention).all()
    assert muted.attribution("a").heads[0, 1] == 0
    assert (muted.attribution("a").heads == by_hand.attribution("a").heads).all()


def test_who_uses_the_model_meanwhile_is_not_listened_to(
    random_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a thread does that trains, evaluates or generates with the model during the trace's own pass."""
    expected, forward = inspect(random_model, TEXT), GPT.forward

    def forward_beside_another(model: GPT, ids: torch.Tensor) -> torch.Tensor:
        forward(random_model.model, (ids + 1) % 13)
        return forward(model, ids)

    monkeypatch.setattr(GPT, "forward", forward_beside_another)
    trace = inspect(random_model, TEXT)
    assert (trace.attention == expected.attention).all()
    assert (trace.lens == expected.lens).all()


def test_the_model_is_left_without_hooks_and_gradients(random_model: LanguageModel) -> None:
    inspect(random_model, TEXT)
    for module in random_model.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert all(parameter.grad is None for parameter in random_model.model.parameters())


def test_a_copy_that_shares_weights_has_modules_of_its_own(random_model: LanguageModel) -> None:
    model = random_model.model
    copy = share_weights(model)
    for name, parameter in copy.named_parameters():
        assert parameter is model.get_parameter(name)
    originals = {id(module) for module in model.modules()}
    assert not originals & {id(module) for module in copy.modules()}


@pytest.mark.parametrize(
    ("inspected", "message"),
    [
        (lambda model: inspect(model, ""), "text is empty"),
        (lambda model: inspect(model, "abZ"), "never seen 'Z'"),
        (lambda model: inspect(model, "ab", muted=[(2, 0)]), "no head 3.1, which"),
        (lambda model: inspect(model, "ab").attribution("Z"), "no character 'Z'"),
        (lambda model: inspect(model, "ab").attribution("ab"), "no character 'ab'"),
    ],
)
def test_what_cannot_be_inspected_is_said_in_a_sentence(
    random_model: LanguageModel, inspected: "object", message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        inspected(random_model)  # type: ignore[operator]
