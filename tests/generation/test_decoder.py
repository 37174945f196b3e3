"""Cached decoding gives what the full forward pass gives, within a window and past it."""

import gc
import weakref
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode

from shakegpt.config import PRESETS, ModelConfig
from shakegpt.generation import decoder as decoder_module
from shakegpt.generation.decoder import Decoder, record_forward
from shakegpt.model.gpt import GPT
from shakegpt.model.kv_cache import KVCache

TOLERANCE = 1e-5


def random_ids(length: int, *, rows: int = 1, vocab_size: int = 13, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(vocab_size, size=(rows, length))


@torch.no_grad()
def last_logits(model: GPT, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    return model(torch.from_numpy(ids))[:, -1].numpy().astype(np.float64)


def assert_close(one: NDArray[np.floating], other: NDArray[np.floating], tolerance: float = TOLERANCE) -> None:
    assert one.shape == other.shape
    assert np.abs(one - other).max() <= tolerance


def without_kernel(model: GPT, rows: int = 1) -> Decoder:
    decoder = Decoder(model, batch_size=rows)
    decoder._kernel = None
    return decoder


@pytest.fixture
def model() -> GPT:
    """The nano preset as it starts out."""
    return GPT(PRESETS["nano"].model_config(65), seed=1).eval()


@pytest.mark.parametrize("rows", [1, 2, 8, 9, 32])
def test_token_by_token_equals_the_full_forward(model: GPT, rows: int) -> None:
    """The CPU kernel, with either layout of its activations."""
    ids = random_ids(64, rows=rows, vocab_size=65)
    decoder = Decoder(model, batch_size=rows)
    assert decoder._kernel is not None
    for end in range(1, 65):
        assert_close(decoder.read(ids[:, end - 1 : end]), last_logits(model, ids[:, :end]))


@pytest.mark.parametrize("rows", [1, 3])
def test_the_kernel_equals_the_models_own_forward(tiny_model: GPT, rows: int) -> None:
    """Two and a half windows, the first three tokens at once: both find what the other has stored."""
    ids = random_ids(20, rows=rows)
    decoder, plain = Decoder(tiny_model, batch_size=rows), without_kernel(tiny_model, rows)
    for start, end in ((0, 3), *((place, place + 1) for place in range(3, 20))):
        assert_close(decoder.read(ids[:, start:end]), plain.read(ids[:, start:end]))


def test_what_was_returned_is_not_overwritten(model: GPT) -> None:
    decoder = Decoder(model)
    first = decoder.read(random_ids(1))
    copy = first.copy()
    decoder.read(random_ids(1, seed=1))
    assert np.array_equal(first, copy)


@pytest.mark.parametrize("cuts", [(1, 63), (63, 1), (20, 20, 24), (64,), (5, 1, 1, 7)])
def test_in_pieces_equals_the_full_forward(model: GPT, cuts: tuple[int, ...]) -> None:
    ids = random_ids(sum(cuts), vocab_size=65)
    decoder = Decoder(model)
    for piece in np.split(ids, np.cumsum(cuts)[:-1], axis=1):
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
    decoders, context = (Decoder(model, batch_size=rows), without_kernel(model, rows)), 0
    for end in range(1, ids.shape[1] + 1):
        context = context + 1 if context < block_size else max(1, block_size // 2)
        for decoder in decoders:
            assert_close(decoder.read(ids[:, end - 1 : end]), last_logits(model, ids[:, end - context : end]))


@pytest.mark.parametrize("piece", [3, 5, 8])
def test_pieces_that_do_not_fit_make_room_for_themselves(tiny_model: GPT, piece: int) -> None:
    """Whatever is read at once is always in the context whole, after as much of the past as half a window holds."""
    ids = random_ids(6 + piece)
    decoder = Decoder(tiny_model)
    decoder.read(ids[:, :6])
    assert_close(decoder.read(ids[:, 6:]), last_logits(tiny_model, ids[:, -max(piece, 4) :]))


def test_bf16_weights_are_decoded_without_the_kernel(tiny_model: GPT) -> None:
    ids = random_ids(12, rows=2)
    exact = Decoder(tiny_model, batch_size=2)
    decoder = Decoder(deepcopy(tiny_model).to(torch.bfloat16), batch_size=2)
    assert decoder._kernel is None
    for place in range(12):
        assert_close(decoder.read(ids[:, place : place + 1]), exact.read(ids[:, place : place + 1]), tolerance=0.3)


def test_reading_leaves_the_model_trainable(tiny_model: GPT) -> None:
    Decoder(tiny_model).read(random_ids(3))
    loss = tiny_model(torch.from_numpy(random_ids(8))).sum()  # shares nothing that a backward pass would trip over
    loss.backward()
    assert tiny_model.token_embedding.weight.grad is not None


# The CUDA graph


class FakeGraph(TorchDispatchMode):
    """What a CUDA graph does, on a CPU: records each operation with its memory, and repeats them there."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, result))
        return result

    def replay(self) -> None:
        for function, args, kwargs, result in self.operations:
            again = function(*args, **kwargs)
            for old, new in zip(*(x if isinstance(x, tuple | list) else [x] for x in (result, again)), strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class FakeStream:
    def __init__(self, device: torch.device) -> None: ...

    def wait_stream(self, other: "FakeStream") -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.CUDAGraph", FakeGraph)
    monkeypatch.setattr("torch.cuda.graph", lambda graph, **_: graph)
    monkeypatch.setattr("torch.cuda.Stream", FakeStream)
    monkeypatch.setattr("torch.cuda.current_stream", FakeStream)
    monkeypatch.setattr("torch.cuda.stream", lambda stream: stream)
    monkeypatch.setattr(decoder_module, "has_graphs", lambda device: True)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.usefixtures("fake_cuda")
def test_a_recorded_forward_is_right_at_every_position(tiny_model: GPT, rows: int, dtype: torch.dtype) -> None:
    """Two and a half windows: nothing that depends on the position is part of the recording."""
    model = tiny_model.to(dtype)
    ids = random_ids(20, rows=rows)
    plain, graphed = Decoder(model, batch_size=rows), Decoder(model, batch_size=rows)
    plain._graph = None
    assert graphed._graph is not None
    for start, end in ((0, 3), *((place, place + 1) for place in range(3, 20))):
        assert_close(graphed.read(ids[:, start:end]), plain.read(ids[:, start:end]))


@pytest.mark.usefixtures("fake_cuda")
def test_what_cannot_be_recorded_is_not(tiny_model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(graph: FakeGraph, **_: object) -> FakeGraph:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("torch.cuda.graph", refuse)
    cache = KVCache(tiny_model.config, 1, device=torch.device("cpu"), dtype=torch.float32)
    assert record_forward(tiny_model, cache) is None


@pytest.fixture
def recordings(fake_cuda: None, monkeypatch: pytest.MonkeyPatch) -> list[KVCache]:
    """The caches of the forward passes that are recorded."""
    made: list[KVCache] = []

    def record(model: GPT, cache: KVCache) -> Any:
        made.append(cache)
        return record_forward(model, cache)

    monkeypatch.setattr(decoder_module, "record_forward", record)
    return made


def test_a_model_is_recorded_once_for_all_samples(tiny_model: GPT, recordings: list[KVCache]) -> None:
    """Each after the other; what one has left in the cache is not seen by the next, nor are weights outdated."""
    for seed in range(3):
        with torch.no_grad():
            tiny_model.token_embedding.weight += 0.01  # as a training between two samples
        decoder = Decoder(tiny_model)
        ids = random_ids(5, seed=seed)
        for end in range(1, 6):
            assert_close(decoder.read(ids[:, end - 1 : end]), last_logits(tiny_model, ids[:, :end]))
        del decoder
    assert len(recordings) == 1


def test_decoders_at_work_share_no_recording(tiny_model: GPT, recordings: list[KVCache]) -> None:
    one, other = Decoder(tiny_model), Decoder(tiny_model)
    assert one._cache is not other._cache
    first, second = random_ids(4), random_ids(4, seed=1)
    for end in range(1, 5):
        assert_close(one.read(first[:, end - 1 : end]), last_logits(tiny_model, first[:, :end]))
        assert_close(other.read(second[:, end - 1 : end]), last_logits(tiny_model, second[:, :end]))
    assert len(recordings) == 2


def test_another_batch_size_or_moved_weights_are_recorded_anew(tiny_model: GPT, recordings: list[KVCache]) -> None:
    Decoder(tiny_model)
    Decoder(tiny_model, batch_size=2)
    tiny_model.token_embedding.weight.data = tiny_model.token_embedding.weight.detach().clone()
    Decoder(tiny_model, batch_size=2)
    assert len(recordings) == 3


def test_a_model_that_is_gone_takes_its_recording_along(tiny_config: ModelConfig, recordings: list[KVCache]) -> None:
    model = GPT(tiny_config, seed=1)
    Decoder(model)
    gone = weakref.ref(recordings.pop())
    del model
    gc.collect()
    assert gone() is None


def test_a_cpu_records_nothing(tiny_model: GPT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shakegpt.generation.decoder.record_forward", None)  # not to be called
    assert Decoder(tiny_model).read(random_ids(2)).shape == (1, 13)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
@pytest.mark.parametrize("rows", [1, 3])
def test_a_gpu_replays_it(tiny_config: ModelConfig, rows: int) -> None:
    plain, graphed = (Decoder(GPT(tiny_config, seed=3).to(device), batch_size=rows) for device in ("cpu", "cuda"))
    assert graphed._graph is not None
    for piece in np.split(random_ids(20, rows=rows), 20, axis=1):
        assert_close(graphed.read(piece), plain.read(piece), tolerance=1e-4)
