"""The app in a real terminal, with a real training: what no pilot can see."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pseudo_terminal import Person

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")

DEADLINE = 5.0
"""Seconds that a training may take to end when asked to."""
Sit = Callable[..., Person]


@pytest.fixture
def sit_down(home: Path) -> Iterator[Sit]:
    """``sit_down()``: open the app in a terminal."""
    people: list[Person] = []

    def sit(*arguments: str, nohup: bool = False) -> Person:
        people.append(Person(*arguments, home=home, nohup=nohup))
        return people[-1]

    yield sit
    for person in people:
        person.leave()


@pytest.fixture
def at_training(sit_down: Sit, home: Path) -> Callable[..., tuple[Person, Run]]:
    """``at_training()``: open the app and begin to train ``nano`` on the demo text."""

    def train(*arguments: str, nohup: bool = False) -> tuple[Person, Run]:
        person = sit_down(*arguments, nohup=nohup)
        person.see("Enter")
        person.type("1")
        person.see("Demo")
        person.type("d")
        person.see("TRAINING")
        person.see("tokens/s")
        return person, Store(home).runs()[0]

    return train


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_train_pause_go_on_speak_and_quit(at_training: Callable[..., tuple[Person, Run]]) -> None:
    person, run = at_training()
    person.type("p")
    person.see("PAUSED")
    person.type("p")
    person.see("TRAINING")
    person.type("g")  # speak from the live weights
    person.see("(live)")
    person.see("400 characters")
    person.type("\x11")
    person.see("is in training")
    person.type("s")
    assert person.end() == 0
    assert run.status() == "stopped"
    assert run.last() is not None
    assert person.settings() == person.settings_before
    for on, off in ((b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?25l", b"\x1b[?25h"), (b"\x1b[?2004h", b"\x1b[?2004l")):
        assert person.written.rindex(off) > person.written.rindex(on)


def test_training_goes_on_without_the_screen_and_ctrl_c_saves_it(
    at_training: Callable[..., tuple[Person, Run]],
) -> None:
    person, run = at_training()
    person.type("\x11")
    person.see("is in training")
    person.type("k")
    person.see(f"shakegpt watch {run.name}")
    assert run.status() == "training"
    assert person.settings() == person.settings_before  # Ctrl-C is a signal again
    person.type("\x03")
    assert person.end() == 130
    assert run.status() == "stopped"


def test_the_link_drops_and_training_goes_on_to_its_end(at_training: Callable[..., tuple[Person, Run]]) -> None:
    person, run = at_training()
    person.type("p")
    person.see("PAUSED")
    person.hang_up()
    began, spent = time.monotonic(), cpu_seconds(person.process.pid)
    with pytest.raises(TimeoutError):
        _wait(person, 1.5)
    share = (cpu_seconds(person.process.pid) - spent) / (time.monotonic() - began)
    print(f"share of a core while the training rests: {share:.1%}")
    assert share < 0.25  # the app is leaving meanwhile; a spinning thread takes all of a core
    run.request("resume")
    assert person.end() == 0
    assert run.status() == "finished"


def test_on_hangup_save_saves_and_ends(at_training: Callable[..., tuple[Person, Run]]) -> None:
    person, run = at_training("--on-hangup", "save")
    person.type("p")  # or the short run ends by itself before the link does
    person.see("PAUSED")
    person.hang_up()
    assert person.end() == 0
    assert run.status() == "stopped"
    assert run.last() is not None


def test_under_nohup_only_the_screen_goes(at_training: Callable[..., tuple[Person, Run]]) -> None:
    person, run = at_training("--on-hangup", "save", nohup=True)
    person.type("p")
    person.see("PAUSED")
    person.hang_up()
    began, spent = time.monotonic(), cpu_seconds(person.process.pid)
    with pytest.raises(TimeoutError):
        _wait(person, 1.5)
    assert (cpu_seconds(person.process.pid) - spent) / (time.monotonic() - began) < 0.25
    run.request("stop")
    assert person.end() == 0
    assert run.status() == "stopped"


def test_a_stalled_terminal_holds_up_neither_training_nor_its_end(
    at_training: Callable[..., tuple[Person, Run]],
) -> None:
    person, run = at_training()
    person.stall()
    at = run.snapshot().current_step
    deadline = time.monotonic() + 30
    while run.snapshot().current_step < at + 20:
        assert time.monotonic() < deadline, "training waits for the terminal"
    began = time.monotonic()
    person.signal(signal.SIGTERM)
    assert person.end(reading=False) == 143
    took = time.monotonic() - began
    print(f"SIGTERM to exit behind a stalled terminal: {took:.1f} s")
    assert took < DEADLINE
    assert run.status() == "stopped"


def test_watch_shows_a_run_of_another_process_and_stops_it(
    at_training: Callable[..., tuple[Person, Run]], sit_down: Sit
) -> None:
    person, run = at_training()
    watcher = sit_down("watch", run.name)
    watcher.see("TRAINING")
    watcher.type("p")
    watcher.see("PAUSED")
    person.see("PAUSED")
    watcher.type("x")
    person.see("STOPPED")
    watcher.see("STOPPED")
    watcher.type("\x11")  # watching is over without a question
    assert watcher.end() == 0
    person.type("\x11")
    assert person.end() == 0


def _wait(person: Person, seconds: float) -> None:
    import subprocess

    try:
        person.process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
