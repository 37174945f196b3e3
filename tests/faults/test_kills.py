"""kill -9 at random moments: the store always opens, nothing reported saved is missing, and the run can go on."""

import os
import random
import signal
import threading
from pathlib import Path

import pytest

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.faults import fault_work
from tests.faults.fault_processes import Start, end_all
from tests.processes import wait_for

MOST_SAVES = 4
"""Kills come before the first save of a process, or up to so many saves later."""
LONGEST_SECONDS = 0.1
"""Kills come up to so much later: in the middle of a start, of a step, or of the next save."""


def read_acknowledged(path: Path) -> list[int]:
    """Return the steps that the killed processes reported as saved."""
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def check_store(home: str, acknowledged: Path) -> int:
    """Open everything there is as a user would, and return the newest step."""
    store = Store(Path(home))
    reported = read_acknowledged(acknowledged)
    for run in store.runs():
        assert store.summary(run).status in ("killed", "finished")
        for info in run.checkpoints():
            store.open(info.reference).read_training_state()
        assert len(run.checkpoints()) == len(run.checkpoint_folders())
        last = run.last()
        assert (last.step if last else 0) >= max(reported, default=0)
        assert run.snapshot().current_step >= max(reported, default=0)
        return last.step if last else 0
    assert not reported
    return 0


def survive(start: Start, home: str, corpus: str, tmp_path: Path, kills: int, **faults: object) -> None:
    """Kill one run again and again, resuming it each time; in the end let it be, and compare it with one in peace."""
    moments = random.Random(4)
    acknowledged = tmp_path / "acknowledged"
    often = ("--save-every", "3", "--eval-every", "7", "--steps", "20000")
    begin = ("train", "--preset", "tiny", "--corpus", corpus, *often, "--run")
    survived, steps = 0, 0
    for _ in range(kills):
        run = Run(Path(home) / "runs" / "macbeth")
        if run.path.exists() and not run.checkpoints():
            run.remove()
        arguments = ("train", "--resume", "macbeth") if run.checkpoints() else (*begin, "macbeth")
        faults |= {"output": os.devnull, "acknowledge": str(acknowledged)}
        process = start(fault_work.command, home, *arguments, **faults)
        saves = len(read_acknowledged(acknowledged)) + moments.randint(0, MOST_SAVES)
        wait_for(lambda saves=saves: len(read_acknowledged(acknowledged)) >= saves)
        threading.Event().wait(moments.uniform(0, LONGEST_SECONDS))
        os.kill(process.pid, signal.SIGKILL)
        assert end_all([process]) == [-signal.SIGKILL]
        survived += 1
        newest = check_store(home, acknowledged)
        assert newest >= steps
        steps = newest
    print(f"{survived} kills survived; the run came to step {steps}")
    assert steps > 0
    last = Store(Path(home)).run("macbeth").last()
    for arguments in (("train", "--resume", "macbeth"), (*begin, "peace")):
        last_words = start(fault_work.command, home, *arguments, output=os.devnull, stop_after=steps + 3)
        assert end_all([last_words]) == [143]
    killed, peace = (Store(Path(home)).run(name).last() for name in ("macbeth", "peace"))
    assert killed.step == peace.step > last.step
    for name in ("model.safetensors", "training.safetensors"):
        assert (killed.path / name).read_bytes() == (peace.path / name).read_bytes()


@pytest.mark.timeout(300)
def test_kills_are_survived(start: Start, home: str, corpus: str, tmp_path: Path) -> None:
    survive(start, home, corpus, tmp_path, 8)


@pytest.mark.timeout(300)
def test_kills_while_a_thread_saves_are_survived(start: Start, home: str, corpus: str, tmp_path: Path) -> None:
    survive(start, home, corpus, tmp_path, 4, save_in_background=True)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_are_survived(start: Start, home: str, corpus: str, tmp_path: Path) -> None:
    survive(start, home, corpus, tmp_path, 200)
