"""The line at the top of every screen: the names of the screens, and at the right what is in training or loaded."""

import math
import time
from typing import TYPE_CHECKING, ClassVar, get_args

from rich.cells import cell_len
from textual import events
from textual.timer import Timer

from shakegpt.inspection.head import WITHOUT_HEAD
from shakegpt.runs.snapshot import Snapshot
from shakegpt.runs.store import PRETRAINED
from shakegpt.system.text import escape_line
from shakegpt.tui.context import AppContext, LoadedModel, Mode
from shakegpt.tui.formatting import compact, count, decimal
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from rich.style import Style

MINIMUM_SIZE = (40, 12)
"""The smallest terminal that the screens are made for."""
SCREEN_NAMES: dict[str, str] = dict(zip(get_args(Mode), ("Train", "Generate", "Runs", "Inspect"), strict=True))
"""What the screens are called, in the order of their keys."""
_NAME_WIDTH = 24
_WITH_NAME = 72
"""The width from which on the app is named."""
_SECONDS_PER_PAINT = 1.0  # each paint of the run costs a slow link some tens of bytes
_MARKS = {"training": "●", "paused": "⏸", "loading": "◌"}
_PARTS = ("name", "here", "screen", "status", "training", "paused", "loading", "warning")


class TopBar(DiffWidget):
    """Names the screens with their keys, and says what is in training or which model is loaded.

    It reads both from the context; ``show`` is to be called when they have changed.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"top-bar--{part}" for part in _PARTS}
    DEFAULT_CSS: ClassVar[str] = """
    TopBar {
        dock: top;
        height: 1;
        & > .top-bar--name { color: $primary; text-style: bold; }
        & > .top-bar--here { color: $block-cursor-foreground; background: $primary; text-style: bold; }
        & > .top-bar--screen { color: $text-muted; }
        & > .top-bar--status { color: $text-muted; }
        & > .top-bar--training { color: $success; }
        & > .top-bar--paused, & > .top-bar--loading, & > .top-bar--warning { color: $warning; }
    }
    """

    def __init__(self, context: AppContext) -> None:
        super().__init__()
        self.app_context = context
        self._painted_at = -math.inf
        self._painted_state: object = None
        self._timer: Timer | None = None
        self._spans: list[tuple[int, int, str]] = []
        """Where a screen is named: from a column up to another, and the screen."""

    def show(self) -> None:
        """Show what is in training or loaded: a change of state at once, mere progress once a second."""
        training = self.app_context.own_training or self.app_context.training
        state = (training.latest.state if training else None, self.app_context.loaded_model)
        wait = self._painted_at + _SECONDS_PER_PAINT - time.monotonic()
        if wait <= 0 or state != self._painted_state:
            self._painted_state = state
            self._paint()
        elif self._timer is None:
            self._timer = self.set_timer(wait, self._paint)

    def _paint(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._painted_at = time.monotonic()
        if self.is_mounted:
            self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (the line is one high)
        """Return the line; what does not fit is left out, the name of the app first."""
        styles = {part: self.get_component_rich_style(f"top-bar--{part}") for part in _PARTS}
        row: Row = [(" ", styles["status"])]
        self._spans = []
        if width >= _WITH_NAME:
            row.append(("shakegpt  ", styles["name"]))
        for key, (mode, name) in enumerate(SCREEN_NAMES.items(), 1):
            if self.app_context.only_watch and mode != "training":
                continue
            label, left = f" {key} {name} ", _row_width(row)
            here = getattr(self.app, "current_mode", "") == mode
            row.append((label, styles["here" if here else "screen"]))
            self._spans.append((left, left + len(label), mode))
        status = self._status(width - _row_width(row) - 3, styles)
        gap = width - _row_width(row) - _row_width(status) - 1
        return [[*row, (" " * max(0, gap), styles["status"]), *status, (" ", styles["status"])]]

    def _status(self, room: int, styles: "dict[str, Style]") -> Row:
        """Return what stands at the right, in at most ``room`` cells."""
        width, height = self.app.size
        if width < MINIMUM_SIZE[0] or height < MINIMUM_SIZE[1]:
            small = f"{width}×{height} is small"
            return [(small, styles["warning"])] if cell_len(small) <= room else []
        training = self.app_context.training
        if training is not None and training.alive:
            return _training_status(training.latest, room, styles)
        model = self.app_context.loaded_model
        return [(_joined(_model_parts(model), room), styles["status"])] if model is not None else []

    def on_click(self, event: events.Click) -> None:
        """Open the screen under the pointer."""
        for left, right, mode in self._spans:
            if left <= event.x < right:
                self.app.simulate_key(str(list(SCREEN_NAMES).index(mode) + 1))


def model_name(reference: str) -> str:
    """Return what a model is called on the screen."""
    whole, without, heads = reference.partition(WITHOUT_HEAD)
    return ("built-in model" if whole == PRETRAINED else escape_line(whole)) + without + heads


def _model_parts(model: LoadedModel) -> list[str]:
    parts = [model_name(model.name), f"{compact(model.parameters, 2)} weights"]
    return [*parts, f"loss {decimal(model.val_loss, 2)}"] if model.val_loss is not None else parts


def _training_status(snapshot: Snapshot, room: int, styles: "dict[str, Style]") -> Row:
    name = escape_line(snapshot.started.run) if snapshot.started else "A run"
    name = name if cell_len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"
    mark = _MARKS.get(snapshot.state, "●")
    parts: list[str] = [snapshot.state]
    if snapshot.started is not None:
        parts = [f"step {count(snapshot.current_step)} of {count(snapshot.steps)}"]
        if snapshot.state == "paused":
            parts.append("paused")
        if snapshot.step is not None:
            parts.append(f"loss {decimal(snapshot.step.loss)}")
    text = _joined(parts, room - cell_len(name) - 3)
    if not text:
        name, text = "", _joined(parts, room - 2)
    if not text:
        return [(mark, styles[snapshot.state])] if room > 0 and snapshot.state in _MARKS else []
    style = styles[snapshot.state if snapshot.state in _MARKS else "status"]
    lead = f"{name} " if name else ""
    return [(lead, styles["status"]), (f"{mark} ", style), (text, styles["status"])]


def _joined(parts: list[str], room: int) -> str:
    """Return as many parts as fit into ``room`` cells, apart by dots."""
    while parts and cell_len(" · ".join(parts)) > room:
        parts = parts[:-1]
    return " · ".join(parts)


def _row_width(row: Row) -> int:
    return sum(cell_len(text) for text, _ in row)
