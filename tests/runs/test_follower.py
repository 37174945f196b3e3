"""A run of another process, followed through its log. Tests poll by hand, so nothing waits for a clock."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.events import Event, Finished, Started, Step
from shakegpt.runs.follower import PROCESS_ENDED, Follower, LogTail
from shakegpt.runs.run import Run, create_run, utc_timestamp
from shakegpt.runs.snapshot import Snapshot

STARTED = Started(
    step=0, run="macbeth", steps=9, parameters=1, vocab_size=2, corpus="demo", device="cpu", precision="fp32",
    reason="", threads=1, batch_size=1, block_size=1, preset="nano",
)  # fmt: skip
STEP = Step(
    step=1, loss=2.0, perplexity=7.4, learning_rate=1e-3, grad_norm=1.0, tokens_per_second=1e4, seconds=1.0, tokens=9
)
FINISHED = Finished(step=2, outcome="finished", best_val_loss=None, best_step=None, seconds=1.0)


def line(event: Event) -> bytes:
    return json.dumps(event.to_json()).encode() + b"\n"


def steps(count: int) -> list[Step]:
    return [replace(STEP, step=step) for step in range(1, count + 1)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


# The tail of a log


def test_each_read_returns_what_is_new(path: Path) -> None:
    tail = LogTail(path)
    assert tail.read() == (False, [])  # there is no log yet
    one, two, three = steps(3)
    path.write_bytes(line(one) + line(two))
    assert tail.read() == (False, [one, two])
    assert tail.read() == (False, [])
    with path.open("ab") as file:
        file.write(line(three))
    assert tail.read() == (False, [three])


def test_a_line_is_read_once_it_is_complete(path: Path) -> None:
    tail, (one, two) = LogTail(path), steps(2)
    path.write_bytes(line(one) + line(two)[:20])
    assert tail.read() == (False, [one])
    path.write_bytes(line(one) + line(two))
    assert tail.read() == (False, [two])


def test_a_log_that_was_cut_back_is_read_from_the_start(path: Path) -> None:
    tail, (one, two, three) = LogTail(path), steps(3)
    path.write_bytes(line(one) + line(two))
    tail.read()
    path.write_bytes(line(one) + line(three))
    assert tail.read() == (True, [one, three])
    path.write_bytes(line(three))
    assert tail.read() == (True, [three])


def test_a_long_log_is_read_in_pieces(path: Path) -> None:
    every = steps(12_000)
    path.write_bytes(b"".join(map(line, every)))
    assert path.stat().st_size > 2**20
    tail = LogTail(path)
    read = []
    while events := tail.read()[1]:
        read += events
    assert read == every


def test_torn_and_unknown_lines_are_skipped(path: Path) -> None:
    one, two = steps(2)
    unknown = b'{"event": "st\n[1, 2]\n{"event": "of another day", "step": 9}\n\xff\xfe\n'
    path.write_bytes(line(one) + unknown + line(two))
    assert LogTail(path).read() == (False, [one, two])


def test_a_line_longer_than_any_event_is_skipped(path: Path) -> None:
    path.write_bytes(b"x" * 2**20 + b"\n" + line(STEP))
    tail = LogTail(path)
    assert tail.read() == (False, [])
    assert tail.read() == (False, [STEP])


@pytest.mark.parametrize("kind", ["folder", "link", "binary"])
def test_what_is_no_log_has_no_events(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(b"\xff" * 100 + b"\n")
    assert LogTail(path).read() == (False, [])


# Following


@pytest.fixture
def followed(macbeth: Run) -> Run:
    """A run whose log is empty."""
    macbeth.metrics_path.unlink()
    return macbeth


def append(run: Run, *events: Event) -> None:
    for event in events:
        run.log.append(event)


def test_a_poll_publishes_what_is_new(followed: Run) -> None:
    follower = Follower(followed)
    published: list[tuple[Event | None, Snapshot]] = []
    unsubscribe = follower.subscribe(lambda event, snapshot: published.append((event, snapshot)))
    assert follower.poll() is False
    assert follower.latest.state == "loading"
    append(followed, STARTED, STEP)
    assert follower.poll() is True
    assert [event for event, _ in published] == [STEP]  # of several, the newest
    assert (follower.latest.state, follower.latest.current_step, follower.latest.steps) == ("training", 1, 9)
    unsubscribe()
    append(followed, replace(STEP, step=2))
    assert follower.poll() is True
    assert len(published) == 1
    assert [point.step for point in follower.latest.train.points()] == [1, 2]


def test_a_fork_is_followed_with_the_steps_before_it(macbeth: Run) -> None:
    metadata = replace(macbeth.metadata, created=utc_timestamp(), resumed_from="macbeth@20")
    fork = create_run(macbeth.path.with_name("lear"), metadata)
    append(fork, replace(STARTED, run="lear", step=20), replace(STEP, step=21))
    follower = Follower(fork)
    follower.poll()
    assert [point.step for point in follower.latest.train.points()] == list(range(1, 22))
    assert [point.step for point in follower.latest.validation.points()] == [10, 20]
    fork.metrics_path.write_bytes(line(replace(STARTED, run="lear", step=20)))  # cut back: read again
    follower.poll()
    assert [point.step for point in follower.latest.train.points()] == list(range(1, 21))


def test_a_log_that_was_cut_back_gives_a_shorter_curve(followed: Run) -> None:
    follower = Follower(followed)
    append(followed, STARTED, *steps(9))
    follower.poll()
    lines = followed.metrics_path.read_bytes().splitlines(keepends=True)
    followed.metrics_path.write_bytes(b"".join(lines[:4]))
    assert follower.poll() is True
    assert (follower.latest.current_step, len(follower.latest.train)) == (3, 3)


def test_a_process_that_ended_without_a_last_event_is_noticed(followed: Run) -> None:
    follower = Follower(followed)
    append(followed, STARTED, STEP)
    with followed.lock():
        follower.poll()
        follower.check_alive()
        assert (follower.latest.state, follower.alive) == ("training", True)
    follower.check_alive()
    assert (follower.latest.state, follower.latest.message) == ("failed", PROCESS_ENDED)
    assert (follower.latest.current_step, follower.alive) == (1, False)


def test_a_last_event_between_two_polls_counts(followed: Run) -> None:
    follower = Follower(followed)
    append(followed, STARTED)
    follower.poll()
    append(followed, FINISHED)  # and its process ends
    follower.check_alive()
    assert follower.latest.state == "finished"
    follower.check_alive()
    assert follower.latest.state == "finished"


def test_a_run_that_is_resumed_is_training_again(followed: Run) -> None:
    follower = Follower(followed)
    append(followed, STARTED, STEP, FINISHED)
    follower.poll()
    assert follower.latest.state == "finished"
    append(followed, replace(STARTED, step=1))
    follower.poll()
    assert follower.latest.state == "training"


def test_a_pause_shows_once_the_run_has_taken_the_request_and_until_its_next_step(followed: Run) -> None:
    follower = Follower(followed)
    append(followed, STARTED, STEP)
    follower.poll()
    with followed.lock():
        follower.pause()
        follower.poll()
        assert follower.latest.state == "training"  # requested, and not yet taken
        append(followed, replace(STEP, step=2))
        assert followed.take_request() == "pause"
        follower.poll()
        assert follower.latest.state == "paused"
        assert not follower.poll()
        append(followed, replace(STEP, step=3))  # another process has resumed it
        follower.poll()
        assert follower.latest.state == "training"


@pytest.mark.parametrize("command", ["pause", "resume", "save", "stop"])
def test_a_command_is_a_request_in_the_runs_folder(followed: Run, command: str) -> None:
    follower = Follower(followed)
    with pytest.raises(ShakegptError, match="is not training"):
        getattr(follower, command)()
    with followed.lock():
        getattr(follower, command)()
        assert followed.take_request() == command


def test_the_thread_publishes_until_it_is_closed(followed: Run) -> None:
    follower, finished = Follower(followed, interval=0.01), threading.Event()

    def on_change(_: Event | None, snapshot: Snapshot) -> None:
        if snapshot.state == "finished":
            finished.set()

    follower.subscribe(on_change)
    with followed.lock():
        follower.start()
        append(followed, STARTED, STEP, FINISHED)
        assert finished.wait(60)
    follower.close()
    follower.join(60)
    assert not follower.is_alive()
