"""The step program: the same as a plain loop, and fit to be recorded."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from shakegpt.config import PRESETS, ModelConfig, Precision, TrainingConfig
from shakegpt.data.corpus import Corpus
from shakegpt.model.dropout import DeviceDropoutMasks, SequenceDropoutMasks
from shakegpt.model.gpt import GPT
from shakegpt.system.device import bf16_speed_ratio
from shakegpt.system.seeds import derive_seed
from shakegpt.system.threads import torch_threads
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.gradients import DTYPES, Gradients
from shakegpt.training.optimizer import Optimizer
from shakegpt.training.schedule import learning_rate_at
from shakegpt.training.step import LONGEST_CHUNK, StepProgram

PRECISIONS: list[Precision] = ["fp32", "bf16", "fp16"]


class Setup:
    """A small training, and all of its state."""

    def __init__(self, corpus: Corpus, precision: Precision = "fp32", **changes: Any) -> None:
        self.shape = PRESETS["nano"].model_config(len(corpus.vocabulary), dropout=0.1)
        self.config = PRESETS["nano"].training_config(**({"steps": 120, "batch_size": 8} | changes))
        self.model = GPT(self.shape, seed=1)
        self.parameters = FlatParameters(self.model)
        self.optimizer = Optimizer(self.parameters, self.config, precision=precision)
        gradients = Gradients(self.model, self.parameters, precision=precision)
        self.program = StepProgram(corpus.train, self.config, self.shape.block_size, gradients, self.optimizer)

    def rate(self, step: int) -> float:
        return learning_rate_at(step, self.config)

    def take(self, first: int, count: int) -> list[float]:
        self.program.load(first, count, self.rate)
        for step in range(first, first + count):
            self.program.begin(step)
            self.program.step()
        return [result.loss for result in self.program.read(count)]


def plain_losses(corpus: Corpus, shape: ModelConfig, config: TrainingConfig, precision: Precision) -> list[float]:
    """100 steps of a loop written with torch's own optimizer, clipping and scaling of gradients.

    It keeps to the formats and to the order of the program's sums: rounded weights for linear layers, one pass.
    """
    model, low = GPT(shape, seed=1), GPT(shape, seed=1)
    is_linear = {
        n: any(part in n for part in ("query_key_value", "projection", "expansion"))
        for n in dict(model.named_parameters())
    }
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=1.0, betas=(config.beta1, config.beta2), fused=True)
    losses = []
    for step in range(1, 101):
        generator = torch.Generator().manual_seed(derive_seed(config.seed, "batch", step))
        starts = torch.randint(len(corpus.train) - shape.block_size, (config.batch_size,), generator=generator)
        windows = torch.stack([corpus.train[start : start + shape.block_size + 1] for start in starts]).long()
        for (name, parameter), copy in zip(model.named_parameters(), low.parameters(), strict=True):
            copy.data = parameter.detach().to(DTYPES[precision]) if is_linear[name] else parameter.detach()
            copy.grad = None
        masks = SequenceDropoutMasks(config.seed, step, range(config.batch_size))
        logits = low(windows[:, :-1], masks=masks).flatten(0, 1).float()
        total = functional.cross_entropy(logits, windows[:, 1:].flatten(), reduction="sum")
        (total / windows[:, 1:].numel()).backward()  # type: ignore[no-untyped-call]
        for parameter, copy in zip(model.parameters(), low.parameters(), strict=True):
            assert copy.grad is not None
            parameter.grad = copy.grad.float()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        for group in adamw.param_groups:
            group["lr"] = learning_rate_at(step, config)
        adamw.step()
        losses.append((total / windows[:, 1:].numel()).item())
    return losses


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_program_is_a_plain_loop_to_the_byte(demo: Corpus, precision: Precision) -> None:
    if precision == "bf16" and bf16_speed_ratio() < 0.2:
        pytest.skip("this CPU emulates bf16")
    setup = Setup(demo, precision)
    with torch_threads(1):
        losses = setup.take(1, 1) + setup.take(2, 59) + setup.take(61, 40)
        assert losses == plain_losses(demo, setup.shape, setup.config, precision)
    assert losses[-1] < losses[0] - 1


class NoHost(TorchDispatchMode):
    """Refuses what a recorded step must not do: to read a number on the host, and to bring one from there."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.name()
        if name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero"):
            raise AssertionError(f"{name} waits for the device")
        if name in ("aten::lift_fresh", "aten::_pin_memory"):
            raise AssertionError(f"{name} brings a number from the host")
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_needs_nothing_of_the_host(demo: Corpus, precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a GPU's dropout masks: those of a CPU come from generators of their own."""
    monkeypatch.setattr(torch, "get_device_module", lambda device: torch)
    monkeypatch.setattr(
        "shakegpt.training.step.make_dropout_masks",
        lambda seed, step, _, device: DeviceDropoutMasks(seed, step, device),
    )
    setup = Setup(demo, precision, accumulate=2, ema=0.9)
    setup.program.load(1, 2, setup.rate)
    setup.program.begin(1)
    setup.program.step()
    setup.program.begin(2)
    monkeypatch.setattr(torch, "manual_seed", None)
    with NoHost():
        setup.program.step()
        with pytest.raises(AssertionError, match="waits"):  # which is how one sees that the mode refuses
            bool(setup.optimizer.finite)


def tensors_of(instance: Any) -> dict[str, int]:
    return {name: value.data_ptr() for name, value in vars(instance).items() if isinstance(value, Tensor)}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_tensor_of_the_state_stays_where_it_is(demo: Corpus, precision: Precision) -> None:
    """A recorded step reads and writes the addresses that it was recorded with."""
    setup = Setup(demo, precision, ema=0.9)

    def places() -> dict[str, int]:
        parts = {"program": setup.program, "optimizer": setup.optimizer, "parameters": setup.parameters}
        own = {f"{part}.{name}": place for part, holder in parts.items() for name, place in tensors_of(holder).items()}
        scaler = {f"scaler.{name}": place for name, place in tensors_of(setup.optimizer._scaler).items()}
        weights = {name: parameter.data_ptr() for name, parameter in setup.model.named_parameters()}
        return own | scaler | weights | {"average": setup.optimizer.averaged_weights()["final_norm.bias"].data_ptr()}

    before = places()
    assert len(before) > 20
    saved = {name: tensor.clone() for name, tensor in setup.optimizer.state_dict().items()}
    setup.take(1, 3)
    setup.optimizer.load_state_dict(saved)
    setup.model.load_state_dict(GPT(setup.shape, seed=2).state_dict())
    setup.optimizer.reset()
    setup.take(1, 3)
    assert places() == before


def test_all_weights_are_one_vector_with_matrices_first(demo: Corpus) -> None:
    setup = Setup(demo)
    named = dict(setup.model.named_parameters())
    parameters = setup.parameters
    assert len(parameters.weights) == sum(parameter.numel() for parameter in named.values())
    numbered = torch.arange(float(len(parameters.weights)))
    parameters.weights.copy_(numbered)
    matrices = {name for name, parameter in named.items() if parameter.min() < parameters.matrices.stop}
    assert matrices == {name for name, parameter in named.items() if parameter.ndim == 2}
    linear = numbered[parameters.linear]
    inside = {n for n, p in named.items() if linear[0] <= p.min() and p.max() <= linear[-1]}
    assert inside == {n for n in named if "attention." in n or "mlp." in n}
    assert sum(named[name].numel() for name in inside) == len(linear)
    for name, view in parameters.views(parameters.gradient).items():
        assert named[name].grad is not None
        assert view.data_ptr() == named[name].grad.data_ptr()  # type: ignore[union-attr]
    for name, view in parameters.linear_views(linear).items():
        assert torch.equal(view, named[name])


@pytest.mark.parametrize("count", [0, LONGEST_CHUNK + 1])
def test_a_chunk_is_as_long_as_its_tables_at_most(demo: Corpus, count: int) -> None:
    with pytest.raises(ValueError, match=f"1 to {LONGEST_CHUNK} steps, not {count}"):
        Setup(demo).program.load(1, count, lambda step: 1e-3)


def test_a_step_that_is_not_finite_is_in_the_ledger_and_moves_nothing(
    demo: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(demo)
    setup.program.load(1, 3, setup.rate)
    for step in (1, 2, 3):
        setup.program.begin(step)
        before = setup.parameters.weights.clone()
        with monkeypatch.context() as spoil:
            if step == 2:
                spoil.setattr(functional, "cross_entropy", lambda logits, *_, **__: logits.sum() * float("nan"))
            setup.program.step()
        assert torch.equal(before, setup.parameters.weights) == (step == 2)
    assert [result.finite for result in setup.program.read(3)] == [True, False, True]
    assert setup.optimizer.state_dict()["optimizer.step"] == 2


def test_fp16_lowers_its_scale_in_the_ledger(demo: Corpus) -> None:
    setup = Setup(demo, "fp16")
    setup.optimizer._set_loss_scale(2.0**40, 0)
    setup.take(1, 3)
    results = setup.program.read(3)
    assert [(result.finite, result.overflowed) for result in results] == [(False, True)] * 3
    assert [result.loss_scale for result in results] == [2.0**40, 2.0**39, 2.0**38]


def test_a_kernel_that_ignores_found_inf_is_undone(demo: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the one on MPS may: a CPU's stands in for it."""
    kernel: Callable[..., None] = torch._fused_adamw_

    def ignoring(*tensors: Any, found_inf: Tensor, **options: Any) -> None:
        kernel(*tensors, found_inf=torch.zeros_like(found_inf), **options)

    monkeypatch.setattr(torch, "_fused_adamw_", ignoring)
    setup = Setup(demo)
    setup.optimizer._kernel_ignores_found_inf = True
    setup.take(1, 1)
    before = setup.parameters.weights.clone()
    setup.parameters.gradient.fill_(float("nan"))
    setup.optimizer.step(1e-3, torch.tensor(1.0))
    assert torch.equal(setup.parameters.weights, before)
    assert setup.optimizer.state_dict()["optimizer.step"] == 1
    setup.take(2, 1)
    assert not torch.equal(setup.parameters.weights, before)
