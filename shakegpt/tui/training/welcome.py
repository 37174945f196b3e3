"""What the training screen shows before there is a run: the three ways to begin, and what will happen."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from shakegpt.config import DEFAULT_PRESET, PRESETS
from shakegpt.errors import ShakegptError
from shakegpt.runs.speed import Speed
from shakegpt.tui import formatting
from shakegpt.tui.context import AppContext
from shakegpt.tui.training.demo import DEMO_PRESET, USUAL_TIME, demo_time

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
        self._detail = detail
        self._text = Static(self._content(title), classes="what")

    def _content(self, title: str) -> Content:
        return Content.assemble((title, "bold"), "\n", (self._detail, "$foreground 80%"))

    def set_title(self, title: str) -> None:
        """Say in other words what it does."""
        self._text.update(self._content(title))

    def compose(self) -> ComposeResult:
        """Put the key at the left of what it does."""
        yield Static(self._key, classes="key", markup=False)
        yield self._text

    async def on_click(self) -> None:
        """Do it."""
        await self.screen.run_action(self._action)


class Welcome(Container):
    """A pane in the middle of the screen.

    Args:
        context: knows how long the demo takes on this machine.
    """

    DEFAULT_CSS: ClassVar[str] = """
    Welcome {
        align: center middle;
        height: 1fr;
        & > Vertical { width: 78; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; overflow-y: auto; }
        & > Vertical > Choice { margin-bottom: 1; }
        & > Vertical > #what-happens { width: 1fr; height: auto; padding: 0 1; color: $foreground 80%; }
    }
    """

    @dataclass
    class SpeedsRead(Message):
        """It is known how fast this machine has trained."""

        speeds: Mapping[str, Speed]

    def __init__(self, context: AppContext) -> None:
        super().__init__()
        self._app_context = context

    def compose(self) -> ComposeResult:
        """Put the three ways above what will happen."""
        demo, default = (PRESETS[name].model_config(_CHARACTERS).parameters for name in (DEMO_PRESET, DEFAULT_PRESET))
        steps = formatting.count(PRESETS[DEMO_PRESET].training_config().steps)
        with Vertical(classes="pane") as pane:
            pane.border_title = "Train a GPT of your own"
            yield Choice(
                "Enter",
                f"Train the demo: about {USUAL_TIME}",
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

    def on_mount(self) -> None:
        """Find out how long the demo takes here."""
        self._read_speed()

    @work(thread=True, group="speed", exit_on_error=False)
    def _read_speed(self) -> None:
        with suppress(ShakegptError):
            self.post_message(self.SpeedsRead(self._app_context.measured_speeds()))

    def on_welcome_speeds_read(self, message: SpeedsRead) -> None:
        """Say how long the demo takes on this machine, where it has been trained before."""
        if (time := demo_time(message.speeds)) is not None:
            self.query(Choice).first().set_title(f"Train the demo: {time}")
