"""What is told of a sweep: its end and what goes wrong in a run, but no run's own success."""

from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.events import Evaluation, Event, Started, Step, Warning
from shakegpt.runs.notifications import STALL_SECONDS, Notification
from shakegpt.runs.notifier import Sender
from shakegpt.runs.snapshot import advance
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import make_plan
from shakegpt.system.terminal_notice import BELL
from shakegpt.training.sweep import SweepState, SweepThread
from shakegpt.training.sweep_notifier import SweepNotifier

ROLLBACK = Warning(step=50, kind="rollback", message="Back to step 40.")


def started(run: str) -> Started:
    return Started(
        step=0, run=run, steps=100, parameters=1, vocab_size=65, corpus="demo", device="cpu", precision="fp32",
        reason="", threads=1, batch_size=8, block_size=64, preset="nano",
    )  # fmt: skip


def step(number: int) -> Step:
    return Step(
        step=number, loss=2.0, perplexity=7.4, learning_rate=1e-3, grad_norm=1.0, tokens_per_second=512.0, seconds=1.0,
        tokens=1,
    )  # fmt: skip


def evaluation(loss: float) -> Evaluation:
    return Evaluation(
        step=90, train_loss=2.0, val_loss=loss, perplexity=8.0, bits_per_character=3.0, best=True, seconds=1.0, tokens=1
    )


class FakeSweep(SweepThread):
    """A sweep whose runs are as the test says, and which is never started; what is told of it is kept."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, make_plan("rates", {"seed": ["1", "2"]}, {}), [])
        self.told, self.rung, self.now = list[Notification](), list[str](), 0.0
        sender = Sender(["bell"], write=self.rung.append, warn=pytest.fail)
        tell = sender.tell

        def note(notification: Notification) -> None:
            self.told.append(notification)
            tell(notification)

        sender.tell = note  # type: ignore[method-assign]
        self.notifier = SweepNotifier(self, sender, clock=lambda: self.now)

    def set(self, number: int, state: SweepState, *events: Event, message: str = "") -> None:
        """Bring a run to a state by events, and publish it."""
        name = f"rates-{number:02}"
        snapshot = reduce(advance, events, self._rows[name].snapshot)
        self._rows[name] = replace(self._rows[name], state=state, snapshot=snapshot, message=message)
        self.publish(name)

    def publish(self, name: str) -> None:
        self.notifier.receive(name, None)
        while not self.notifier._waiting.empty():
            update = self.notifier._waiting.get()
            assert update is not None
            self.notifier.tell_changes(update)

    @property
    def messages(self) -> list[str]:
        return [notification.message for notification in self.told]


@pytest.fixture
def sweep(private_surroundings: Path) -> FakeSweep:
    return FakeSweep(Store(private_surroundings))


def test_a_sweep_that_goes_well_rings_once(sweep: FakeSweep) -> None:
    for number, loss in ((1, 2.1), (2, 1.9)):
        sweep.set(number, "loading")
        sweep.set(number, "training", started(f"rates-{number:02}"), step(100), evaluation(loss))
        sweep.set(number, "finished")
    assert sweep.rung == []
    sweep.publish("")
    assert sweep.rung == [BELL]
    assert sweep.told == [
        Notification(
            event="finished",
            run="rates",
            message="The sweep rates has finished: 2 runs, best validation loss 1.9000 of rates-02.",
            step=200,
            steps=200,
            best_val_loss=1.9,
            best_step=90,
        )
    ]


def test_a_failure_is_told_when_it_happens_and_counted_at_the_end(sweep: FakeSweep) -> None:
    sweep.set(1, "loading")
    sweep.set(1, "failed", message="There is no corpus nowhere.")
    assert [(told.event, told.run) for told in sweep.told] == [("failed", "rates-01")]
    sweep.set(1, "failed", message="There is no corpus nowhere.")  # published twice
    sweep.set(2, "finished", started("rates-02"), step(100))
    sweep.publish("")
    assert sweep.messages == [
        "rates-01 has failed at step 0: There is no corpus nowhere.",
        "The sweep rates has ended: 1 of 2 runs finished, 1 failed.",
    ]
    assert sweep.told[-1].event == "failed"


def test_a_roll_back_and_a_stall_are_told_and_the_past_is_not(sweep: FakeSweep) -> None:
    sweep.set(1, "loading", started("rates-01"), step(50), ROLLBACK)  # of an earlier training
    sweep.set(1, "training", step(51))
    assert sweep.told == []
    sweep.set(1, "training", Warning(step=60, kind="rollback", message="Back to step 50."))
    sweep.now = STALL_SECONDS + 1
    sweep.notifier.check_stall()
    sweep.notifier.check_stall()
    assert sweep.messages == [
        "rates-01 went back: Back to step 50.",
        "rates-01 has stalled: nothing since step 51 for 3 minutes.",
    ]


@pytest.mark.parametrize(
    ("error", "event", "message"),
    [
        (None, "stopped", "The sweep rates has stopped: 1 of 2 runs finished."),
        (ShakegptError("The disk is full."), "failed", "The sweep rates has failed: The disk is full."),
    ],
)
def test_an_end_before_its_time(sweep: FakeSweep, error: Exception | None, event: str, message: str) -> None:
    sweep.set(1, "finished")
    sweep.set(2, "stopped")
    sweep.error = error
    sweep.publish("")
    assert [(told.event, told.message) for told in sweep.told] == [(event, message)]
