"""What the training screen says in words: what the user should know of the run now, and the keys that help."""

from typing import Literal, NamedTuple, get_args

from textual.content import Content
from textual.widgets import Static

from shakegpt.runs.overfitting import overfitting
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting

Level = Literal["note", "warning", "error", "success"]

_WARNING_KEYS = {
    "save": "w tries again",
    "non-finite": "X stops, n starts again with a lower learning rate",
    "rollback": "X stops, n starts again with a lower learning rate",
    "memory": "n starts again with a smaller batch",
}


class NoticeText(NamedTuple):
    """A sentence for the user, and the keys that help."""

    level: Level
    sentence: str
    keys: str = ""


class Notice(Static):
    """A sentence or two under the progress line; it takes no room while it is empty."""

    DEFAULT_CSS = """
    Notice {
        height: auto;
        max-height: 4;
        margin: 0 1;
        display: none;
        &.-note { display: block; color: $foreground 85%; }
        &.-success { display: block; color: $text-success; background: $success-muted; }
        &.-warning { display: block; color: $text-warning; background: $warning-muted; }
        &.-error { display: block; color: $text-error; background: $error-muted; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="notice", markup=False)
        self.notice: NoticeText | None = None

    def show(self, notice: NoticeText | None) -> None:
        """Show a notice, or none."""
        if notice == self.notice:
            return
        self.notice = notice
        for level in get_args(Level):
            self.set_class(notice is not None and notice.level == level, f"-{level}")
        if notice is not None:
            self.update(Content.assemble(escape_line(notice.sentence), "  ", (notice.keys, "bold")))


def notice_of(snapshot: Snapshot) -> NoticeText | None:
    """Return what the user should know of a run."""
    if snapshot.state == "failed":
        keys = "r resumes from the last checkpoint, n starts a new run" if snapshot.saved else "n starts a new run"
        return NoticeText("error", snapshot.message or "Training ended for an unknown reason.", keys)
    found = overfitting(snapshot)
    fit = f" {found.sentence}" if found is not None else ""
    if snapshot.state == "finished" and snapshot.finished:
        best = snapshot.finished.best_val_loss
        loss = f", best validation loss {formatting.decimal(best)}" if best is not None else ""
        sentence = f"Finished in {formatting.duration(snapshot.finished.seconds)}{loss}.{fit}"
        return NoticeText("success", sentence, "Enter listens to it, n starts another")
    if snapshot.state == "stopped":
        sentence = f"Stopped and saved at step {formatting.count(snapshot.current_step)}.{fit}"
        return NoticeText("note", sentence, "r resumes it, Enter listens to it")
    if snapshot.warning is not None:
        return NoticeText("warning", snapshot.warning.message, _WARNING_KEYS.get(snapshot.warning.kind, ""))
    if snapshot.state in ("training", "paused") and found is not None:
        return NoticeText("note", found.sentence, "X stops")
    if snapshot.state == "loading":
        return NoticeText("note", "Reading the text and building the model…")
    if snapshot.started is not None and (snapshot.started.corpus_note or snapshot.started.begun_note):
        return NoticeText("note", snapshot.started.corpus_note or snapshot.started.begun_note)
    return None
