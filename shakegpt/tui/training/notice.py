"""What the training screen says in words: what the user should know now, and what to do before there is a run."""

from typing import Literal

from textual.app import ComposeResult
from textual.containers import Middle, Vertical
from textual.content import Content
from textual.widgets import Static

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting

Tone = Literal["note", "warning", "error", "success"]

_WAYS_ON = {
    "save": "s tries again",
    "non-finite": "x stops, n starts again with a lower learning rate",
    "rollback": "x stops, n starts again with a lower learning rate",
    "memory": "n starts again with a smaller batch",
}
_VERSE = "“Speak the speech, I pray you, as I pronounced it to you, trippingly on the tongue.”"
_WAYS = (
    ("n", "choose a text and a size of model, and train it"),
    ("d", "train a tiny model on the built-in text: a minute, and no network"),
    ("3", "go on from an earlier run"),
)


class Notice(Static):
    """A sentence or two under the progress line; it takes no room while there is nothing to say."""

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
        self._said: tuple[Tone, str, str] | None = None

    @property
    def text(self) -> str:
        """What is said, with the way on; empty for nothing."""
        return " ".join(self._said[1:]).strip() if self._said else ""

    def say(self, said: tuple[Tone, str, str] | None) -> None:
        """Say a sentence in a tone, with a way on; or nothing."""
        if said == self._said:
            return
        self._said = said
        for tone in ("note", "warning", "error", "success"):
            self.set_class(said is not None and said[0] == tone, f"-{tone}")
        if said is not None:
            _, sentence, way_on = said
            self.update(Content.assemble(escape_line(sentence), "  ", (way_on, "bold")))


def notice_of(snapshot: Snapshot) -> tuple[Tone, str, str] | None:
    """Return what a run's state calls for: a tone, a sentence, and the keys that lead on."""
    if snapshot.state == "failed":
        ways = "r resumes from the last checkpoint, n starts a new run" if snapshot.saved else "n starts a new run"
        return "error", snapshot.message or "Training ended for a reason it could not tell.", ways
    if snapshot.state == "finished" and snapshot.finished:
        best = snapshot.finished.best_val_loss
        figure = f", best validation loss {formatting.decimal(best)}" if best is not None else ""
        sentence = f"Finished in {formatting.duration(snapshot.finished.seconds)}{figure}."
        return "success", sentence, "g hears it, n starts another"
    if snapshot.state == "stopped":
        return "note", f"Stopped and saved at step {formatting.count(snapshot.current_step)}.", "r goes on, g hears it"
    if snapshot.warning is not None:
        return "warning", snapshot.warning.message, _WAYS_ON.get(snapshot.warning.kind, "")
    if snapshot.state == "loading":
        return "note", "Reading the text and building the model…", ""
    return None


class Welcome(Middle):
    """An invitation with the keys that start something."""

    DEFAULT_CSS = """
    Welcome {
        align-horizontal: center;
        & > Vertical { width: 74; max-width: 100%; height: auto; padding: 0 2; }
        & Static { width: 1fr; height: auto; }
        & .welcome--verse { color: $foreground 60%; text-style: italic; margin-bottom: 1; }
        & .welcome--title { color: $primary; text-style: bold; margin-bottom: 1; }
    }
    """

    def compose(self) -> ComposeResult:
        """Put the keys under the invitation."""
        with Vertical():
            yield Static(_VERSE, classes="welcome--verse", markup=False)
            yield Static("The stage is empty: nothing is in training.", classes="welcome--title", markup=False)
            for key, way in _WAYS:
                yield Static(Content.assemble((f"  {key}  ", "bold $primary"), way))
