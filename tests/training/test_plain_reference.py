"""What makes training fast does not change what it learns: the trainer against a plain loop in fp32.

The plain loop is what a textbook has: the whole batch at once through ``GPT``, one backward pass, torch's own clipping
and AdamW. No pieces, no threads of ours, no shorter copies of weights, no code of ``gradients``, ``optimizer`` or
``adamw``. It draws the same batches and the same dropout masks.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import pytest
import torch
from torch.nn import functional

from shakegpt.config import PRESETS, ModelConfig, Precision, TrainingConfig
from shakegpt.data.corpus import Corpus, cut_windows, draw_starts
from shakegpt.evaluation.loss import evaluate
from shakegpt.model.dropout import SequenceDropoutMasks
from shakegpt.model.gpt import GPT
from shakegpt.system.threads import ThreadPool, torch_threads
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.gradients import Gradients
from shakegpt.training.optimizer import Optimizer
from shakegpt.training.schedule import learning_rate_at
from shakegpt.training.step import StepProgram


@dataclass
class Curve:
    """A training: its losses, and the loss on the validation split in the end."""

    losses: list[float]
    validation: float
    seconds: float


def batch(
    ids: torch.Tensor, step: int, model: ModelConfig, config: TrainingConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    size = model.block_size
    starts = draw_starts(len(ids), step, seed=config.seed, batch_size=config.batch_size, block_size=size)
    return cut_windows(ids, starts, size)


def train_plainly(corpus: Corpus, shape: ModelConfig, config: TrainingConfig, steps: int) -> Curve:
    model = GPT(shape, seed=config.seed)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, betas=(config.beta1, config.beta2), fused=False, foreach=False)
    losses, began = [], time.perf_counter()
    for step in range(1, steps + 1):
        inputs, targets = batch(corpus.train, step, shape, config)
        logits = model(inputs, masks=SequenceDropoutMasks(config.seed, step, range(config.batch_size)))
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        adamw.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        for group in adamw.param_groups:
            group["lr"] = learning_rate_at(step, config)
        adamw.step()
        losses.append(loss.item())
    return closed(model, corpus, losses, began)


def train_quickly(
    corpus: Corpus, shape: ModelConfig, config: TrainingConfig, steps: int, precision: Precision, threads: int
) -> Curve:
    model = GPT(shape, seed=config.seed)
    parameters = FlatParameters(model)
    gradients = Gradients(model, parameters, precision=precision, pool=ThreadPool(threads))
    optimizer = Optimizer(parameters, config, precision=precision)
    program = StepProgram(corpus.train, config, shape.block_size, gradients, optimizer)
    losses, began = [], time.perf_counter()
    for step in range(1, steps + 1):
        program.load(step, 1, lambda step: learning_rate_at(step, config))
        program.begin(step)
        program.step()
        losses += [result.loss for result in program.read(1)]
    return closed(model, corpus, losses, began)


def closed(model: GPT, corpus: Corpus, losses: list[float], began: float) -> Curve:
    seconds = time.perf_counter() - began
    loss = evaluate(model.eval(), corpus.validation, pool=ThreadPool())
    assert loss is not None
    return Curve(losses, loss.nats, seconds)


def greatest_gap(one: Sequence[float], other: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("precision", "threads", "bound"), [("fp32", 1, 2e-5), ("fp32", 2, 2e-5), ("bf16", 2, 2e-2)])
def test_a_hundred_steps_follow_the_plain_loop(demo: Corpus, precision: Precision, threads: int, bound: float) -> None:
    """In fp32 up to rounding; in bf16 within a hundredth of a nat or two, with dropout on."""
    shape = PRESETS["nano"].model_config(len(demo.vocabulary), dropout=0.1)
    config = PRESETS["nano"].training_config(steps=100, batch_size=8)
    with torch_threads(1):
        plain = train_plainly(demo, shape, config, 100)
        quick = train_quickly(demo, shape, config, 100, precision, threads)
    assert plain.losses[-1] < plain.losses[0] - 1
    assert greatest_gap(plain.losses, quick.losses) < bound
    assert abs(plain.validation - quick.validation) < bound


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_a_thousand_steps_of_the_seed_preset_end_where_the_plain_loop_ends(
    tiny_shakespeare: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole recipe on the real text, bf16 on two threads against plain fp32; some fifteen minutes."""
    shape = PRESETS["mini"].model_config(len(tiny_shakespeare.vocabulary))
    config = PRESETS["mini"].training_config()
    quick = train_quickly(tiny_shakespeare, shape, config, 1_000, "bf16", 2)
    torch.set_num_threads(2)
    plain = train_plainly(tiny_shakespeare, shape, config, 1_000)
    with capsys.disabled():
        for step in (10, 100, 250, 500, 1_000):
            last = slice(step - 10, step)
            print(f"\nstep {step}: {fmean(plain.losses[last]):.4f} plain, {fmean(quick.losses[last]):.4f} bf16", end="")
        print(f"\nvalidation: {plain.validation:.4f} plain, {quick.validation:.4f} bf16")
        print(f"seconds: {plain.seconds:.0f} plain, {quick.seconds:.0f} bf16")
    assert abs(fmean(plain.losses[-100:]) - fmean(quick.losses[-100:])) < 0.01
    assert abs(plain.validation - quick.validation) < 0.02
