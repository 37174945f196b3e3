"""What the app says of the run in training on whatever screen is open."""

from typing import Any

from textual.app import App

from shakegpt.runs.snapshot import ENDED, Snapshot
from shakegpt.system.text import escape_control_characters, escape_line
from shakegpt.tui.formatting import count, decimal

_FAILURE_SECONDS = 15


def notify_changes(app: App[Any], before: Snapshot, snapshot: Snapshot) -> None:
    """Say that a run has ended, or warns of something; take back what was said of its state before."""
    if snapshot.state in ENDED and before.state not in ENDED:
        app.clear_notifications()
        _notify_end(app, snapshot)
    elif snapshot.state != before.state:
        app.clear_notifications()
    elif snapshot.warning != before.warning:
        app.clear_notifications()
        if snapshot.warning is not None and not _training_screen_is_seen(app):
            app.notify(escape_control_characters(snapshot.warning.message), severity="warning", markup=False)


def _training_screen_is_seen(app: App[Any]) -> bool:
    """Return whether the user sees the training screen, which says itself what there is to say of its run."""
    return app.current_mode == "training" and len(app.screen_stack) == 1


def _notify_end(app: App[Any], snapshot: Snapshot) -> None:
    name = escape_line(snapshot.started.run) if snapshot.started else "Training"
    if snapshot.state == "failed":
        app.notify(
            escape_control_characters(snapshot.message),
            title=f"{name} has failed",
            severity="error",
            timeout=_FAILURE_SECONDS,
            markup=False,
        )
    elif not _training_screen_is_seen(app):
        best = f" Best validation loss {decimal(snapshot.best.val_loss)}." if snapshot.best else ""
        app.notify(f"{name} has {snapshot.state} at step {count(snapshot.current_step)}.{best}", markup=False)
