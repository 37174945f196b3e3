"""Tells the user of a sweep: that it has ended, and that a run has failed, gone back, or does not move on."""

import time
from collections.abc import Callable
from dataclasses import replace

from shakegpt.events import Event
from shakegpt.runs.notifications import Kind, Notification, failure, notifications_between
from shakegpt.runs.notifier import FollowingThread, Sender, StallWatch
from shakegpt.system.text import count
from shakegpt.training.sweep import SweepRow, SweepThread

_ENDS = ("finished", "stopped", "failed")


class SweepNotifier(FollowingThread[SweepRow | Notification]):
    """Follows a sweep from its beginning; ``receive`` subscribes to a ``SweepThread``.

    A run that has finished is no news: the sweep goes on.

    Args:
        sweep: has not been started.
        sender: tells.
        clock: seconds.
    """

    def __init__(self, sweep: SweepThread, sender: Sender, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(sender)
        self._sweep = sweep
        self._latest = {row.name: row for row in sweep.rows}
        self._told: dict[str, SweepRow] = {}
        self._stalls = {name: StallWatch(clock) for name in self._latest}

    def receive(self, name: str, _: Event | None) -> None:
        """Take the state of a run, or the end of the sweep; returns at once. Called on the sweep's thread."""
        if not name:
            self._waiting.put(end_of_sweep(self._sweep))
            return
        before, row = self._latest[name], self._sweep.row(name)
        self._latest[name] = row
        self._stalls[name].moved()
        if row.state != before.state or row.snapshot.warning is not before.snapshot.warning:
            self._waiting.put(row)

    def tell_changes(self, update: SweepRow | Notification) -> None:
        """Tell what is new of a run, or that the sweep has ended."""
        if isinstance(update, Notification):
            self._sender.tell(update)
            return
        before, self._told[update.name] = self._told.get(update.name), update
        if before is not None:  # what its log says of an earlier training is no news
            for notification in notifications_between(before.snapshot, update.snapshot):
                if notification.event not in _ENDS:
                    self._sender.tell(notification)
        if update.state == "failed" and (before is None or before.state != "failed"):
            self._sender.tell(replace(failure(update.name, update.snapshot, update.message), run=update.name))

    def check_stall(self) -> None:
        """Tell once of each run that does not move on."""
        for name, row in self._latest.items():
            if row.state == "training" and (stalled := self._stalls[name].check(row.snapshot)) is not None:
                self._sender.tell(stalled)


def end_of_sweep(sweep: SweepThread) -> Notification:
    """Return the notification of a sweep that has ended; its steps are those of all runs together."""
    rows, error = sweep.rows, sweep.error
    finished, failed = (sum(row.state == state for row in rows) for state in ("finished", "failed"))
    kind: Kind = "finished" if finished == len(rows) else "failed" if failed or error is not None else "stopped"
    best = min((row.snapshot.best for row in rows if row.snapshot.best), key=lambda one: one.val_loss, default=None)
    name = next((row.name for row in rows if best is not None and row.snapshot.best is best), "")
    if error is not None:
        message = f"The sweep {sweep.sweep_name} has failed: {error}"
    else:
        said = "finished" if kind == "finished" else "ended" if failed else "stopped"
        runs = count(len(rows), "run") if kind == "finished" else f"{finished} of {count(len(rows), 'run')} finished"
        runs += f", {failed} failed" if failed else ""
        loss = f", best validation loss {best.val_loss:.4f} of {name}" if best else ""
        message = f"The sweep {sweep.sweep_name} has {said}: {runs}{loss}."
    return Notification(
        event=kind,
        run=sweep.sweep_name,
        message=message,
        step=sum(row.snapshot.current_step for row in rows),
        steps=sum(row.snapshot.steps for row in rows),
        best_val_loss=best.val_loss if best else None,
        best_step=best.step if best else None,
    )
