"""Which run is on show, and what it is doing."""

from typing import ClassVar

from rich.cells import cell_len

from shakegpt.events import Started
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row


class RunLine(DiffWidget):
    """A badge with the state, the run's name, and what it trains on what."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-line--name",
        "run-line--detail",
        "run-line--loading",
        "run-line--training",
        "run-line--paused",
        "run-line--saving",
        "run-line--finished",
        "run-line--stopped",
        "run-line--failed",
    }
    DEFAULT_CSS = """
    RunLine {
        height: 1;
        margin: 0 1;
        & > .run-line--name { text-style: bold; }
        & > .run-line--detail { color: $foreground 65%; }
        & > .run-line--loading { background: $secondary; color: $background; text-style: bold; }
        & > .run-line--training { background: $primary; color: $background; text-style: bold; }
        & > .run-line--paused { background: $warning; color: $background; text-style: bold; }
        & > .run-line--saving { background: $secondary; color: $background; text-style: bold; }
        & > .run-line--finished { background: $success; color: $background; text-style: bold; }
        & > .run-line--stopped { background: $foreground 70%; color: $background; text-style: bold; }
        & > .run-line--failed { background: $error; color: $background; text-style: bold; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="run-line")
        self._snapshot = Snapshot()
        self._asked = ""

    @property
    def badge(self) -> str:
        """What the badge says: the state, or what has been asked and not happened yet."""
        return self._asked or self._snapshot.state

    def show(self, snapshot: Snapshot, asked: str = "") -> None:
        """Show a run; ``asked`` names what was asked of it, such as ``pausing``, until it happens."""
        self._snapshot, self._asked = snapshot, asked
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line: badge and name at the left, device at the right, details between as far as they fit."""
        style = self.get_component_rich_style
        badge = f" {self.badge.upper()} "
        row: Row = [(badge, style(f"run-line--{self._snapshot.state}")), ("  ", self.rich_style)]
        started = self._snapshot.started
        if started is None:
            return [row]
        name, device = escape_line(started.run), f"{started.device} {started.precision}"
        used = cell_len(badge) + 2 + cell_len(name)
        detail = _fitting(_details(started), width - used - len(device) - 4)
        gap = " " * max(2, width - used - cell_len(detail) - len(device))
        row += [(name, style("run-line--name")), (detail, style("run-line--detail"))]
        return [[*row, (gap, self.rich_style), (device, style("run-line--detail"))]]


def _details(started: Started) -> list[str]:
    corpus = escape_line(started.corpus)
    return [f"  {corpus}", f"  {started.preset}", f"  {formatting.magnitude(started.parameters)} weights"]


def _fitting(parts: list[str], room: int) -> str:
    text = ""
    for part in parts:
        if cell_len(text + part) > room:
            break
        text += part
    return text
