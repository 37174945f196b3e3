"""A run of another process, followed through its log. Each look is taken by hand, so nothing waits for a clock."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.events import Event, Finished, Started, Step
from shakegpt.runs.follower import PROCESS_GONE, Follower, LogTail
from shakegpt.runs.run import Run
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


def test_each_look_brings_what_is_new(path: Path) -> None:
    tail = LogTail(path)
    assert tail.read() == (False, [])  # there is no log yet
    one, two, three = steps(3)
    path.write_bytes(line(one) + line(two))
    assert tail.read() == (False, [one, two])
    assert tail.read() == (False, [])
    with path.open("ab") as file:
        file.write(line(three))
    assert tail.read() == (False, [three])


def test_a_line_is_read_when_it_is_complete(path: Path) -> None:
    tail, (one, two) = LogTail(path), steps(2)
    path.write_bytes(line(one) + line(two)[:20])
    assert tail.read() == (False, [one])
    path.write_bytes(line(one) + line(two))
    assert tail.read() == (False, [two])


def test_a_log_that_was_cut_back_is_read_anew(path: Path) -> None:
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


@pytest.mark.parametrize("kind", ["folder", "link", "binary"])
def test_what_is_no_log_brings_nothing(path: Path, kind: str) -> None:
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


def test_the_story_is_told_as_it_grows(followed: Run) -> None:
    follower = Follower(followed)
    told: list[tuple[Event | None, Snapshot]] = []
    unsubscribe = follower.subscribe(lambda event, snapshot: told.append((event, snapshot)))
    assert follower.poll() is False
    for event in (STARTED, STEP):
        followed.log.append(event)
    assert follower.poll() is True
    assert [event for event, _ in told] == [STEP]  # of several, the newest
    assert (follower.latest.state, follower.latest.current_step, follower.latest.steps) == ("training", 1, 9)
    unsubscribe()
    followed.log.append(replace(STEP, step=2))
    assert follower.poll() is True
    assert len(told) == 1
    assert follower.latest.current_step == 2


def test_a_process_that_is_gone_without_a_word_is_noticed(followed: Run) -> None:
    follower = Follower(followed)
    for event in (STARTED, STEP):
        followed.log.append(event)
    with followed.lock():
        follower.poll()
        follower.check_alive()
        assert follower.latest.state == "training"
    follower.check_alive()
    assert (follower.latest.state, follower.latest.message) == ("failed", PROCESS_GONE)


def test_a_last_word_between_two_looks_is_heard(followed: Run) -> None:
    follower = Follower(followed)
    followed.log.append(STARTED)
    follower.poll()
    followed.log.append(FINISHED)  # and its process ends
    follower.check_alive()
    assert follower.latest.state == "finished"
    follower.check_alive()
    assert follower.latest.state == "finished"


def test_a_run_that_is_taken_up_again_is_training_again(followed: Run) -> None:
    follower = Follower(followed)
    for event in (STARTED, STEP, FINISHED):
        followed.log.append(event)
    follower.poll()
    assert follower.latest.state == "finished"
    followed.log.append(replace(STARTED, step=1))
    follower.poll()
    assert follower.latest.state == "training"


def test_a_run_that_nobody_trains_takes_no_commands(followed: Run) -> None:
    with pytest.raises(ShakegptError, match="is not training"):
        Follower(followed).pause()


def test_the_thread_follows_until_it_is_told_to_look_away(macbeth: Run) -> None:
    follower = Follower(macbeth, interval=0.01)
    follower.start()
    follower.close()
    follower.join(60)
    assert not follower._thread.is_alive()
    assert follower.latest.state in ("finished", "loading")
