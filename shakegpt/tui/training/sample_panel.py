"""What the model wrote at one evaluation."""

import re
from typing import ClassVar

from textual.content import Content

from shakegpt.events import Sample
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_control_characters
from shakegpt.tui import formatting
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_SPEAKER = re.compile(r"[A-Z][A-Za-z' -]{0,40}:")
_TAB = 4
_DOT = " · "


class SamplePanel(DiffWidget, can_focus=True):
    """One sample of a run: the newest, until the user goes back to an older one."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"samples--caption", "samples--name", "samples--text"}
    DEFAULT_CSS = """
    SamplePanel {
        width: 1fr;
        & > .samples--caption { color: $foreground 75%; }
        & > .samples--name { color: $primary; text-style: bold; }
        & > .samples--text { color: $foreground; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="samples", classes="pane")
        self.border_title = "What it writes"
        self._samples: tuple[Sample, ...] = ()
        self._losses: dict[int, float] = {}
        self._index: int | None = None  # None: always the newest
        self._first_row = 0

    @property
    def index(self) -> int:
        """The index of the sample on show; -1 while there is none."""
        return len(self._samples) - 1 if self._index is None else self._index

    @property
    def caption(self) -> str:
        """The number and the step of the sample on show, and the validation loss at that step."""
        if not self._samples:
            return "At each evaluation, a few lines from the model"
        step = self._samples[self.index].step
        loss = self._losses.get(step)
        validation = "" if loss is None else f"{_DOT}validation loss {formatting.decimal(loss)}"
        return f"{self.index + 1} of {len(self._samples)}{_DOT}step {formatting.count(step)}{validation}"

    @property
    def sample(self) -> Sample | None:
        """The sample on show."""
        return self._samples[self.index] if self._samples else None

    @property
    def text(self) -> str:
        """The text of the sample on show: the prompt, and what the model made of it."""
        return (self.sample.prompt + self.sample.text).strip("\n") if self.sample else ""

    def show(self, snapshot: Snapshot) -> None:
        """Show the samples of a run."""
        if snapshot.samples == self._samples and len(self._losses) == len(snapshot.validation):
            return
        self._samples = snapshot.samples
        self._losses = {point.step: point.loss for point in snapshot.validation.points()}
        if self._index is None or self._index >= len(self._samples) - 1:
            self._show_sample(None)
        else:
            self.redraw()

    def select(self, index: int) -> None:
        """Show a sample; from the last one on, always the newest."""
        self._show_sample(max(0, index) if index < len(self._samples) - 1 else None)

    def scroll_text(self, by: int) -> None:
        """Scroll a text that is longer than the panel by so many lines."""
        width, height = self.size
        last = max(0, len(self._text_rows(width)) - height + 1)
        self._first_row = max(0, min(self._first_row + by, last))
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the caption, and under it as much of the text as fits."""
        text = self._text_rows(width)[self._first_row : self._first_row + height - 1]
        caption = self.caption
        for part in (0, -1):  # where there is no room, first without the number, then without the loss
            parts = caption.split(_DOT)
            if len(caption) > width and len(parts) > 1:
                caption = _DOT.join(parts[1:] if part == 0 else parts[:part])
        return [[(caption, self.get_component_rich_style("samples--caption"))], *text]

    def _show_sample(self, index: int | None) -> None:
        self._index = index
        self._first_row = 0
        self.redraw()

    def _text_rows(self, width: int) -> list[Row]:
        name, text = self.get_component_rich_style("samples--name"), self.get_component_rich_style("samples--text")
        rows: list[Row] = []
        # What a model writes is untrusted: control characters are escaped, and markup is not parsed.
        for line in escape_control_characters(self.text).expandtabs(_TAB).split("\n"):
            style = name if _SPEAKER.fullmatch(line) else text
            rows += [[(piece.plain, style)] for piece in Content(line).wrap(max(1, width)) or [Content("")]]
        return rows
