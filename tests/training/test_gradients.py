"""The gradient of a batch is the gradient of its mean loss, however the work is cut and in whatever precision."""

import pytest
import torch
from torch.nn import functional

from shakegpt.config import ModelConfig, Precision
from shakegpt.model.dropout import DropoutMasks, make_dropout_masks
from shakegpt.model.gpt import GPT
from shakegpt.system.threads import ThreadPool
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.gradients import Gradients

CONFIG = ModelConfig(vocab_size=11, n_layer=2, n_head=2, d_model=16, d_ff=32, block_size=8, dropout=0.0)


def model(**changes: float) -> GPT:
    return GPT(ModelConfig(**{**CONFIG.__dict__, **changes}), seed=2)


def batch(rows: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(11, (rows, 9), generator=torch.Generator().manual_seed(0))
    return ids[:, :-1], ids[:, 1:]


def gradients_of(gpt: GPT) -> list[torch.Tensor]:
    found = [parameter.grad for parameter in gpt.parameters()]
    assert all(gradient is not None for gradient in found)
    return [gradient.clone() for gradient in found if gradient is not None]


def gradients_for(gpt: GPT, precision: Precision = "fp32", pool: ThreadPool | None = None) -> Gradients:
    return Gradients(gpt, FlatParameters(gpt), precision=precision, pool=pool)


def masks_of(step: int) -> DropoutMasks:
    return make_dropout_masks(1, step, len(batch()[0]), torch.device("cpu"))


def compute(
    gpt: GPT, *, precision: Precision = "fp32", workers: int = 1, step: int = 1, accumulate: int = 1, scale: float = 1.0
) -> tuple[float, list[torch.Tensor]]:
    gradients = gradients_for(gpt, precision, ThreadPool(workers))
    loss = gradients.compute(*batch(), masks=masks_of(step), accumulate=accumulate, scale=scale)
    return loss.item(), gradients_of(gpt)


def assert_near(one: list[torch.Tensor], other: list[torch.Tensor], *, tolerance: float) -> None:
    for a, b in zip(one, other, strict=True):
        assert (a - b).norm() <= tolerance * max(1e-3, float(b.norm()))


@pytest.fixture
def by_hand() -> tuple[float, list[torch.Tensor]]:
    """What torch's own backward pass says of the whole batch at once."""
    gpt = model()
    inputs, targets = batch()
    loss = functional.cross_entropy(gpt(inputs).flatten(0, 1), targets.flatten())
    loss.backward()
    return loss.item(), gradients_of(gpt)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("accumulate", [1, 2, 4, 8])
def test_however_the_batch_is_cut_the_gradient_is_the_same(
    by_hand: tuple[float, list[torch.Tensor]], workers: int, accumulate: int
) -> None:
    loss, gradients = compute(model(), workers=workers, accumulate=accumulate)
    assert loss == pytest.approx(by_hand[0], rel=1e-6)
    assert_near(gradients, by_hand[1], tolerance=1e-5)


def test_equal_steps_give_equal_bytes() -> None:
    one, other = (compute(model(dropout=0.2), workers=2) for _ in range(2))
    assert one[0] == other[0]
    assert all(torch.equal(a, b) for a, b in zip(one[1], other[1], strict=True))


def test_the_second_step_forgets_the_first(by_hand: tuple[float, list[torch.Tensor]]) -> None:
    gpt = model()
    gradients = gradients_for(gpt)
    for step in (1, 2):
        gradients.compute(*batch(), masks=masks_of(step))
    assert_near(gradients_of(gpt), by_hand[1], tolerance=1e-5)


def test_the_gradient_follows_the_weights(by_hand: tuple[float, list[torch.Tensor]]) -> None:
    """Copies of the weights, where there are any, are made again each step."""
    for precision in ("fp32", "bf16"):
        gpt = model()
        gradients = gradients_for(gpt, precision)  # type: ignore[arg-type]
        gradients.compute(*batch(), masks=masks_of(1))
        with torch.no_grad():
            for parameter in gpt.parameters():
                parameter.mul_(3.0)
        later = gradients.compute(*batch(), masks=masks_of(2))
        fresh = model()
        with torch.no_grad():
            for parameter in fresh.parameters():
                parameter.mul_(3.0)
        expected = gradients_for(fresh, precision).compute(*batch(), masks=masks_of(2))  # type: ignore[arg-type]
        assert later.item() == pytest.approx(expected.item(), rel=1e-6)
        assert later.item() != pytest.approx(by_hand[0], rel=1e-4)


def test_a_scale_multiplies_the_gradient_and_not_the_loss(by_hand: tuple[float, list[torch.Tensor]]) -> None:
    loss, gradients = compute(model(), scale=1024.0)
    assert loss == pytest.approx(by_hand[0], rel=1e-6)
    assert_near([gradient / 1024 for gradient in gradients], by_hand[1], tolerance=1e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("bf16", 0.05), ("fp16", 0.01)])
def test_mixed_precision_is_near_fp32_and_its_gradients_are_fp32(
    by_hand: tuple[float, list[torch.Tensor]], precision: Precision, tolerance: float
) -> None:
    loss, gradients = compute(model(), precision=precision)
    assert loss == pytest.approx(by_hand[0], rel=tolerance)
    assert loss != by_hand[0]
    assert all(gradient.dtype == torch.float32 for gradient in gradients)
    assert_near(gradients, by_hand[1], tolerance=tolerance * 2)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_joined_gradients_of_linear_layers_give_the_same_bytes(precision: Precision) -> None:
    """As a GPU adds them."""
    apart, joined = model(), model()
    for gpt, joins in ((apart, False), (joined, True)):
        gradients = gradients_for(gpt, precision, ThreadPool(2))
        gradients._joins_linear = joins
        gradients.compute(*batch(), masks=masks_of(1), accumulate=4)
    assert all(torch.equal(a, b) for a, b in zip(gradients_of(apart), gradients_of(joined), strict=True))
    assert all(bool(gradient.any()) for gradient in gradients_of(joined))


def test_dropout_drops_in_training_and_depends_on_the_step() -> None:
    plain = compute(model())[0]
    losses = [compute(model(dropout=0.3), step=step)[0] for step in (1, 1, 2)]
    assert losses[0] == losses[1]
    assert len({plain, losses[0], losses[2]}) == 3


@pytest.mark.parametrize("accumulate", [2, 4])
def test_dropout_is_the_same_however_the_batch_is_cut(accumulate: int) -> None:
    whole, cut = compute(model(dropout=0.3)), compute(model(dropout=0.3), accumulate=accumulate, workers=2)
    assert cut[0] == pytest.approx(whole[0], rel=1e-6)
    assert_near(cut[1], whole[1], tolerance=1e-5)
