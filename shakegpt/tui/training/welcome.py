"""What the training screen says before there is anything to watch."""

from textual.app import ComposeResult
from textual.containers import Middle, Vertical
from textual.content import Content
from textual.widgets import Static

_VERSE = "“Speak the speech, I pray you, as I pronounced it to you, trippingly on the tongue.”"
_WAYS = (
    ("n", "choose a text and a size of model, and train it"),
    ("d", "train a tiny model on the built-in text: a minute, and no network"),
    ("3", "go on from an earlier run"),
)


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
