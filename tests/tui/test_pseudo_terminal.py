"""The app in a real terminal, with a real training."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.processes import wait_for, wait_until_idle
from tests.tui.pseudo_terminal import TerminalApp

pytestmark = pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no pseudo-terminals here")

DEADLINE = 30.0
"""Seconds that a training may take to end when asked to: one or two, unless other work keeps the machine busy."""
OpenApp = Callable[..., TerminalApp]


@pytest.fixture
def open_app(home: Path) -> Iterator[OpenApp]:
    """``open_app()``: run the app in a terminal."""
    terminals: list[TerminalApp] = []

    def open_(*arguments: str, nohup: bool = False) -> TerminalApp:
        terminals.append(TerminalApp(*arguments, home=home, nohup=nohup, long_nano=True))
        return terminals[-1]

    yield open_
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def at_training(open_app: OpenApp, home: Path) -> Callable[..., tuple[TerminalApp, Run]]:
    """``at_training()``: open the app and begin to train ``nano`` on the demo text."""

    def train(*arguments: str, nohup: bool = False) -> tuple[TerminalApp, Run]:
        terminal = open_app(*arguments, nohup=nohup)
        terminal.wait_for_text("Opening line")
        terminal.type("1")
        terminal.wait_for_text("Train the demo")
        terminal.type("\r")
        terminal.wait_for_text("TRAINING")
        terminal.wait_for_text("characters/s")
        return terminal, Store(home).runs()[0]

    return train


def test_train_pause_resume_generate_and_quit(at_training: Callable[..., tuple[TerminalApp, Run]]) -> None:
    terminal, run = at_training()
    terminal.type(" ")
    terminal.wait_for_text("PAUSED")
    terminal.type(" ")
    terminal.wait_for_text("TRAINING")
    terminal.type("\r")  # generate with the live weights
    terminal.wait_for_text("weights it has at this moment")
    terminal.wait_for_text("letters/s")
    terminal.type("\x11")
    terminal.wait_for_text("is in training")
    terminal.type("s")
    assert terminal.wait_for_exit() == 0
    assert run.status() == "stopped"
    assert run.last() is not None
    assert terminal.settings() == terminal.settings_before
    for on, off in ((b"\x1b[?1049h", b"\x1b[?1049l"), (b"\x1b[?25l", b"\x1b[?25h"), (b"\x1b[?2004h", b"\x1b[?2004l")):
        assert terminal.written.rindex(off) > terminal.written.rindex(on)


def test_training_goes_on_without_the_screen_and_ctrl_c_saves_it(
    at_training: Callable[..., tuple[TerminalApp, Run]],
) -> None:
    terminal, run = at_training()
    terminal.type("\x11")
    terminal.wait_for_text("is in training")
    terminal.type("t")
    terminal.wait_for_text(f"shakegpt watch {run.name}")
    assert run.status() == "training"
    assert terminal.settings() == terminal.settings_before  # Ctrl-C is a signal again
    terminal.type("\x03")
    assert terminal.wait_for_exit() == 130
    assert run.status() == "stopped"


def test_the_link_drops_and_training_goes_on(at_training: Callable[..., tuple[TerminalApp, Run]]) -> None:
    terminal, run = at_training()
    terminal.type(" ")
    terminal.wait_for_text("PAUSED")
    terminal.hang_up()
    wait_until_idle(terminal.process.pid)
    assert terminal.process.poll() is None
    at = run.snapshot().current_step
    run.request("resume")
    wait_for(lambda: run.snapshot().current_step > at + 3)
    run.request("stop")
    assert terminal.wait_for_exit() == 0
    assert run.status() == "stopped"


def test_on_hangup_save_saves_and_ends(at_training: Callable[..., tuple[TerminalApp, Run]]) -> None:
    terminal, run = at_training("--on-hangup", "save")
    terminal.hang_up()
    assert terminal.wait_for_exit() == 0
    assert run.status() == "stopped"
    assert run.last() is not None


def test_under_nohup_only_the_app_ends(at_training: Callable[..., tuple[TerminalApp, Run]]) -> None:
    terminal, run = at_training("--on-hangup", "save", nohup=True)
    terminal.type(" ")
    terminal.wait_for_text("PAUSED")
    terminal.hang_up()
    wait_until_idle(terminal.process.pid)
    assert terminal.process.poll() is None
    run.request("stop")
    assert terminal.wait_for_exit() == 0
    assert run.status() == "stopped"


def test_a_stalled_terminal_delays_neither_training_nor_its_end(
    at_training: Callable[..., tuple[TerminalApp, Run]],
) -> None:
    terminal, run = at_training()
    terminal.stall()
    at = run.snapshot().current_step
    wait_for(lambda: run.snapshot().current_step > at + 20)  # training does not wait for the terminal
    began = time.monotonic()
    terminal.signal(signal.SIGTERM)
    assert terminal.wait_for_exit(reading=False) == 143
    took = time.monotonic() - began
    print(f"SIGTERM to exit behind a stalled terminal: {took:.1f} s")
    assert took < DEADLINE
    assert run.status() == "stopped"


def test_watch_shows_a_run_of_another_process_and_stops_it(
    at_training: Callable[..., tuple[TerminalApp, Run]], open_app: OpenApp
) -> None:
    terminal, run = at_training()
    watcher = open_app("watch", run.name)
    watcher.wait_for_text("TRAINING")
    watcher.type(" ")
    watcher.wait_for_text("PAUSED")
    terminal.wait_for_text("PAUSED")
    watcher.type("X")
    watcher.wait_for_text("yes, save and stop")
    watcher.type("y")
    terminal.wait_for_text("STOPPED")
    watcher.wait_for_text("STOPPED")
    watcher.type("\x11")  # watching is over without a question
    assert watcher.wait_for_exit() == 0
    terminal.type("\x11")
    assert terminal.wait_for_exit() == 0
