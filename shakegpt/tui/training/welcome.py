"""What the training screen shows before there is a run: the three ways to begin, and what will happen."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from shakegpt.config import DEFAULT_PRESET, PRESETS
from shakegpt.tui import formatting

_CHARACTERS = 65  # of Tiny Shakespeare, for the number of weights
_WHAT_HAPPENS = (
    "The model reads the text again and again, and its loss falls. Now and then it writes a few lines: noise at first, "
    "then words, then verse. Space pauses, Enter listens to it, X saves and stops."
)


class Choice(Horizontal):
    """One way to begin: its key, what it does, and how long that takes; a click does it too."""

    DEFAULT_CSS: ClassVar[str] = """
    Choice {
        width: 1fr;
        height: auto;
        padding: 0 1;
        &:hover { background: $primary 15%; }
        & > .key { width: 7; color: $primary; text-style: bold; }
        & > .what { width: 1fr; height: auto; }
    }
    """

    def __init__(self, key: str, title: str, detail: str, action: str) -> None:
        super().__init__()
        self._key, self._action = key, action
        self._text = Content.assemble((title, "bold"), "\n", (detail, "$foreground 80%"))

    def compose(self) -> ComposeResult:
        """Put the key at the left of what it does."""
        yield Static(self._key, classes="key", markup=False)
        yield Static(self._text, classes="what")

    async def on_click(self) -> None:
        """Do it."""
        await self.screen.run_action(self._action)


class Welcome(Container):
    """A pane in the middle of the screen."""

    DEFAULT_CSS: ClassVar[str] = """
    Welcome {
        align: center middle;
        height: 1fr;
        & > Vertical { width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; overflow-y: auto; }
        & > Vertical > Choice { margin-bottom: 1; }
        & > Vertical > #what-happens { width: 1fr; height: auto; padding: 0 1; color: $foreground 80%; }
    }
    """

    def compose(self) -> ComposeResult:
        """Put the three ways above what will happen."""
        demo, default = (PRESETS[name].model_config(_CHARACTERS).parameters for name in ("nano", DEFAULT_PRESET))
        steps = formatting.count(PRESETS["nano"].training_config().steps)
        with Vertical(classes="pane") as pane:
            pane.border_title = "Train a GPT of your own"
            yield Choice(
                "Enter",
                "Train the demo: about 20 seconds",
                f"{formatting.compact(demo)} weights, {steps} steps, on the play that comes with shakegpt",
                "demo",
            )
            yield Choice(
                "n",
                "Choose a text and a size of model",
                f"from seconds to hours; {formatting.compact(default)} weights learn to write verse",
                "new_run",
            )
            yield Choice(
                "3",
                "Go on from an earlier run",
                "look at its curve, resume it, or listen to it",
                "app.switch_mode('checkpoints')",
            )
            yield Static(_WHAT_HAPPENS, id="what-happens", markup=False)
