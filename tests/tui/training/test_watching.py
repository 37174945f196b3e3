"""Following a run of another process: its log, its end, and what is asked of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from shakegpt.config import PRESETS
from shakegpt.errors import ShakegptError
from shakegpt.events import Event
from shakegpt.runs.follower import PROCESS_GONE, Follower, LogTail
from shakegpt.runs.run import Run, RunMetadata
from shakegpt.runs.snapshot import Snapshot, replay
from shakegpt.runs.store import Store

Events = Callable[..., list[Event]]


@pytest.fixture
def run(home: Path) -> Run:
    preset = PRESETS["nano"]
    record = RunMetadata(
        preset="nano",
        model=preset.model_config(65),
        training=preset.training_config(),
        corpus="demo",
        corpus_sha256="0" * 64,
        created="2026-11-22T20:00:00+00:00",
        versions={},
    )
    return Store(home).create(record, "macbeth")


def write(run: Run, events: list[Event]) -> None:
    for event in events:
        run.log.append(event)


def test_a_follower_sees_what_the_trainer_said(run: Run, events: Events) -> None:
    follower, whole = Follower(run), events()
    with run.lock():
        for start in range(0, len(whole), 100):
            write(run, whole[start : start + 100])
            assert follower.poll()
    shown, told = follower.latest, replay(whole)
    assert shown.state == "finished"
    assert (shown.step, shown.best, shown.saved, shown.samples) == (told.step, told.best, told.saved, told.samples)
    assert shown.train.points() == told.train.points()
    assert not follower.poll()


def test_only_whole_lines_are_read(run: Run, events: Events) -> None:
    tail, lines = LogTail(run.metrics_path), [json.dumps(event.to_json()) for event in events(upto=3)]
    run.metrics_path.write_text("\n".join(lines)[:-5])
    assert [event.step for event in tail.read()[1]] == [0, 1, 2]
    assert tail.read() == (False, [])
    run.metrics_path.write_text("\n".join(lines) + "\n")
    assert [event.step for event in tail.read()[1]] == [3]


def test_a_log_that_is_cut_back_is_read_anew(run: Run, events: Events) -> None:
    follower = Follower(run)
    write(run, events(upto=60))
    follower.poll()
    assert follower.latest.current_step == 60
    lines = run.metrics_path.read_bytes().splitlines(keepends=True)
    run.metrics_path.write_bytes(b"".join(lines[:31]))
    assert follower.poll()
    assert follower.latest.current_step == 30
    assert len(follower.latest.train) == 30


def test_torn_and_unknown_lines_are_passed_over(run: Run, events: Events) -> None:
    write(run, events(upto=2))
    with run.metrics_path.open("ab") as log:
        log.write(b'{"event": "st\n[1, 2]\n{"event": "of another day", "step": 9}\n\xff\xfe\n')
    write(run, events(upto=3)[-1:])
    follower = Follower(run)
    follower.poll()
    assert follower.latest.current_step == 3


def test_a_line_without_end_is_stepped_over(run: Run, events: Events) -> None:
    run.metrics_path.write_bytes(b"x" * (1 << 20) + b"\n")
    write(run, events(upto=3))
    follower = Follower(run)
    follower.poll()
    follower.poll()
    assert follower.latest.current_step == 3


def test_no_log_yet_is_loading(run: Run) -> None:
    follower = Follower(run)
    assert not follower.poll()
    assert follower.latest.state == "loading"


def test_a_run_that_nobody_holds_has_ended(run: Run, events: Events) -> None:
    follower = Follower(run)
    write(run, events(upto=60))
    with run.lock():
        follower.poll()
        follower.check_alive()
        assert follower.latest.state == "training"
    follower.check_alive()
    assert (follower.latest.state, follower.latest.message) == ("failed", PROCESS_GONE)
    assert follower.latest.current_step == 60


def test_the_last_word_counts_where_it_comes_between_two_looks(run: Run, events: Events) -> None:
    follower = Follower(run)
    write(run, events()[:-1])
    follower.poll()
    write(run, events()[-1:])
    follower.check_alive()
    assert follower.latest.state == "finished"


def test_a_pause_shows_once_the_run_has_heard_of_it_and_until_it_moves(run: Run, events: Events) -> None:
    follower, whole = Follower(run), events()
    write(run, whole[:40])
    follower.poll()
    with run.lock():
        follower.pause()
        follower.poll()
        assert follower.latest.state == "training"  # asked, and not yet heard
        write(run, whole[40:42])
        assert run.take_request() == "pause"
        follower.poll()
        assert follower.latest.state == "paused"
        assert not follower.poll()
        write(run, whole[42:44])  # someone else has let it go on
        follower.poll()
        assert follower.latest.state == "training"


def test_commands_are_requests_in_the_runs_folder(run: Run, events: Events) -> None:
    follower = Follower(run)
    with run.lock():
        for ask, request in (
            (follower.pause, "pause"),
            (follower.resume, "resume"),
            (follower.save, "save"),
            (follower.stop, "stop"),
        ):
            ask()
            assert run.take_request() == request


def test_a_run_that_is_over_takes_no_commands(run: Run) -> None:
    with pytest.raises(ShakegptError, match="not training"):
        Follower(run).pause()


def test_the_thread_tells_subscribers_until_they_leave(run: Run, events: Events) -> None:
    import threading

    follower, finished = Follower(run, interval=0.01), threading.Event()
    heard: list[Snapshot] = []

    def hear(_: Event | None, snapshot: Snapshot) -> None:
        heard.append(snapshot)
        if snapshot.state == "finished":
            finished.set()

    follower.subscribe(lambda *_: None)()
    follower.subscribe(hear)
    with run.lock():
        follower.start()
        write(run, events())
        assert finished.wait(30)
    follower.close()
    follower.join(30)
    assert not follower.alive
    assert heard[-1].current_step == 500
