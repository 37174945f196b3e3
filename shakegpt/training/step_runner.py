"""Runs the steps of a program in chunks: plainly, or on a CUDA GPU recorded once as a graph and replayed.

A small model's step is some two hundred short kernels, and starting them one by one takes longer than computing them.
A graph starts them all at once.
"""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch

from shakegpt.system.device import recording
from shakegpt.training.recovery import is_out_of_memory
from shakegpt.training.step import LONGEST_CHUNK, LedgerCopy, StepProgram, StepResult

_CHUNK_SECONDS = 0.05
_WARM_UP_STEPS = 3
"""Plain steps first: libraries choose their kernels and allocate their workspaces in them."""


class Graphs(Protocol):
    """What records on a device."""

    def stream(self) -> AbstractContextManager[None]:
        """Return a context in which all work goes where it can be recorded."""
        ...

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record what the work asks the device to do, without doing it; return what does it."""
        ...


class CudaGraphs:
    """CUDA graphs, on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    @contextmanager
    def stream(self) -> Iterator[None]:
        """See ``Graphs.stream``. Work before it comes first; what follows waits for it by reading the ledger."""
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            yield

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """See ``Graphs.record``."""
        graph = torch.cuda.CUDAGraph()
        # Other threads may allocate meanwhile, such as one that generates.
        with recording, torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            work()
        return graph.replay


@dataclass(frozen=True)
class TakenStep:
    """A step and how it went."""

    step: int
    seconds: float
    """What it took: the mean of its chunk."""
    result: StepResult


@dataclass(frozen=True)
class _Chunk:
    """Steps that the device was asked to take."""

    steps: range
    began: float
    ledger: LedgerCopy


class StepRunner:
    """Takes the steps of a program.

    On a GPU, in chunks of about 50 ms, and the next chunk is started before the results of the last one are read, so
    that the GPU need not wait. Elsewhere one by one.

    Args:
        program: what a step is.
        in_chunks: whether to.
        graphs: records the step after a few plain ones; without, every step is plain.
    """

    def __init__(self, program: StepProgram, *, in_chunks: bool = False, graphs: Graphs | None = None) -> None:
        self._program, self._graphs = program, graphs
        self.in_chunks = in_chunks
        self._step_seconds = _CHUNK_SECONDS  # so the first chunk is a single step
        self._read_at = 0.0
        self._plain_steps = self._begun = 0
        self._replay: Callable[[], None] | None = None
        self._failure = ""

    def take(
        self, steps: range, learning_rate: Callable[[int], float], *, accumulate: int, go_on: Callable[[], bool]
    ) -> Generator[TakenStep, None, None]:
        """Take steps, the first chunk in any case, and yield how each went. Ends when those that were begun have ended.

        Closed early, it waits for the steps that were begun and drops their results.

        Args:
            steps: to take.
            learning_rate: of a step.
            accumulate: micro-batches of a step, at least. Another number than before is recorded anew.
            go_on: asked before each further chunk.

        Raises:
            RuntimeError, MemoryError: as torch does when memory runs out, after the steps before were yielded.
        """
        if accumulate != self._program.accumulate:
            self._program.accumulate = accumulate
            self._replay, self._plain_steps = None, 0
        running, error = deque[_Chunk](), None
        begun, end = steps.start, steps.stop
        try:
            while True:
                starts = error is None and begun < end and (begun == steps.start or go_on())
                if starts:
                    chunk, error = self._start(range(begun, min(begun + self._chunk_length(), end)), learning_rate)
                    running.append(chunk)
                    begun += len(chunk.steps)
                    self._begun = begun - 1
                if running and (len(running) > self.in_chunks or not starts):
                    yield from self._finish(running.popleft())
                elif not starts:
                    break
        finally:
            for chunk in running:
                chunk.ledger.wait()
        if error is not None:
            raise error

    def settle(self) -> int:
        """Wait until the steps that were begun have been taken, and return the last of them; 0 before the first."""
        if self._program.device.type == "cuda":
            with recording:
                torch.cuda.synchronize(self._program.device)
        return self._begun

    def take_failure(self) -> str:
        """Return why the step could not be recorded and stays plain, once; nothing where there is no reason."""
        failure, self._failure = self._failure, ""
        return failure

    def _chunk_length(self) -> int:
        """Return how many steps the next chunk has."""
        if not self.in_chunks:
            return 1
        return max(1, min(round(_CHUNK_SECONDS / self._step_seconds), LONGEST_CHUNK))

    def _start(
        self, steps: range, learning_rate: Callable[[int], float]
    ) -> tuple[_Chunk, RuntimeError | MemoryError | None]:
        """Return a chunk that was started, cut short by an error where there is one."""
        program, began, error = self._program, time.perf_counter(), None
        with self._graphs.stream() if self._graphs else nullcontext():
            try:
                program.load(steps.start, len(steps), learning_rate)
                for step in steps:
                    program.begin(step)
                    self._step()
            except (RuntimeError, MemoryError) as stopped_by:
                error = stopped_by
            return _Chunk(steps[: program.taken], began, program.copy_ledger(program.taken)), error

    def _step(self) -> None:
        if self._replay is None and self._graphs is not None and self._plain_steps >= _WARM_UP_STEPS:
            self._record(self._graphs)
        if self._replay is None:
            self._program.step()
            self._plain_steps += 1
        else:
            self._replay()
        self._program.taken += 1

    def _record(self, graphs: Graphs) -> None:
        try:
            self._replay = graphs.record(self._program.step)
        except RuntimeError as error:
            for cause in (error, error.__context__):  # ending the recording may fail too, where memory ran out in it
                if cause is not None and is_out_of_memory(cause):
                    raise cause from None
            self._graphs, self._failure = None, str(error)

    def _finish(self, chunk: _Chunk) -> Iterator[TakenStep]:
        results = chunk.ledger.wait()
        now = time.perf_counter()
        seconds = (now - max(chunk.began, self._read_at)) / max(1, len(results))
        self._read_at = now
        if results:
            self._step_seconds = seconds
        for step, result in zip(chunk.steps, results, strict=True):
            yield TakenStep(step, seconds, result)


def make_step_runner(program: StepProgram, device: torch.device, *, alone: bool) -> StepRunner:
    """Return what takes a program's steps best on a device.

    Args:
        alone: whether no other process shares the work; otherwise all must go on step by step.
    """
    graphs = CudaGraphs(device) if device.type == "cuda" and alone else None
    return StepRunner(program, in_chunks=device.type != "cpu" and alone, graphs=graphs)
