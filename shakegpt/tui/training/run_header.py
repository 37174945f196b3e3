"""The first line of the training screen: the run's state, its name, and what it trains on what."""

from contextlib import suppress
from typing import ClassVar, get_args

from rich.cells import cell_len

from shakegpt.config import DEFAULT_PRESET, PRESETS, SHAPE_FIELDS, current_preset
from shakegpt.data.catalog import TINY_SHAKESPEARE
from shakegpt.events import Started
from shakegpt.runs.snapshot import Snapshot, State
from shakegpt.system.text import escape_line
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import formatting
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_USUAL_CHARACTERS = 65
"""The size of Tiny Shakespeare's vocabulary; others change the number of weights little."""


class RunHeader(DiffWidget):
    """A badge with the state, the run's name, and what it trains on what."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "run-header--name",
        "run-header--detail",
        *(f"run-header--{state}" for state in get_args(State)),
    }
    DEFAULT_CSS = """
    RunHeader {
        height: 1;
        margin: 0 1;
        & > .run-header--name { text-style: bold; }
        & > .run-header--detail { color: $foreground 75%; }
        & > .run-header--loading { color: $secondary; text-style: bold reverse; }
        & > .run-header--training { color: $primary; text-style: bold reverse; }
        & > .run-header--paused { color: $warning; text-style: bold reverse; }
        & > .run-header--finished { color: $success; text-style: bold reverse; }
        & > .run-header--stopped { color: $foreground 70%; text-style: bold reverse; }
        & > .run-header--failed { color: $error; text-style: bold reverse; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="run-header")
        self._snapshot = Snapshot()
        self._pending_command = ""
        self._request: TrainingRequest | None = None

    def show(self, snapshot: Snapshot, pending_command: str = "", request: TrainingRequest | None = None) -> None:
        """Show a run.

        Args:
            snapshot: the run.
            pending_command: such as ``pausing``; takes the place of its state.
            request: what the run was asked to be, for the time until it has begun.
        """
        self._snapshot, self._pending_command, self._request = snapshot, pending_command, request
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the line: badge and name at the left, device at the right, details between as far as they fit."""
        style = self.get_component_rich_style
        badge = f" {(self._pending_command or self._snapshot.state).upper()} "
        row: Row = [(badge, style(f"run-header--{self._snapshot.state}")), ("  ", self.rich_style)]
        started = self._snapshot.started
        if started is None:
            requested = _join_fitting(_requested(self._request), width - cell_len(badge) - 2) if self._request else ""
            return [[*row, (requested.lstrip(), style("run-header--detail"))]]
        name, device = escape_line(started.run), f"{started.device} {started.precision}"
        used = cell_len(badge) + 2 + cell_len(name)
        if used + 2 + len(device) > width:
            device = ""
        detail = _join_fitting(_details(started), width - used - len(device) - 4)
        gap = " " * max(2, width - used - cell_len(detail) - len(device))
        row += [(name, style("run-header--name")), (detail, style("run-header--detail"))]
        return [[*row, (gap, self.rich_style), (device, style("run-header--detail"))]]


def _details(started: Started) -> list[str]:
    weights = formatting.compact(started.parameters)
    return [f"  {escape_line(started.corpus)}", f"  {current_preset(started.preset)}", f"  {weights} weights"]


def _requested(request: TrainingRequest) -> list[str]:
    """Return what is known of a run before its text has been read."""
    if request.resume is not None:
        return [f"  {escape_line(request.resume)}"]
    text = f"  {escape_line(request.corpus or TINY_SHAKESPEARE)}"
    if request.begin_from is not None:
        return [text, f"  from {escape_line(request.begin_from)}"]
    name = request.preset or DEFAULT_PRESET
    about = []
    if name in PRESETS:
        with suppress(ValueError):  # the training will say what is wrong
            shape = {field: value for field, value in request.changes.items() if field in SHAPE_FIELDS}
            weights = PRESETS[name].model_config(_USUAL_CHARACTERS, **shape).parameters
            about = [f"  about {formatting.compact(weights)} weights"]
    return [text, f"  {escape_line(name)}", *about]


def _join_fitting(parts: list[str], width: int) -> str:
    """Join as many parts as fit into ``width`` cells."""
    text = ""
    for part in parts:
        if cell_len(text + part) > width:
            break
        text += part
    return text
