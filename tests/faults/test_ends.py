"""However a training is asked to end, and whatever becomes of its terminal: the work is saved, the code is right."""

import json
import os
import pty
import signal
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.faults import fault_work
from tests.faults.fault_processes import Start, end_all
from tests.processes import wait_for, wait_until_idle

FOREVER = "1000000"
DEADLINE = 30.0
"""Seconds that a training may take to end when asked to: one or two, unless other work keeps the machine busy."""
Begin = Callable[..., tuple[ForkServerProcess, Run]]


class Terminal:
    """A real pseudo-terminal, from the side of the person at the other end of the link."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.name = os.ttyname(slave)
        self._slave = slave
        self._shown = b""

    def read(self) -> bytes:
        """Read what is there, and return all that was ever shown."""
        os.set_blocking(self.master, False)
        with suppress(BlockingIOError):
            while data := os.read(self.master, 65536):
                self._shown += data
        return self._shown

    def give_away(self) -> None:
        """Keep only the person's end, so that closing it is a hang-up."""
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1

    def stall(self) -> None:
        """Stop the flow, as Ctrl-S does, or a link that has died without a word."""
        termios.tcflow(self._slave, termios.TCOOFF)

    def hang_up(self) -> None:
        """Drop the link."""
        self.give_away()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.hang_up()


@pytest.fixture
def begin(start: Start, home: str, corpus: str, tmp_path: Path) -> Begin:
    """``begin("--steps", "9", on=terminal)``: begin the run ``macbeth``, and wait until it has taken some steps."""

    def train(*more: str, on: Terminal | None = None, **faults: object) -> tuple[ForkServerProcess, Run]:
        seldom = ("--eval-every", "1000", *(() if "--save-every" in more else ("--save-every", "1000")))
        arguments = ("train", "--preset", "tiny", "--corpus", corpus, "--run", "macbeth", *seldom, *more)
        if on is None:
            process = start(fault_work.command, home, *arguments, **{"output": str(tmp_path / "output"), **faults})
        else:
            process = start(fault_work.on_terminal, on.name, home, *arguments, **faults)
        run = Run(Store(Path(home)).runs_folder / "macbeth")
        wait_for(lambda: run.snapshot().current_step >= 3)
        return process, run

    return train


def end(process: ForkServerProcess) -> tuple[int, float]:
    """Wait for the end of a process; return its exit code and how long that took."""
    began = time.monotonic()
    return end_all([process])[0], time.monotonic() - began


def is_saved(run: Run) -> bool:
    """Say whether the newest step is in a checkpoint that reads well."""
    last = run.last()
    assert last is not None
    Store(run.path.parents[1]).open(last.reference).read_training_state()
    return last.step == run.snapshot().current_step


# The link drops


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A pipe that holds a training up until it is opened."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def test_training_goes_on_when_the_link_drops_and_ends_as_if_nothing_had_happened(
    begin: Begin, terminal: Terminal, gate: Path
) -> None:
    process, run = begin("--steps", "40", on=terminal, hold_at=(4, str(gate)))
    terminal.give_away()
    terminal.hang_up()
    gate.write_bytes(b"")
    assert end(process)[0] == 0
    assert (run.status(), is_saved(run)) == ("finished", True)
    assert [point.step for point in run.snapshot().train.points()] == list(range(1, 41))


@pytest.mark.parametrize("face", ["train", "app"])
def test_no_thread_spins_on_a_terminal_that_is_gone(
    begin: Begin, start: Start, home: str, corpus: str, terminal: Terminal, face: str
) -> None:
    if face == "train":
        process, run = begin("--steps", FOREVER, on=terminal)
    else:
        process = start(fault_work.app_on_terminal, terminal.name, home, corpus, "continue")
        run = Run(Store(Path(home)).runs_folder / "macbeth")
        wait_for(lambda: b"TRAINING" in terminal.read() and run.snapshot().current_step >= 3)
    terminal.give_away()
    terminal.hang_up()
    at = run.snapshot().current_step
    wait_for(lambda: run.snapshot().current_step > at + 20)  # the training goes on, and what shows it has gone
    run.request("pause")
    wait_for(lambda: not (run.path / "request").exists())
    wait_until_idle(process.pid)
    assert process.is_alive()
    run.request("stop")
    assert end(process)[0] == (143 if face == "train" else 0)
    assert (run.status(), is_saved(run)) == ("stopped", True)


def test_on_hangup_save_saves_and_ends(begin: Begin, terminal: Terminal) -> None:
    process, run = begin("--steps", FOREVER, "--on-hangup", "save", on=terminal)
    terminal.give_away()
    terminal.hang_up()
    code, seconds = end(process)
    assert (code, seconds < DEADLINE) == (143, True)
    assert (run.status(), is_saved(run)) == ("stopped", True)


def test_what_goes_to_a_file_still_does_when_the_link_drops(
    begin: Begin, terminal: Terminal, gate: Path, tmp_path: Path
) -> None:
    events = tmp_path / "events.jsonl"
    process, _ = begin("--steps", "40", "--json", on=terminal, stdout=str(events), hold_at=(4, str(gate)))
    terminal.give_away()
    terminal.hang_up()
    gate.write_bytes(b"")
    assert end(process)[0] == 0
    kinds = [json.loads(line)["event"] for line in events.read_text().splitlines()]
    assert (kinds[0], kinds[-1], kinds.count("step")) == ("started", "finished", 40)


def test_under_nohup_a_hang_up_is_nothing(begin: Begin) -> None:
    process, run = begin("--steps", FOREVER, "--on-hangup", "save", ignore=signal.SIGHUP)
    os.kill(process.pid, signal.SIGHUP)
    at = run.snapshot().current_step
    wait_for(lambda: run.snapshot().current_step > at + 2)
    os.kill(process.pid, signal.SIGTERM)
    assert end(process)[0] == 143
    assert (run.status(), is_saved(run)) == ("stopped", True)


def test_the_reader_of_the_output_may_close_it(begin: Begin) -> None:
    process, run = begin("--steps", "40", "--json", closed_pipe=True)
    assert end(process)[0] == 0
    assert run.status() == "finished"


# Being asked to end


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_ends(begin: Begin, number: int, code: int) -> None:
    process, run = begin("--steps", FOREVER)
    os.kill(process.pid, number)
    ended, seconds = end(process)
    assert (ended, seconds < DEADLINE) == (code, True)
    assert (run.status(), is_saved(run)) == ("stopped", True)


@pytest.mark.parametrize("style", ["live", "json"])
def test_a_stalled_terminal_slows_nothing_and_sigterm_still_saves(begin: Begin, terminal: Terminal, style: str) -> None:
    process, run = begin("--steps", FOREVER, *(["--json"] if style == "json" else []), on=terminal)
    terminal.stall()
    at = run.snapshot().current_step
    wait_for(lambda: run.snapshot().current_step > at + 150)
    os.kill(process.pid, signal.SIGTERM)
    code, seconds = end(process)
    print(f"{style}: ended {seconds:.1f} s after SIGTERM")
    assert (code, seconds < DEADLINE) == (143, True)
    assert (run.status(), is_saved(run)) == ("stopped", True)


def test_a_second_interrupt_ends_at_once_and_the_last_checkpoint_is_whole(begin: Begin, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    os.mkfifo(blocked)
    stop_requested = tmp_path / "stop_requested"
    process, run = begin(
        "--steps", FOREVER, "--save-every", "4", block_saves=str(blocked), report_stop=str(stop_requested)
    )
    with blocked.open("rb") as pipe:
        pipe.read(1)  # the second save has begun, and will not end
    os.kill(process.pid, signal.SIGINT)
    wait_for(stop_requested.exists)
    os.kill(process.pid, signal.SIGINT)
    code, seconds = end(process)
    assert (code, seconds < DEADLINE) == (130, True)
    assert [info.step for info in run.checkpoints()] == [4]
    Store(run.path.parents[1]).open("macbeth@4").read_training_state()
    assert run.status() == "killed"


def test_a_training_that_is_still_loading_ends_as_well(start: Start, home: str, tmp_path: Path) -> None:
    endless, up = tmp_path / "endless", tmp_path / "up"
    os.mkfifo(endless)  # a text that never comes
    process = start(fault_work.command, home, "train", "--corpus", str(endless), listening=str(up))
    wait_for(up.exists)
    os.kill(process.pid, signal.SIGTERM)
    code, seconds = end(process)
    assert (code, seconds < DEADLINE) == (143, True)


def test_stop_asks_another_process_to_save_and_end(begin: Begin, shakegpt: Callable[..., int]) -> None:
    process, run = begin("--steps", FOREVER)
    assert shakegpt("stop", "macbeth") == 0
    code, seconds = end(process)
    assert (code, seconds < DEADLINE) == (143, True)
    assert (run.status(), is_saved(run)) == ("stopped", True)
    assert shakegpt("stop", "macbeth") == 1


# What becomes of it, in the list


def test_the_list_tells_the_ends_apart(begin: Begin, shakegpt: Callable[..., int], home: str, corpus: str) -> None:
    process, run = begin("--steps", FOREVER)
    new = ("train", "--preset", "tiny", "--corpus", corpus, "--run")
    assert shakegpt(*new, "finished") == 0
    assert shakegpt(*new, "stopped", stop_after=6) == 143
    assert shakegpt(*new, "failed", cut_at=(fault_work.CUT_EXCEPTION, 30)) == 1
    assert shakegpt(*new, "killed", cut_at=(fault_work.CUT_KILL, 30)) == -9
    store = Store(Path(home))
    statuses = {run.name: store.summary(run).status for run in store.runs()}
    assert statuses == {
        "macbeth": "training",
        "finished": "finished",
        "stopped": "stopped",
        "failed": "failed",
        "killed": "killed",
    }
    process.kill()
    process.join()
    assert run.status() == "killed"
