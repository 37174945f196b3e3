"""What every writer of events shares: the numbers it is given, and a thread that never holds the training up."""

import math
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.events import Evaluation, Event, Sample, Saved, Started, Step, Warning
from shakegpt.export import writers
from shakegpt.export.writers import WriterThread, config_of, require_package, scalars_of, verbatim
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import Snapshot


class Writer:
    """Writes into a list; may be told to fail, or to wait until it is let go."""

    def __init__(self, *, fail_at: int | None = None, blocked: bool = False) -> None:
        self.calls: list[Any] = []
        self.fail_at = fail_at
        self.let_go = threading.Event()
        self.begun = threading.Event()
        if not blocked:
            self.let_go.set()

    def begin(self, run: Run, event: Started) -> None:
        self.begun.set()
        self.let_go.wait()
        self.calls.append((run.name, event.step))

    def write(self, event: Event) -> None:
        if event.step == self.fail_at:
            raise OSError(28, "No space left on device")
        self.calls.append(event)

    def close(self) -> None:
        self.calls.append("closed")


class Writing:
    """A thread with its writer, and the warnings that it gave."""

    def __init__(self, run: Run, writer: Writer) -> None:
        self.writer, self.warnings = writer, list[Warning]()
        self.thread = WriterThread("Ledger", writer, lambda _: run)
        self.thread.on_warning = self.warnings.append
        self.thread.start()

    def receive(self, events: list[Event]) -> None:
        for event in events:
            self.thread.receive(event, Snapshot())


@pytest.fixture
def events(macbeth: Run) -> list[Event]:
    return list(macbeth.log.events())


@pytest.fixture
def blocked(macbeth: Run) -> Iterator[Writing]:
    """A writer that hangs in its first call."""
    writing = Writing(macbeth, Writer(blocked=True))
    yield writing
    writing.writer.let_go.set()
    writing.thread.finish()


def test_every_event_arrives_in_order_and_the_log_is_closed(macbeth: Run, events: list[Event]) -> None:
    writing = Writing(macbeth, Writer())
    writing.receive(events)
    writing.thread.finish()
    assert writing.writer.calls == [("macbeth", 0), *events[1:], "closed"]
    assert writing.thread.ended
    assert writing.warnings == []


def test_a_failure_ends_the_log_and_is_said_once(macbeth: Run, events: list[Event]) -> None:
    writing = Writing(macbeth, Writer(fail_at=3))
    writing.receive(events)
    writing.thread.join()
    writing.receive(events)  # nothing is kept for it any more
    writing.thread.finish()
    assert [warning.message for warning in writing.warnings] == [
        "The log for Ledger ends at step 3: No space left on device."
    ]
    assert (writing.warnings[0].step, writing.warnings[0].kind) == (3, "writer")
    assert writing.writer.calls[-1] == "closed"
    assert not writing.thread.ended


def test_a_writer_that_hangs_loses_steps_and_is_waited_for_no_longer_than_said(
    blocked: Writing, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "_MOST_WAITING", 5)
    blocked.receive(events[:1])
    blocked.writer.begun.wait()
    steps = [event for event in events if isinstance(event, Step)]
    blocked.receive(steps)  # returns
    assert ["does not keep up" in warning.message for warning in blocked.warnings] == [True]
    blocked.thread.finish(0.0)
    blocked.thread.finish(0.0)
    assert [warning.message for warning in blocked.warnings[1:]] == [
        "Ledger did not end within 0 seconds; its log may lack the last events, and 30 were not passed on."
    ]
    assert not blocked.thread.ended


def test_evaluations_find_room_where_steps_do_not(
    blocked: Writing, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "_MOST_WAITING", 5)
    blocked.receive(events[:1])
    blocked.writer.begun.wait()
    evaluations = [event for event in events if isinstance(event, Evaluation)]
    blocked.receive([event for event in events if isinstance(event, Step)])
    blocked.receive(evaluations)
    blocked.writer.let_go.set()
    blocked.thread.finish()
    assert len([event for event in blocked.writer.calls if isinstance(event, Step)]) == 5
    assert [event for event in blocked.writer.calls if isinstance(event, Evaluation)] == evaluations
    assert blocked.warnings[-1].message == "The log for Ledger lacks 25 steps: it did not keep up."


def test_a_writer_that_takes_no_event_for_long_is_said(
    blocked: Writing, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked.receive(events[:1])
    blocked.writer.begun.wait()
    monkeypatch.setattr(writers, "_STALL_SECONDS", -1.0)
    blocked.receive(events[1:])
    assert len(blocked.warnings) == 1


def test_a_run_that_never_began_is_closed_too(macbeth: Run) -> None:
    writing = Writing(macbeth, Writer())
    writing.thread.finish()
    assert writing.writer.calls == ["closed"]


def test_numbers_have_one_name_everywhere(events: list[Event]) -> None:
    step = next(event for event in events if isinstance(event, Step))
    assert scalars_of(step) == {
        "loss/train": step.loss,
        "perplexity/train": step.perplexity,
        "learning_rate": step.learning_rate,
        "gradient_norm": step.grad_norm,
        "characters_per_second": step.tokens_per_second,
    }
    assert set(scalars_of(replace(step, loss=math.nan, perplexity=math.inf))) == set(scalars_of(step)) - {
        "loss/train",
        "perplexity/train",
    }
    assert scalars_of(next(event for event in events if isinstance(event, Saved))) == {}


def test_settings_say_what_the_run_trains_on(macbeth: Run, events: list[Event]) -> None:
    started = next(event for event in events if isinstance(event, Started))
    config = config_of(macbeth, started)
    assert config["learning_rate"] == macbeth.metadata.training.learning_rate
    assert (config["device"], config["precision"]) == (started.device, "fp32")


def test_a_sample_is_verbatim_in_markdown() -> None:
    assert verbatim(Sample(step=1, prompt="\n", text="# a\n  é <b>\n")) == "    # a\n      é <b>"


def test_a_package_is_not_a_folder_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_package("json", "Writing", "x")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "ledger").mkdir()
    monkeypatch.setitem(sys.modules, "barred", None)
    for name in ("ledger", "barred", "no_such_package"):
        with pytest.raises(ShakegptError, match=rf"Writing needs {name}: pip install 'shakegpt\[x\]'"):
            require_package(name, "Writing", "x")
