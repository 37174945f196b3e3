"""Cached decoding says what the full forward says, within a window and past it."""

import pytest
import torch

from shakegpt.config import PRESETS, ModelConfig
from shakegpt.generation.cpu_kernel_batch import MOST_STREAMS
from shakegpt.generation.decoder import Decoder
from shakegpt.model.gpt import GPT

TOLERANCE = 1e-5


def random_ids(length: int, *, rows: int = 1, vocab_size: int = 13, seed: int = 0) -> torch.Tensor:
    return torch.randint(vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def last_logits(model: GPT, ids: torch.Tensor) -> torch.Tensor:
    return model(ids)[:, -1]


def assert_close(one: torch.Tensor, other: torch.Tensor) -> None:
    assert one.shape == other.shape
    assert (one - other).abs().max() <= TOLERANCE


@pytest.fixture
def model() -> GPT:
    """The nano preset as it starts out."""
    return GPT(PRESETS["nano"].model_config(65), seed=1).eval()


@pytest.mark.parametrize("rows", [1, 2, 16, MOST_STREAMS + 1])
def test_one_by_one_equals_the_full_forward(model: GPT, rows: int) -> None:
    """Alone, as a chorus, and as more than a chorus takes."""
    ids = random_ids(64, rows=rows, vocab_size=65)
    decoder = Decoder(model, batch_size=rows)
    for end in range(1, 65):
        assert_close(decoder.read(ids[:, end - 1 : end]), last_logits(model, ids[:, :end]))


@pytest.mark.parametrize("cuts", [(1, 63), (63, 1), (20, 20, 24), (64,), (5, 1, 1, 7)])
def test_in_pieces_equals_the_full_forward(model: GPT, cuts: tuple[int, ...]) -> None:
    ids = random_ids(sum(cuts), vocab_size=65)
    decoder = Decoder(model)
    for piece in ids.split(cuts, dim=1):
        logits = decoder.read(piece)
    assert_close(logits, last_logits(model, ids))


def test_many_sequences_do_not_mix(model: GPT) -> None:
    ids = random_ids(30, rows=5, vocab_size=65)
    decoder = Decoder(model, batch_size=5)
    decoder.read(ids[:, :29])
    together = decoder.read(ids[:, 29:])
    for row, logits in zip(ids, together, strict=True):
        assert_close(logits[None], last_logits(model, row[None]))


def test_a_text_longer_than_a_window_counts_from_its_last_window(model: GPT) -> None:
    ids = random_ids(200, vocab_size=65)
    assert_close(Decoder(model).read(ids), last_logits(model, ids[:, -64:]))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("block_size", [1, 2, 3, 8])
def test_past_the_window_the_last_half_is_read_again(block_size: int, rows: int) -> None:
    """The context runs from half a window to a whole one and back, for ever: what the module promises."""
    config = ModelConfig(vocab_size=13, n_layer=2, n_head=3, d_model=12, d_ff=20, block_size=block_size)
    model = GPT(config, seed=4).eval()
    ids = random_ids(5 * block_size + 3, rows=rows)
    decoder, context = Decoder(model, batch_size=rows), 0
    for end in range(1, ids.shape[1] + 1):
        context = context + 1 if context < block_size else max(1, block_size // 2)
        assert_close(decoder.read(ids[:, end - 1 : end]), last_logits(model, ids[:, end - context : end]))


@pytest.mark.parametrize("piece", [3, 5, 8])
def test_pieces_that_do_not_fit_make_room_for_themselves(tiny_model: GPT, piece: int) -> None:
    """Whatever is read at once is always in the context whole, after as much of the past as half a window holds."""
    ids = random_ids(6 + piece)
    decoder = Decoder(tiny_model)
    decoder.read(ids[:, :6])
    assert_close(decoder.read(ids[:, 6:]), last_logits(tiny_model, ids[:, -max(piece, 4) :]))


def test_reading_needs_no_gradient_and_leaves_the_model_trainable(tiny_model: GPT) -> None:
    decoder = Decoder(tiny_model)
    assert not decoder.read(random_ids(3)).requires_grad
    loss = tiny_model(random_ids(8)).sum()  # shares nothing with the decoder that a backward pass would trip over
    loss.backward()
    assert tiny_model.token_embedding.weight.grad is not None
