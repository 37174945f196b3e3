"""What the training screen says in words: what the user should know now, and what to do before there is a run."""

from typing import Literal, NamedTuple, get_args

from textual.app import ComposeResult
from textual.containers import Middle, Vertical
from textual.content import Content
from textual.widgets import Static

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting

Level = Literal["note", "warning", "error", "success"]

_WARNING_KEYS = {
    "save": "s tries again",
    "non-finite": "x stops, n starts again with a lower learning rate",
    "rollback": "x stops, n starts again with a lower learning rate",
    "memory": "n starts again with a smaller batch",
}
_QUOTE = "“Speak the speech, I pray you, as I pronounced it to you, trippingly on the tongue.”"
_FIRST_KEYS = (
    ("n", "choose a text and a size of model, and train it"),
    ("d", "train a tiny model on the built-in text: a minute, and no network"),
    ("3", "go on from an earlier run"),
)


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
        padding: 0 1;
        display: none;
        &.-note { display: block; color: $foreground 75%; }
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
    if snapshot.state == "finished" and snapshot.finished:
        best = snapshot.finished.best_val_loss
        loss = f", best validation loss {formatting.decimal(best)}" if best is not None else ""
        sentence = f"Finished in {formatting.duration(snapshot.finished.seconds)}{loss}."
        return NoticeText("success", sentence, "g generates, n starts another")
    if snapshot.state == "stopped":
        sentence = f"Stopped and saved at step {formatting.count(snapshot.current_step)}."
        return NoticeText("note", sentence, "r goes on, g generates")
    if snapshot.warning is not None:
        return NoticeText("warning", snapshot.warning.message, _WARNING_KEYS.get(snapshot.warning.kind, ""))
    if snapshot.state == "loading":
        return NoticeText("note", "Reading the text and building the model…")
    return None


class Welcome(Middle):
    """What the screen shows before there is a run: the keys that start one."""

    DEFAULT_CSS = """
    Welcome {
        align-horizontal: center;
        & > Vertical { width: 74; max-width: 100%; height: auto; padding: 0 2; }
        & Static { width: 1fr; height: auto; }
        & .quote { color: $foreground 60%; text-style: italic; margin-bottom: 1; }
        & .title { color: $primary; text-style: bold; margin-bottom: 1; }
    }
    """

    def compose(self) -> ComposeResult:
        """Put the keys under a quotation."""
        with Vertical():
            yield Static(_QUOTE, classes="quote", markup=False)
            yield Static("Nothing is in training yet.", classes="title", markup=False)
            for key, effect in _FIRST_KEYS:
                yield Static(Content.assemble((f"  {key}  ", "bold $primary"), effect))
