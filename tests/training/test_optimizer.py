"""AdamW on matrices with decay and on the rest without; what is not finite never reaches a weight."""

import math

import pytest
import torch

from shakegpt.config import ModelConfig, Precision, TrainingConfig
from shakegpt.model.gpt import GPT
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.optimizer import Optimizer

CONFIG = TrainingConfig(learning_rate=0.1, min_learning_rate=0.0, weight_decay=0.5, grad_clip=0.0)
FINE = torch.tensor(1.0)


@pytest.fixture
def gpt(tiny_config: ModelConfig) -> GPT:
    return GPT(tiny_config, seed=1)


def fill_gradients(gpt: GPT, value: float) -> None:
    for parameter in gpt.parameters():
        assert parameter.grad is not None
        parameter.grad.fill_(value)


def weights_of(gpt: GPT) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in gpt.named_parameters()}


def unchanged(gpt: GPT, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(parameter, before[name]) for name, parameter in gpt.named_parameters())


def test_decay_shrinks_matrices_and_leaves_vectors_alone(gpt: GPT) -> None:
    with torch.no_grad():
        for parameter in gpt.parameters():
            parameter.fill_(2.0)
    Optimizer(FlatParameters(gpt), CONFIG, precision="fp32").step(0.1, FINE)  # of a gradient of zeros
    for name, parameter in gpt.named_parameters():
        expected = 2.0 * (1 - 0.1 * 0.5) if parameter.ndim == 2 else 2.0
        assert torch.allclose(parameter, torch.full_like(parameter, expected)), name
    assert {parameter.ndim for parameter in gpt.parameters()} == {1, 2}


def test_the_step_is_adams(gpt: GPT) -> None:
    """Two steps against the paper's formulas, in plain Python."""
    rate, beta1, beta2, epsilon, decay = 0.01, 0.9, 0.95, 1e-8, 0.5
    optimizer = Optimizer(
        FlatParameters(gpt), TrainingConfig(weight_decay=decay, beta2=beta2, grad_clip=0.0), precision="fp32"
    )
    weight = gpt.blocks[0].mlp.expansion.weight
    value, mean, square = weight[0, 0].item(), 0.0, 0.0
    for step, gradient in enumerate((0.3, -0.2), start=1):
        fill_gradients(gpt, gradient)
        optimizer.step(rate, FINE)
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient**2
        value -= rate * decay * value
        value -= rate * (mean / (1 - beta1**step)) / (math.sqrt(square / (1 - beta2**step)) + epsilon)
        assert weight[0, 0].item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(("most", "factor"), [(0.0, 1.0), (1e9, 1.0), (0.5, None)])
def test_the_norm_is_measured_before_clipping_to_the_maximum(gpt: GPT, most: float, factor: float | None) -> None:
    optimizer = Optimizer(FlatParameters(gpt), TrainingConfig(grad_clip=most), precision="fp32")
    fill_gradients(gpt, 0.25)
    norm = 0.25 * math.sqrt(sum(parameter.numel() for parameter in gpt.parameters()))
    assert optimizer.step(1e-3, FINE).item() == pytest.approx(norm, rel=1e-5)
    first_moment = optimizer.state_dict()["optimizer.exp_avg.final_norm.weight"][0].item()
    assert first_moment == pytest.approx(0.1 * 0.25 * (factor or most / norm), rel=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize(
    ("loss", "gradient"), [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf), (1.0, -math.inf)]
)
def test_what_is_not_finite_stops_before_the_step(gpt: GPT, precision: Precision, loss: float, gradient: float) -> None:
    optimizer = Optimizer(FlatParameters(gpt), CONFIG, precision=precision)
    fill_gradients(gpt, 0.1)
    optimizer.step(0.1, FINE)
    before, moments = weights_of(gpt), {name: t.clone() for name, t in optimizer.state_dict().items()}
    fill_gradients(gpt, 0.1)
    gpt.token_embedding.weight.grad[3, 1] = gradient  # type: ignore[index]
    optimizer.step(0.1, torch.tensor(loss))
    assert not optimizer.finite
    assert unchanged(gpt, before)
    for name, tensor in optimizer.state_dict().items():
        assert torch.equal(tensor, moments[name]) or name.startswith("scaler."), name
    fill_gradients(gpt, 0.1)
    optimizer.step(0.1, FINE)
    assert optimizer.finite
    assert not unchanged(gpt, before)


def test_only_fp16_scales_the_loss(gpt: GPT) -> None:
    scales = {
        name: Optimizer(FlatParameters(gpt), CONFIG, precision=name).loss_scale for name in ("fp32", "bf16", "fp16")
    }  # type: ignore[arg-type]
    assert scales == {"fp32": 1.0, "bf16": 1.0, "fp16": 65536.0}


def test_fp16_unscales_before_it_clips_and_steps(tiny_config: ModelConfig) -> None:
    plain, scaled = GPT(tiny_config, seed=1), GPT(tiny_config, seed=1)
    config = TrainingConfig(grad_clip=0.5)
    one, other = (
        Optimizer(FlatParameters(plain), config, precision="fp32"),
        Optimizer(FlatParameters(scaled), config, precision="fp16"),
    )
    fill_gradients(plain, 0.25)
    fill_gradients(scaled, 0.25 * other.loss_scale)
    assert other.step(1e-3, FINE).item() == pytest.approx(one.step(1e-3, FINE).item(), rel=1e-6)
    expected = weights_of(plain)
    assert all(torch.allclose(parameter, expected[name], rtol=1e-5) for name, parameter in scaled.named_parameters())


def test_an_overflow_in_fp16_halves_the_scale_and_is_part_of_the_recipe(gpt: GPT) -> None:
    optimizer = Optimizer(FlatParameters(gpt), CONFIG, precision="fp16")
    for scale in (32768.0, 16384.0):
        fill_gradients(gpt, math.inf)
        optimizer.step(0.1, FINE)
        assert (bool(optimizer.finite), bool(optimizer.overflowed), optimizer.loss_scale) == (False, True, scale)
    fill_gradients(gpt, 1.0)
    optimizer.step(0.1, FINE)
    assert (bool(optimizer.finite), bool(optimizer.overflowed)) == (True, False)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_restored_optimizer_continues_exactly(tiny_config: ModelConfig, precision: Precision) -> None:
    def take(gpt: GPT, optimizer: Optimizer, gradients: list[float]) -> None:
        for gradient in gradients:
            fill_gradients(gpt, gradient)
            optimizer.step(0.01, FINE)

    uncut, cut = GPT(tiny_config, seed=1), GPT(tiny_config, seed=1)
    first = Optimizer(FlatParameters(uncut), CONFIG, precision=precision)
    take(uncut, first, [0.3, math.inf, -0.1, 0.2])
    before = Optimizer(FlatParameters(cut), CONFIG, precision=precision)
    take(cut, before, [0.3, math.inf])
    after = Optimizer(FlatParameters(cut), CONFIG, precision=precision)
    after.load_state_dict({name: tensor.clone() for name, tensor in before.state_dict().items()})
    take(cut, after, [-0.1, 0.2])
    assert unchanged(cut, weights_of(uncut))
    assert after.loss_scale == first.loss_scale
    assert all(torch.equal(tensor, first.state_dict()[name]) for name, tensor in after.state_dict().items())


def test_before_the_first_step_the_moments_are_zero(gpt: GPT) -> None:
    tensors = Optimizer(FlatParameters(gpt), CONFIG, precision="fp32").state_dict()
    assert len(tensors) == 1 + 2 * len(list(gpt.parameters()))
    assert all(not tensor.any() for tensor in tensors.values())
