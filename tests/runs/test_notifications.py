"""What is told of a training, and by whom."""

import json
import shlex
import sys
from functools import reduce
from pathlib import Path

import pytest

from shakegpt.events import Evaluation, Event, Failed, Finished, Started, Step, Warning
from shakegpt.runs.notifications import STALL_SECONDS, Notification
from shakegpt.runs.notifier import CommandThread, Notifier, Sender
from shakegpt.runs.snapshot import Snapshot, advance
from shakegpt.system.terminal_notice import BELL

STARTED = Started(
    step=0, run="macbeth", steps=100, parameters=1, vocab_size=65, corpus="demo", device="cpu", precision="fp32",
    reason="", threads=1, batch_size=8, block_size=64, preset="nano",
)  # fmt: skip
BEST = Evaluation(
    step=90, train_loss=2.0, val_loss=2.1, perplexity=8.0, bits_per_character=3.0, best=True, seconds=1.0, tokens=1
)
ROLLBACK = Warning(step=50, kind="rollback", message="Back to step 40.")
SAVE = Warning(step=50, kind="save", message="The disk is full.")


def step(number: int, seconds: float = 0.01) -> Step:
    """A step that took so long."""
    return Step(
        step=number, loss=2.0, perplexity=7.4, learning_rate=1e-3, grad_norm=1.0, tokens_per_second=512 / seconds,
        seconds=1.0, tokens=1,
    )  # fmt: skip


def finished(**changes: str) -> Finished:
    values = {"step": 100, "outcome": "finished", "best_val_loss": 2.1, "best_step": 90, "seconds": 1.0}
    return Finished(**(values | changes))  # type: ignore[arg-type]


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Told(Notifier):
    """A notifier that rings, whose thread does not run: the test shows it each snapshot."""

    def __init__(self, *, begin: Snapshot | None = Snapshot(), running: bool = True) -> None:  # noqa: B008
        self.clock, self.messages, self.kinds = Clock(), list[str](), list[str]()
        self.rung: list[str] = []
        sender = Sender(["bell"], write=self.rung.append, warn=pytest.fail)
        super().__init__(sender, begin=begin, running=running, clock=self.clock)
        self.snapshot = begin or Snapshot()
        tell = sender.tell

        def note(notification: Notification) -> None:
            tell(notification)
            self.kinds.append(notification.event)
            self.messages.append(notification.message)

        sender.tell = note  # type: ignore[method-assign]

    def show(self, *events: Event) -> None:
        """Pass on what a source publishes for these events at once."""
        self.snapshot = reduce(advance, events, self.snapshot)
        self.receive(events[-1], self.snapshot)
        while not self._waiting.empty():
            snapshot = self._waiting.get()
            assert snapshot is not None
            self.tell_changes(snapshot)


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        (finished(), "finished", "macbeth has finished at step 10, best validation loss 2.1000 at step 90."),
        (finished(reason="no new best"), "finished", "macbeth has finished at step 10 (no new best), best"),
        (finished(outcome="stopped"), "stopped", "macbeth has stopped at step 10, best"),
        (Failed(step=10, message="The disk is full."), "failed", "macbeth has failed at step 10: The disk is full."),
        (ROLLBACK, "rollback", "macbeth went back: Back to step 40."),
    ],
)
def test_what_is_told(event: Event, kind: str, message: str) -> None:
    told = Told()
    for before in (STARTED, step(10), BEST, SAVE):
        told.show(before)
    assert told.kinds == []
    told.show(event)
    assert told.kinds == [kind]
    assert told.messages[0].startswith(message)
    assert told.rung == [BELL]


def test_each_roll_back_is_told_once() -> None:
    told = Told()
    told.show(STARTED)
    told.show(ROLLBACK)
    told.show(step(41))
    told.show(Warning(step=60, kind="rollback", message="Back to step 40."))
    assert told.kinds == ["rollback", "rollback"]


@pytest.mark.parametrize(
    ("past", "running", "later", "kinds"),
    [
        ((STARTED, step(10), ROLLBACK), True, (finished(),), ["finished"]),
        ((STARTED, step(10), finished()), False, (), []),
        ((STARTED, step(10)), False, (Failed(step=10, message="killed"),), []),  # found dead
        ((STARTED, step(10)), False, (step(11), Failed(step=11, message="killed")), ["failed"]),
    ],
)
def test_the_past_of_a_run_that_is_watched_is_not_told(
    past: tuple[Event, ...], running: bool, later: tuple[Event, ...], kinds: list[str]
) -> None:
    told = Told(begin=None, running=running)
    told.show(*past)
    for event in later:
        told.show(event)
    assert told.kinds == kinds


@pytest.mark.parametrize(
    ("seconds", "limit", "message"),
    [
        (0.01, STALL_SECONDS, "macbeth has stalled: nothing since step 1 for 3 minutes."),
        (72.0, 720.0, "macbeth has stalled: nothing since step 1 for 12 minutes, over ten times its usual step of 72"),
    ],
)
def test_a_stall_is_told_once(seconds: float, limit: float, message: str) -> None:
    told = Told()
    told.show(STARTED)
    told.show(step(1, seconds))
    told.clock.now = limit
    told.check_stall()
    assert told.kinds == []
    told.clock.now = limit + 1
    told.check_stall()
    told.check_stall()
    assert told.kinds == ["stalled"]
    assert told.messages[0].startswith(message)
    told.show(step(2, seconds))  # it was only slow: from now on, a pause of that length is usual
    told.clock.now += 2 * limit
    told.check_stall()
    assert told.kinds == ["stalled"]
    told.clock.now += 3
    told.check_stall()
    assert told.kinds == ["stalled", "stalled"]


def test_no_stall_before_the_first_step_is_due_or_after_the_end() -> None:
    told = Told()
    told.clock.now = 1e6
    told.check_stall()  # still loading
    told.show(STARTED)
    told.show(finished())
    told.clock.now = 2e6
    told.check_stall()
    assert told.kinds == ["finished"]


# Commands


def python(code: str) -> str:
    """A command that runs some Python."""
    return f"{shlex.quote(sys.executable)} -S -c {shlex.quote(code)}"


def run_notifier(command: str, *events: Event, finish: float = 30.0) -> list[str]:
    """Tell of a training by a command; return the warnings."""
    warnings: list[str] = []
    notifier = Notifier(Sender([command], write=pytest.fail, warn=warnings.append), begin=Snapshot())
    notifier.start()
    snapshot = Snapshot()
    for event in (STARTED, *events):
        snapshot = advance(snapshot, event)
        notifier.receive(event, snapshot)
    notifier.finish(finish)
    return warnings


def test_a_command_gets_json_and_variables(tmp_path: Path) -> None:
    code = "import os, sys; open({!r}, 'a').write(sys.stdin.read() + os.environ['SHAKEGPT_EVENT'] + '\\n')"
    file = tmp_path / "told"
    assert run_notifier(python(code.format(str(file))), ROLLBACK, step(100), finished()) == []
    first, kind, second, last_kind = file.read_text().splitlines()
    assert (kind, last_kind) == ("rollback", "finished")
    assert json.loads(first)["message"] == "macbeth went back: Back to step 40."
    assert json.loads(second) == {
        "event": "finished",
        "run": "macbeth",
        "message": "macbeth has finished at step 100, best validation loss 2.1000 at step 90.",
        "step": 100,
        "steps": 100,
        "best_val_loss": 2.1,
        "best_step": 90,
    }


@pytest.mark.parametrize(
    ("command", "warning"),
    [
        ("echo no such door >&2; exit 3", "failed with 3: no such door."),
        ("no-such-command-here", "failed with 127: "),
    ],
)
def test_a_command_that_fails_is_warned_of_once(command: str, warning: str) -> None:
    (said,) = run_notifier(command, ROLLBACK, finished())
    assert said.startswith(f"The command of --notify, '{command}', {warning}")


def test_a_command_that_hangs_holds_nothing_up() -> None:
    (said,) = run_notifier("exec sleep 3", ROLLBACK, finished(), finish=0.1)
    assert "has not ended yet and is left to itself" in said


def test_a_command_that_takes_too_long_is_ended() -> None:
    warnings: list[str] = []
    thread = CommandThread("sleep 1000", warnings.append, seconds=0.05)
    thread.start()
    told = Told()
    told._sender._commands = [thread]
    told.show(STARTED)
    told.show(ROLLBACK)
    thread.close()
    thread.join(20)
    assert not thread.is_alive()
    assert warnings == ["The command of --notify, 'sleep 1000', took longer than 0.05 seconds and was ended."]
