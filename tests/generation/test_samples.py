"""Several samples of one prompt: the same draws in whatever company, and in bounded memory."""

import itertools
from dataclasses import replace

import pytest

from shakegpt.errors import UsageError
from shakegpt.generation import samples as samples_module
from shakegpt.generation.decoder import Decoder
from shakegpt.generation.samples import generate_samples
from shakegpt.generation.stream import Stream
from shakegpt.model.gpt import GPT
from shakegpt.model.kv_cache import KVCache, cache_bytes
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.threads import ThreadPool
from tests.generation.test_stream import PLAIN, generated, thinks


@pytest.fixture
def batch_sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch size of each decoder that is made."""
    sizes: list[int] = []

    def make(model: GPT, batch_size: int = 1) -> Decoder:
        sizes.append(batch_size)
        return Decoder(model, batch_size)

    monkeypatch.setattr(samples_module, "Decoder", make)
    return sizes


def test_a_million_samples_take_the_memory_of_a_chunk(batch_sizes: list[int]) -> None:
    million = generate_samples(thinks([0.0] * 5), "a", replace(PLAIN, length=3), 1_000_000)
    assert batch_sizes == []  # nothing is generated before it is asked for
    assert len(list(itertools.islice(million, 3))) == 3
    assert batch_sizes == [64]


def test_a_chunk_of_a_large_model_is_smaller(
    tiny_language_model: LanguageModel, batch_sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_language_model.model.config
    monkeypatch.setattr(samples_module, "_MAX_CACHE_BYTES", 3 * cache_bytes(config) + 1)
    texts = [sample.text for sample in generate_samples(tiny_language_model, "a", replace(PLAIN, length=4), 7)]
    assert batch_sizes == [3, 3, 1]
    alone = [
        generated(Stream(tiny_language_model, "a", replace(PLAIN, length=4), sample=sample)) for sample in range(7)
    ]
    assert texts == alone


def test_the_threads_share_each_chunk(tiny_language_model: LanguageModel, batch_sizes: list[int]) -> None:
    settings = replace(PLAIN, length=2)
    shared = list(generate_samples(tiny_language_model, "a", settings, 150, pool=ThreadPool(2)))
    assert sorted(batch_sizes) == [11, 11, 64, 64]
    assert shared == list(generate_samples(tiny_language_model, "a", settings, 150))


def test_the_size_of_a_cache_is_known_before_it_is_made(tiny_language_model: LanguageModel) -> None:
    model = tiny_language_model.model
    weight = model.token_embedding.weight
    cache = KVCache(model.config, 1, device=weight.device, dtype=weight.dtype)
    assert cache_bytes(model.config) == cache.keys_values.numel() * cache.keys_values.element_size()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"temperature": 0.0},
        {"top_k": 3, "top_p": 0.9, "min_p": 0.05},
        {"repetition_penalty": 1.5},
        {"stop": ("a", "bc")},
    ],
    ids=["plain", "greedy", "cut", "penalised", "stopped"],
)
def test_samples_do_not_depend_on_how_many_are_asked_for(
    tiny_language_model: LanguageModel, changes: dict[str, object]
) -> None:
    """Through the real decoder, past its window: one stream, a few samples, and more."""
    settings = replace(PLAIN, **{"temperature": 3.0, **changes}, seed=5, length=30)
    streams = [Stream(tiny_language_model, "abc:", settings, sample=sample) for sample in range(5)]
    alone = [(generated(stream), stream.finish) for stream in streams]
    for count in (1, 3, 5):
        together = generate_samples(tiny_language_model, "abc:", settings, count)
        assert [(sample.text, sample.finish) for sample in together] == alone[:count]


def test_samples_that_stop_early_wait_for_the_others() -> None:
    language_model = thinks([0.0, 1.0, 1.0, 1.0, 1.0])
    samples = list(generate_samples(language_model, "a", replace(PLAIN, stop=("ab",), length=60), 6))
    lengths = {len(sample.text) for sample in samples}
    assert len(lengths) > 1
    for sample in samples:
        assert "ab" not in sample.text
        assert (sample.finish == "stop") == (len(sample.text) < 60)


def test_no_samples_is_no_request() -> None:
    with pytest.raises(UsageError, match="at least 1, not 0"):
        generate_samples(thinks([0.0] * 5), "a", PLAIN, 0)
