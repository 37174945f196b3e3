"""Several samples of one prompt, generated in step."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shakegpt.config import SamplingConfig
from shakegpt.errors import UsageError
from shakegpt.generation.decoder import Decoder
from shakegpt.generation.filters import apply_filters
from shakegpt.generation.stream import Finish, draw, encode_prompt, sample_generator, stop_length
from shakegpt.model.kv_cache import cache_bytes
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.threads import ThreadPool

_ROWS_OF_A_THREAD = 64
_ROWS_OF_A_GPU = 1024
_MAX_CACHE_BYTES = 512 * 1024**2


@dataclass(frozen=True)
class Completion:
    """A whole sample, and why it ended."""

    text: str
    finish: Finish


def generate_samples(
    language_model: LanguageModel, prompt: str, settings: SamplingConfig, count: int, *, pool: ThreadPool | None = None
) -> Iterator[Completion]:
    """Yield several samples, generated in step: sample i has the draws of ``Stream(..., sample=i)``.

    They are generated in chunks, each when it is asked for, so a million take no more memory than the first hundred.
    A sample depends neither on how many are asked for nor on its chunk, except for a draw that falls within rounding
    (about 1e-6) of the border between two characters: matrices of another height are summed in another order.

    Args:
        language_model: the model and its vocabulary.
        prompt: what all of them continue.
        settings: how they are drawn.
        count: how many.
        pool: the threads that share a chunk on a CPU; the calling thread where left out.

    Raises:
        UsageError: the prompt has a character that the model does not know, or ``count`` is below 1.
    """
    if count < 1:
        raise UsageError(f"The number of samples must be at least 1, not {count}.")
    prompt_ids = encode_prompt(language_model.vocabulary, prompt)
    return _generate_chunks(language_model, prompt_ids, settings, count, pool or ThreadPool())


def _generate_chunks(
    language_model: LanguageModel, prompt_ids: list[int], settings: SamplingConfig, count: int, pool: ThreadPool
) -> Iterator[Completion]:
    on_cpu = language_model.model.token_embedding.weight.device.type == "cpu"
    rows = _ROWS_OF_A_THREAD * pool.size if on_cpu else _ROWS_OF_A_GPU
    rows = max(1, min(rows, _MAX_CACHE_BYTES // cache_bytes(language_model.model.config)))

    def generate(share: range) -> list[Completion]:
        return _generate_share(language_model, prompt_ids, settings, share)

    for start in range(0, count, rows):
        chunk = range(start, min(start + rows, count))
        shares = [chunk[part.start : part.stop] for part in pool.split(len(chunk))] if on_cpu else [chunk]
        for part in pool.map(generate, shares):
            yield from part


def _generate_share(
    language_model: LanguageModel, prompt_ids: list[int], settings: SamplingConfig, samples: range
) -> list[Completion]:
    decoder = Decoder(language_model.model, batch_size=len(samples))
    generators = [sample_generator(settings.seed, sample) for sample in samples]
    ids = np.array([prompt_ids] * len(samples))  # (B, T)
    context = ids[:, -decoder.block_size :]
    texts = [""] * len(samples)
    finished: dict[int, Completion] = {}
    for _ in range(settings.length):
        logits = decoder.read(ids)  # (B, V)
        seen = np.zeros(logits.shape, bool)
        if settings.repetition_penalty != 1:
            np.put_along_axis(seen, context, True, axis=1)  # noqa: FBT003
        uniform = np.array([generator.random() for generator in generators])
        ids = draw(apply_filters(logits, settings, seen)[1], uniform)[:, None]
        context = np.concatenate([context, ids], axis=1)[:, -decoder.block_size :]
        for row, index in enumerate(ids[:, 0].tolist()):
            if row in finished:
                continue
            texts[row] += language_model.vocabulary.itos[index]
            if matched := stop_length(texts[row], settings.stop):
                finished[row] = Completion(texts[row][:-matched], "stop")
        if len(finished) == len(samples):
            break
    return [finished.get(row, Completion(texts[row], "length")) for row in range(len(samples))]
