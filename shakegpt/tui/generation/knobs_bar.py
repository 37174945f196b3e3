"""The knobs as they are drawn and clicked: a line of values, a line with a slider, or a pane of gauges."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from textual import events
from textual.message import Message

from shakegpt.config import SamplingConfig
from shakegpt.tui.generation.knobs import KNOBS, Knob
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_SLIDER_WIDTH = 112
"""The width from which on the line has room for a slider and for the keys on both sides of a value."""
_LABELS_WIDTH = 72
"""The width from which on the line has room for whole labels."""
_GAUGES_IN_A_ROW = 3
_PARTS = ("label", "key", "value", "slider", "thumb")


@dataclass(frozen=True)
class _Piece:
    """A knob in words: texts, each with the part of the line that styles it."""

    knob: Knob
    spans: list[tuple[str, str]]
    slider: tuple[int, int] | None = None
    """Where its slider begins, and its width."""

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.spans)

    def __len__(self) -> int:
        return len(self.text)


class _Target(NamedTuple):
    """Cells that can be clicked."""

    y: int
    start: int
    end: int
    knob: Knob
    slider: bool


class KnobsBar(DiffWidget):
    """Shows the settings that the next character will be drawn with, and the keys that turn them.

    A click on the left half of a knob turns it down, on the right half up; a slider is set to where it is clicked.
    """

    DEFAULT_CSS: ClassVar[str] = """
    KnobsBar {
        height: 1;
        padding: 0 1;
        background: $background;
        & > .knobs-bar--label { color: $text-muted; background: $background; }
        & > .knobs-bar--key { color: $primary; background: $background; }
        & > .knobs-bar--value { color: $foreground; background: $background; text-style: bold; }
        & > .knobs-bar--slider { color: $border; background: $background; }
        & > .knobs-bar--thumb { color: $primary; background: $background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"knobs-bar--{part}" for part in _PARTS}

    @dataclass
    class Turned(Message):
        """A knob was turned with the mouse."""

        knob: Knob
        clicks: int

    @dataclass
    class Moved(Message):
        """A slider was set with the mouse."""

        knob: Knob
        fraction: float

    def __init__(self, settings: SamplingConfig) -> None:
        super().__init__()
        self._settings = settings
        self._targets: list[_Target] = []

    def show(self, settings: SamplingConfig) -> None:
        """Show other settings."""
        self._settings = settings
        self.redraw()

    # Drawing

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the line, in the longest form that fits, or a gauge for each knob where there are several lines."""
        self._targets = []
        if height > 1:
            cells = width // _GAUGES_IN_A_ROW
            rows = [KNOBS[start : start + _GAUGES_IN_A_ROW] for start in range(0, len(KNOBS), _GAUGES_IN_A_ROW)]
            return [self._join(y, [self._gauge(knob, cells) for knob in row], 0, width) for y, row in enumerate(rows)]
        if width < _SLIDER_WIDTH:
            return [self._join(0, [self._short(knob, full=width >= _LABELS_WIDTH) for knob in KNOBS], 2, width)]
        pieces = [self._framed(knob) for knob in KNOBS]
        room = width - sum(map(len, pieces)) - 2 * (len(pieces) - 1) - 1
        pieces[0] = self._framed(KNOBS[0], slider=min(15, room))
        return [self._join(0, pieces, 2, width)]

    def _join(self, y: int, pieces: list[_Piece], gap: int, width: int) -> Row:
        """Put pieces beside each other, leaving out those that do not fit, and note where they can be clicked."""
        styles = {part: self.get_component_rich_style(f"knobs-bar--{part}") for part in _PARTS}
        row: Row = []
        x = 0
        for piece in pieces:
            if x + len(piece.text.rstrip()) > width:
                break
            self._targets.append(_Target(y, x, x + len(piece), piece.knob, slider=False))
            if piece.slider:
                start = x + piece.slider[0]
                self._targets.append(_Target(y, start, start + piece.slider[1], piece.knob, slider=True))
            row += [(text, styles[part]) for text, part in [*piece.spans, (" " * gap, "label")]]
            x += len(piece) + gap
        return row

    def _short(self, knob: Knob, *, full: bool) -> _Piece:
        """Return a value with its label, in which the key is highlighted; brackets are keys themselves."""
        value = (knob.show(self._settings), "value")
        if knob.down_key.isalpha():
            before, key, after = knob.short.partition(knob.down_key) if full else ("", knob.down_key, "")
            return _Piece(knob, [(before, "label"), (key, "key"), (f"{after} ", "label"), value])
        label = f"{knob.short} " if full else ""
        return _Piece(knob, [(label, "label"), (knob.down_key, "key"), value, (knob.up_key, "key")])

    def _framed(self, knob: Knob, *, slider: int = 0) -> _Piece:
        """Return a value between its two keys, and a slider of so many cells."""
        spans = [(f"{knob.label} ", "label"), (f"{knob.down_key} ", "key")]
        value = (knob.show(self._settings), "value")
        fraction = knob.fraction(self._settings)
        if slider < 3 or fraction is None:
            return _Piece(knob, [*spans, value, (f" {knob.up_key}", "key")])
        place = round(fraction * (slider - 1))
        line = [("─" * place, "slider"), ("●", "thumb"), ("─" * (slider - 1 - place), "slider")]
        start = sum(len(text) for text, _ in spans)
        return _Piece(knob, [*spans, *line, (f" {knob.up_key} ", "key"), value], (start, slider))

    def _gauge(self, knob: Knob, width: int) -> _Piece:
        """Return a knob as wide as asked for, with as long a slider as fits."""
        plain = self._framed(knob)
        piece = self._framed(knob, slider=min(24, width - len(plain) - 3))
        return _Piece(knob, [*piece.spans, (" " * (width - len(piece)), "label")], piece.slider)

    # The mouse

    def _target_at(self, event: events.MouseEvent) -> tuple[_Target, int] | None:
        offset = event.get_content_offset(self)
        if offset is None:
            return None
        under = [target for target in self._targets if target.y == offset.y and target.start <= offset.x < target.end]
        return (under[-1], offset.x - under[-1].start) if under else None

    def on_click(self, event: events.Click) -> None:
        """Turn the clicked knob down on its left half, up on its right; a slider goes to where it was clicked."""
        if found := self._target_at(event):
            target, x = found
            width = target.end - target.start
            if target.slider:
                self.post_message(self.Moved(target.knob, x / max(1, width - 1)))
            else:
                self.post_message(self.Turned(target.knob, -1 if x < width / 2 else 1))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Turn the knob under the pointer up."""
        self._turn_by_wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Turn the knob under the pointer down."""
        self._turn_by_wheel(event, -1)

    def _turn_by_wheel(self, event: events.MouseEvent, clicks: int) -> None:
        if found := self._target_at(event):
            event.stop()
            self.post_message(self.Turned(found[0].knob, clicks))
