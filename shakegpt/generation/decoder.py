"""Cached decoding: one token at a time, without computing the past again, for as long as one likes.

The model has positions for ``block_size`` tokens only, a window. When they are used up, the last half of the window is
read again from position 0 (a re-prefill). So the context is always between half a window and a whole one, and the cost
of reading again is shared by the half window of tokens that it makes room for.
"""

import weakref
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shakegpt.generation.cpu_kernel import CpuKernel
from shakegpt.generation.filters import Logits
from shakegpt.model.gpt import GPT
from shakegpt.model.kv_cache import KVCache
from shakegpt.system.device import recording
from shakegpt.system.threads import torch_threads

_WARM_UPS = 3  # before recording: what libraries do at their first calls must not be part of it


class Decoder:
    """A model that reads B sequences in step and remembers what it has read.

    On a CPU, torch computes on the calling thread alone: the matrices are too small to share.

    Args:
        model: the model; its weights are read in place, so they must not change meanwhile.
        batch_size: B.
    """

    def __init__(self, model: GPT, batch_size: int = 1) -> None:
        self.block_size = model.config.block_size
        self._model = model
        weight = model.token_embedding.weight
        recording = take_recording(model, batch_size) if has_graphs(weight.device) else None
        self._cache = recording.cache if recording else _make_cache(model, batch_size)
        self._graph = recording.replay if recording else None
        self._window = np.zeros((batch_size, self.block_size), np.int64)  # the tokens at the cache's positions
        self._length = 0
        self._one_thread, self._inference = torch_threads(1), torch.inference_mode()  # made once: cheaper to enter
        on_cpu = weight.device.type == "cpu" and recording is None
        self._kernel = CpuKernel(model, self._cache) if on_cpu and weight.dtype == torch.float32 else None
        if recording is not None:
            weakref.finalize(self, give_back, recording, _free.setdefault(model, []))

    def read(self, ids: NDArray[np.int64]) -> Logits:
        """Read tokens and return the logits of the one after them.

        Args:
            ids: token ids, (B, T), T at least 1. Of a text longer than a window, the last window counts.

        Returns:
            Logits, (B, V).
        """
        ids = ids[:, -self.block_size :]
        start, end = self._length, self._length + ids.shape[1]
        if end > self.block_size:
            kept = max(0, self.block_size // 2 - ids.shape[1])
            ids = np.concatenate([self._window[:, start - kept : start], ids], axis=1)
            start, end = 0, ids.shape[1]
        self._window[:, start:end] = ids
        self._length = end
        with self._one_thread, self._inference:
            if self._kernel is not None and end - start == 1:
                logits = self._kernel.step(ids[:, 0], start)
            else:
                logits = self._forward(ids, start)
        return logits.astype(np.float64)

    def _forward(self, ids: NDArray[np.int64], start: int) -> NDArray[np.float32]:
        self._cache.position.fill_(start)  # the kernel and a re-prefill do not move it
        tokens = torch.from_numpy(ids).to(self._cache.position.device)
        if self._graph is not None and tokens.shape[1] == 1:
            logits = self._graph(tokens)  # (B, 1, V)
        else:
            logits = self._model(tokens, self._cache)
        return logits[:, 0].float().cpu().numpy()


def _make_cache(model: GPT, batch_size: int) -> KVCache:
    weight = model.token_embedding.weight
    return KVCache(model.config, batch_size, device=weight.device, dtype=weight.dtype)


# The CUDA graph


def has_graphs(device: torch.device) -> bool:
    """Return whether a device can record and replay what it computes."""
    return device.type == "cuda"


@dataclass(frozen=True)
class Recording:
    """A forward pass of one token, ready to be repeated: for one decoder at a time, since the memory is part of it."""

    cache: KVCache
    replay: Callable[[Tensor], Tensor] | None
    """See ``record_forward``."""
    made_for: tuple[int, int]
    """The batch size, and the address of the weights."""


_free: weakref.WeakKeyDictionary[GPT, list[Recording]] = weakref.WeakKeyDictionary()


def take_recording(model: GPT, batch_size: int) -> Recording:
    """Return a recording of a model's forward pass that no decoder is using: the last one, or a new one.

    Recording empties torch's cache of GPU memory and waits for the GPU, so that it must not happen for every sample.
    """
    made_for = batch_size, model.token_embedding.weight.data_ptr()
    unused = _free.setdefault(model, [])
    while unused:
        if (recording := unused.pop()).made_for == made_for:
            return recording
    cache = _make_cache(model, batch_size)
    return Recording(cache, record_forward(model, cache), made_for)


def give_back(recording: Recording, unused: list[Recording]) -> None:
    """Keep a recording for the model's next decoder, in place of any other: its cache may be large."""
    unused[:] = [recording]


def record_forward(model: GPT, cache: KVCache) -> Callable[[Tensor], Tensor] | None:
    """Record the forward pass of one token as a CUDA graph: a single launch instead of some dozens for each block.

    Untested on a GPU.

    Args:
        model: the model, on a CUDA GPU; its weights must stay where they are.
        cache: what the pass reads and writes, empty as yet.

    Returns:
        What takes token ids, (B, 1), to logits, (B, 1, V), that the next call overwrites; ``None`` where the pass
        cannot be recorded.
    """
    device = cache.keys_values.device
    ids = torch.zeros((cache.keys_values.shape[2], 1), dtype=torch.int64, device=device)
    try:
        graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        with recording, torch.inference_mode(), torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                model(ids, cache)
                cache.position.zero_()
            # Only this thread is kept from what a recording forbids: another may be training.
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                logits: Tensor = model(ids, cache)
        torch.cuda.current_stream(device).wait_stream(side)
    except RuntimeError:  # such as of a driver too old: generation goes on without
        return None

    def replay(new_ids: Tensor) -> Tensor:
        ids.copy_(new_ids)
        graph.replay()
        return logits

    return replay
