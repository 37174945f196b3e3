"""What a user who has gone away is told of a training: that it has ended, failed, gone back, or does not move on."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.system.text import escape_line

Kind = Literal["finished", "stopped", "failed", "rollback", "stalled"]

STALL_SECONDS = 180.0
"""A run stalls after so long without a step, or after ten times its usual step, whichever is longer."""
STALL_STEPS = 10


@dataclass(frozen=True, kw_only=True)
class Notification:
    """Something to tell; the fields are those of the JSON that a command gets."""

    event: Kind
    run: str
    message: str
    """In a sentence."""
    step: int
    steps: int
    best_val_loss: float | None
    best_step: int | None

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return asdict(self)

    def variables(self) -> dict[str, str]:
        """Return it as environment variables: ``SHAKEGPT_EVENT``, ``SHAKEGPT_RUN`` and so on; none for what is null."""
        return {f"SHAKEGPT_{name.upper()}": escape_line(str(v)) for name, v in asdict(self).items() if v is not None}


def notifications_between(before: Snapshot, after: Snapshot) -> list[Notification]:
    """Return what there is to tell of a run that has moved on from one snapshot to another."""
    told = []
    warning = after.warning
    if warning is not None and warning.kind == "rollback" and warning != before.warning:
        told.append(_notification("rollback", after, f"{_name(after)} went back: {warning.message}"))
    if after.state in ENDED and before.state not in ENDED:
        told.append(_end(after))
    return told


def stall_limit(snapshot: Snapshot) -> tuple[float, str]:
    """Return after how many seconds without an event a run stalls, and where that follows from its steps, how."""
    step = snapshot.seconds_until(snapshot.current_step + 1)
    if step is not None and STALL_STEPS * step > STALL_SECONDS:
        return STALL_STEPS * step, f", over ten times its usual step of {step:.0f} seconds"
    return STALL_SECONDS, ""


def stall(snapshot: Snapshot, seconds: float, usual: str) -> Notification:
    """Return the notification of a run that has not moved on for so long; ``usual`` is of ``stall_limit``."""
    step = f"step {snapshot.current_step:,}"
    message = f"{_name(snapshot)} has stalled: nothing since {step} for {seconds / 60:.0f} minutes{usual}."
    return _notification("stalled", snapshot, message)


def failure(name: str, snapshot: Snapshot, reason: str) -> Notification:
    """Return the notification of a run that has failed; it may not have begun."""
    return _notification("failed", snapshot, f"{name} has failed at step {snapshot.current_step:,}: {reason}")


def _end(snapshot: Snapshot) -> Notification:
    name, step = _name(snapshot), f"step {snapshot.current_step:,}"
    if snapshot.state == "failed":
        return failure(name, snapshot, snapshot.message)
    if snapshot.finished is not None and snapshot.finished.reason:
        step += f" ({snapshot.finished.reason})"
    loss, best_step = _best(snapshot)
    best = "" if loss is None or best_step is None else f", best validation loss {loss:.4f} at step {best_step:,}"
    kind: Kind = "stopped" if snapshot.state == "stopped" else "finished"
    return _notification(kind, snapshot, f"{name} has {kind} at {step}{best}.")


def _name(snapshot: Snapshot) -> str:
    return snapshot.started.run if snapshot.started else "The training"


def _best(snapshot: Snapshot) -> tuple[float | None, int | None]:
    if snapshot.finished is not None:
        return snapshot.finished.best_val_loss, snapshot.finished.best_step
    return (None, None) if snapshot.best is None else (snapshot.best.val_loss, snapshot.best.step)


def _notification(kind: Kind, snapshot: Snapshot, message: str) -> Notification:
    loss, step = _best(snapshot)
    return Notification(
        event=kind,
        run=snapshot.started.run if snapshot.started else "",
        message=message,
        step=snapshot.current_step,
        steps=snapshot.steps,
        best_val_loss=loss,
        best_step=step,
    )
