"""The line at the top of every screen: the three screens, and the run in training."""

import math
import time
from typing import ClassVar, get_args

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui.context import Mode
from shakegpt.tui.formatting import count, decimal

MINIMUM_SIZE = (80, 24)
"""The smallest terminal that shows everything."""
_NAME_WIDTH = 24
_SECONDS_PER_PAINT = 1.0  # each paint of the run costs a slow link a hundred bytes
_COLOURS = {
    "training": "$success",
    "paused": "$warning",
    "finished": "$primary",
    "stopped": "$foreground 70%",
    "failed": "$error",
}


class TopBar(Horizontal):
    """Names the screens with their keys, and sums up the run; warns where the terminal is small."""

    DEFAULT_CSS: ClassVar[str] = """
    TopBar {
        dock: top;
        height: 1;
        background: $panel;
        & > #screens { width: auto; link-style: none; link-color: $foreground 70%; }
        & > #screens { link-background-hover: $primary 30%; }
        & > #run { width: 1fr; text-align: right; text-wrap: nowrap; text-overflow: ellipsis; }
    }
    """

    def __init__(self, *, with_run: bool = True) -> None:
        super().__init__()
        self._with_run = with_run
        self._snapshot: Snapshot | None = None
        self._painted: tuple[Content, float] = (Content(""), -math.inf)
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Put the screens on the left and the run on the right."""
        yield Static(id="screens")
        yield Static(id="run")

    def on_mount(self) -> None:
        """Fill the line for the first time."""
        self._show_screens()

    def on_resize(self, _: events.Resize) -> None:
        """Fit the line to the new width."""
        self._show_screens()
        self._paint()

    def show(self, snapshot: Snapshot | None) -> None:
        """Sum up a run, or none: a change of state at once, mere progress once a second."""
        before, self._snapshot = self._snapshot, snapshot if self._with_run else None
        wait = self._painted[1] + _SECONDS_PER_PAINT - time.monotonic()
        if wait <= 0 or before is None or self._snapshot is None or before.state != self._snapshot.state:
            self._paint()
        elif self._timer is None:
            self._timer = self.set_timer(wait, self._paint)

    def _paint(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        line = self._line()
        if line != self._painted[0]:
            self.query_one("#run", Static).update(line)
        self._painted = (line, time.monotonic())

    def _line(self) -> Content:
        width, height = self.app.size
        if width < MINIMUM_SIZE[0] or height < MINIMUM_SIZE[1]:
            return Content.styled(f"{width}×{height} is small ", "$warning")
        return Content("") if self._snapshot is None else summary(self._snapshot, wide=width >= 100)

    def _show_screens(self) -> None:
        narrow = self.app.size.width < MINIMUM_SIZE[0]
        line = Content("") if narrow else Content.styled(" shakegpt ", "bold $primary")
        for key, mode in enumerate(get_args(Mode), 1):
            here = self.app.current_mode == mode
            style = "bold $background on $primary" if here else "$foreground 70%"
            click = "" if here else f" @click=app.switch_mode('{mode}')"
            line += Content.from_markup(f"[{style}{click}] {key} {mode.title()} [/]")
        self.query_one("#screens", Static).update(line)


def summary(snapshot: Snapshot, *, wide: bool) -> Content:
    """Return one line on a run: its state, and where there is room its name, step and loss."""
    colour = _COLOURS.get(snapshot.state, "$foreground 70%")
    parts = [Content.styled(f"● {snapshot.state}", colour)]
    if wide and snapshot.started is not None:
        name = escape_line(snapshot.started.run)
        parts.insert(0, Content(name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"))
    if snapshot.started is not None:
        parts.append(Content.styled(f"{count(snapshot.current_step)}/{count(snapshot.steps)}", "$foreground 70%"))
    if wide and snapshot.step is not None:
        parts.append(Content.styled(f"loss {decimal(snapshot.step.loss)}", "$foreground 70%"))
    return Content("  ").join(parts) + Content(" ")
