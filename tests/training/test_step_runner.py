"""Chunks of steps and their recording, with graphs that a CPU can stand in for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from shakegpt.config import PRESETS
from shakegpt.data.corpus import Corpus
from shakegpt.model.gpt import GPT
from shakegpt.training import step_runner
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.gradients import Gradients
from shakegpt.training.optimizer import Optimizer
from shakegpt.training.schedule import learning_rate_at
from shakegpt.training.step import StepProgram
from shakegpt.training.step_runner import StepRunner, TakenStep


class FakeGraphs:
    """Records as a GPU does: what is recorded does not happen, and a replay makes it happen."""

    def __init__(self, error: str = "") -> None:
        self.error, self.records, self.replays = error, 0, 0
        self.inside = False

    @contextmanager
    def stream(self) -> Iterator[None]:
        self.inside = True
        yield
        self.inside = False

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        assert self.inside
        if self.error:
            raise RuntimeError(self.error)
        self.records += 1

        def replay() -> None:
            assert self.inside
            self.replays += 1
            work()

        return replay


class Training:
    """A small training, a runner of its steps, and what they gave."""

    def __init__(self, corpus: Corpus, **options: Any) -> None:
        shape = PRESETS["nano"].model_config(len(corpus.vocabulary), dropout=0.1)
        self.config = PRESETS["nano"].training_config(steps=40, batch_size=4)
        model = GPT(shape, seed=1)
        self.parameters = FlatParameters(model)
        optimizer = Optimizer(self.parameters, self.config, precision="fp32")
        gradients = Gradients(model, self.parameters, precision="fp32")
        self.program = StepProgram(corpus.train, self.config, shape.block_size, gradients, optimizer)
        self.runner = StepRunner(self.program, **options)

    def take(
        self, first: int, last: int, accumulate: int = 1, go_on: Callable[[], bool] = lambda: True
    ) -> Iterator[TakenStep]:
        return self.runner.take(
            range(first, last + 1), lambda step: learning_rate_at(step, self.config), accumulate=accumulate, go_on=go_on
        )

    def losses(self, first: int, last: int, **options: Any) -> list[float]:
        return [taken.result.loss for taken in self.take(first, last, **options)]


@pytest.fixture(scope="module")
def expected(demo: Corpus) -> list[float]:
    """The losses of plain single steps."""
    return Training(demo).losses(1, 12)


@pytest.fixture
def chunks(expected: list[float], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long the chunks were that a runner started; each has four steps where so many are left."""
    lengths: list[int] = []
    start = StepRunner._start

    def noted(self: StepRunner, steps: range, *arguments: Any) -> Any:
        lengths.append(len(steps))
        return start(self, steps, *arguments)

    monkeypatch.setattr(StepRunner, "_start", noted)
    monkeypatch.setattr(StepRunner, "_chunk_length", lambda self: 4)
    return lengths


def test_chunks_give_what_single_steps_give(demo: Corpus, chunks: list[int], expected: list[float]) -> None:
    training = Training(demo, in_chunks=True)
    taken = list(training.take(1, 10))
    assert [step.step for step in taken] == list(range(1, 11))
    assert [step.result.loss for step in taken] == expected[:10]
    assert chunks == [4, 4, 2]


@pytest.mark.parametrize("cut", range(1, 9))
def test_the_next_chunk_is_started_before_the_last_is_read_and_a_stop_acts_between_chunks(
    demo: Corpus, chunks: list[int], expected: list[float], cut: int
) -> None:
    """A stop at every offset of a chunk: what was started is reported, and the training can go on from there."""
    training = Training(demo, in_chunks=True)
    seen: list[TakenStep] = []
    for taken in training.take(1, 12, go_on=lambda: len(seen) < cut):
        seen.append(taken)
        if taken.step == 1:
            assert chunks[-2:] == [4, 4]  # the second was started before the first was read
    assert len(seen) == (8 if cut <= 4 else 12)
    rest = training.losses(len(seen) + 1, 12)
    assert [taken.result.loss for taken in seen] + rest == expected


@pytest.mark.parametrize("cut", range(1, 9))
def test_closed_early_it_drops_what_was_started(
    demo: Corpus, chunks: list[int], expected: list[float], cut: int
) -> None:
    """As after a rollback, whose steps are taken again from another state."""
    training = Training(demo, in_chunks=True)
    taken = training.take(1, 12)
    assert [next(taken).result.loss for _ in range(cut)] == expected[:cut]
    taken.close()  # type: ignore[attr-defined]
    fresh = Training(demo)
    training.parameters.weights.copy_(fresh.parameters.weights)
    training.program._optimizer.reset()
    assert training.losses(1, 6) == expected[:6]


def test_three_plain_steps_then_one_recording_and_replays(demo: Corpus, expected: list[float]) -> None:
    graphs = FakeGraphs()
    training = Training(demo, graphs=graphs)
    assert training.losses(1, 12) == expected
    assert (graphs.records, graphs.replays) == (1, 9)
    assert training.runner.take_failure() == ""


def test_a_recording_that_fails_leaves_plain_steps_and_says_so_once(demo: Corpus, expected: list[float]) -> None:
    training = Training(demo, graphs=FakeGraphs("operation not permitted when stream is capturing"))
    assert training.losses(1, 12) == expected
    assert training.runner.take_failure() == "operation not permitted when stream is capturing"
    assert training.runner.take_failure() == ""


def test_memory_that_runs_out_while_recording_is_raised_whatever_ending_the_recording_says(
    demo: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def record(self: FakeGraphs, work: Callable[[], None]) -> Callable[[], None]:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(FakeGraphs, "record", record)
    training = Training(demo, graphs=FakeGraphs())
    with pytest.raises(torch.OutOfMemoryError):
        training.losses(1, 12)
    assert training.runner.take_failure() == ""


def test_more_parts_are_recorded_anew(demo: Corpus, expected: list[float]) -> None:
    graphs = FakeGraphs()
    training = Training(demo, graphs=graphs)
    losses = training.losses(1, 6) + training.losses(7, 12, accumulate=2)
    assert losses == pytest.approx(expected, abs=1e-5)
    assert (graphs.records, graphs.replays) == (2, 6)


@pytest.mark.parametrize("at", [1, 3, 4, 6])
def test_when_memory_runs_out_the_steps_before_are_reported(
    demo: Corpus, chunks: list[int], expected: list[float], monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    training = Training(demo, in_chunks=True)
    begin = training.program.begin

    def starving(step: int) -> None:
        if step == at:
            raise torch.OutOfMemoryError("CUDA out of memory")
        begin(step)

    monkeypatch.setattr(training.program, "begin", starving)
    steps = training.take(1, 12)
    assert [next(steps).step for _ in range(1, at)] == list(range(1, at))
    with pytest.raises(torch.OutOfMemoryError):
        next(steps)
    monkeypatch.setattr(training.program, "begin", begin)
    assert training.losses(at, 12) == expected[at - 1 :]


@pytest.mark.parametrize(("seconds", "length"), [(1.0, 1), (0.005, 10), (1e-6, step_runner.LONGEST_CHUNK)])
def test_a_chunk_takes_about_a_twentieth_of_a_second(demo: Corpus, seconds: float, length: int) -> None:
    runner = Training(demo, in_chunks=True).runner
    assert runner._chunk_length() == 1  # nothing has been timed
    runner._step_seconds = seconds
    assert runner._chunk_length() == length
    assert Training(demo).runner._chunk_length() == 1
