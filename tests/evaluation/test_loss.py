"""The reported loss is one full pass over the split, every character counted once."""

import math

import pytest
import torch

from shakegpt.config import ModelConfig
from shakegpt.evaluation.loss import Loss, evaluate, loss_by_position
from shakegpt.model.gpt import GPT, windows_per_batch
from shakegpt.system.threads import ThreadPool


def loss_by_hand(model: GPT, ids: torch.Tensor) -> float:
    """Window after window, character after character, in double precision."""
    block_size, total = model.config.block_size, 0.0
    with torch.no_grad():
        for start in range(0, len(ids) - 1, block_size):
            window = ids[start : start + block_size + 1]
            logits = model(window[None, :-1])[0].double()
            for row, target in zip(logits, window[1:], strict=True):
                total += float(torch.logsumexp(row, 0) - row[target])
    return total / (len(ids) - 1)


@pytest.mark.parametrize("length", [2, 8, 9, 10, 16, 17, 18, 100, 8 * 32 + 1, 8 * 40 + 6])
def test_a_full_pass_counts_every_character_once(tiny_model: GPT, length: int) -> None:
    """Also the last window, which is shorter, and splits of exactly so many windows."""
    ids = torch.randint(13, (length,), generator=torch.Generator().manual_seed(length))
    loss = evaluate(tiny_model, ids)
    assert loss.characters == length - 1
    assert loss.nats == pytest.approx(loss_by_hand(tiny_model, ids), abs=1e-5)


@pytest.mark.parametrize("vocab_size", [2, 65])
def test_equal_logits_have_a_loss_of_ln_v(vocab_size: int) -> None:
    model = GPT(ModelConfig(vocab_size=vocab_size, n_layer=1, n_head=1, d_model=4, d_ff=4, block_size=8), seed=0)
    with torch.no_grad():
        model.token_embedding.weight.zero_()
    ids = torch.randint(vocab_size, (300,), generator=torch.Generator().manual_seed(0))
    loss = evaluate(model, ids)
    assert loss.nats == pytest.approx(math.log(vocab_size), rel=1e-6)
    assert loss.perplexity == pytest.approx(vocab_size, rel=1e-5)
    assert loss.bits_per_character == pytest.approx(math.log2(vocab_size), rel=1e-6)


def test_equal_weights_give_equal_losses_and_nothing_is_drawn(tiny_config: ModelConfig) -> None:
    model = GPT(ModelConfig(**{**tiny_config.__dict__, "dropout": 0.9}), seed=1).train()
    ids = torch.randint(13, (99,), generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    assert evaluate(model, ids) == evaluate(model, ids)
    assert torch.rand(1) == expected
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_subset_of_the_windows_is_fixed_and_of_that_size(tiny_model: GPT) -> None:
    ids = torch.randint(13, (8 * 50 + 4,), generator=torch.Generator().manual_seed(0))
    whole = evaluate(tiny_model, ids)
    assert (whole.windows, whole.all_windows, whole.characters) == (51, 51, 403)
    part = evaluate(tiny_model, ids, windows=10)
    assert (part.windows, part.all_windows, part.characters) == (10, 51, 80)
    assert part == evaluate(tiny_model, ids, windows=10, pool=ThreadPool(2))
    assert part.nats != whole.nats
    assert evaluate(tiny_model, ids, windows=51) == evaluate(tiny_model, ids, windows=0) == whole
    losses = [loss_by_hand(tiny_model, ids[8 * row : 8 * row + 9]) for row in range(50)]
    assert min(losses) < part.nats < max(losses)


def test_threads_that_share_the_work_change_no_bit(tiny_model: GPT) -> None:
    ids = torch.randint(13, (8 * 32 * 5 + 3,), generator=torch.Generator().manual_seed(0))
    assert evaluate(tiny_model, ids, pool=ThreadPool(2)) == evaluate(tiny_model, ids)


def test_a_gpu_takes_more_windows_at_once_for_the_same_loss(tiny_model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [windows_per_batch(torch.device(name), 128) for name in ("cpu", "cuda", "mps")] == [4, 256, 256]
    assert windows_per_batch(torch.device("cuda"), 1_000_000) == 4
    ids = torch.arange(999) % 11
    expected, by_position = evaluate(tiny_model, ids), loss_by_position(tiny_model, ids)
    monkeypatch.setattr("shakegpt.model.gpt._WINDOWS_ON_CPU", 37)
    many = evaluate(tiny_model, ids)
    assert many.nats == pytest.approx(expected.nats, rel=1e-6)
    assert (many.characters, many.windows) == (expected.characters, expected.windows)
    assert loss_by_position(tiny_model, ids) == pytest.approx(by_position, rel=1e-6)


def test_a_pass_can_be_stopped(tiny_model: GPT) -> None:
    ids = torch.zeros(8 * 32 * 5, dtype=torch.int64)
    assert evaluate(tiny_model, ids, stop=lambda: True) is None
    assert evaluate(tiny_model, ids, stop=lambda: False) == evaluate(tiny_model, ids)
    answers = iter([False, False] + [True] * 99)
    assert evaluate(tiny_model, ids, stop=lambda: next(answers)) is None


def test_a_huge_loss_has_an_infinite_perplexity() -> None:
    assert Loss(nats=1e9, characters=1).perplexity == math.inf


@pytest.mark.parametrize("length", [9, 16, 17, 8 * 9 + 5])
def test_the_loss_by_position_is_that_of_whole_windows(tiny_model: GPT, length: int) -> None:
    ids = torch.randint(13, (length,), generator=torch.Generator().manual_seed(length))
    windows = (length - 1) // 8
    by_position = loss_by_position(tiny_model, ids)
    assert by_position.shape == (8,)
    for position in range(8):
        losses = []
        for start in range(0, 8 * windows, 8):
            with torch.no_grad():
                row = tiny_model(ids[None, start : start + position + 1])[0, -1].double()
            losses.append(float(torch.logsumexp(row, 0) - row[ids[start + position + 1]]))
        assert by_position[position] == pytest.approx(sum(losses) / windows, abs=1e-5)
    assert by_position.mean() == pytest.approx(evaluate(tiny_model, ids[: 8 * windows + 1]).nats, abs=1e-6)
    assert (loss_by_position(tiny_model, ids, pool=ThreadPool(2)) == by_position).all()
