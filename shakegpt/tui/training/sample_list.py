"""All samples of a run, a line each: how its writing has changed."""

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.message import Message

from shakegpt.events import Sample
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_control_characters
from shakegpt.tui import formatting
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_TAB = 4


class SampleList(DiffWidget):
    """All samples of a run, a line each, the newest last, for terminals that have the room."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"sample-list--step", "sample-list--chosen", "sample-list--loss"}
    DEFAULT_CSS = """
    SampleList {
        width: 1fr;
        display: none;
        & > .sample-list--step { color: $foreground 75%; }
        & > .sample-list--chosen { color: $primary; text-style: bold; }
        & > .sample-list--loss { color: $secondary; }
    }
    """

    @dataclass
    class Chosen(Message):
        """The user has clicked on a sample."""

        index: int

    def __init__(self) -> None:
        super().__init__(id="sample-list", classes="pane")
        self.border_title = "How it has learned: step, validation loss, first lines"
        self._samples: tuple[Sample, ...] = ()
        self._losses: dict[int, float] = {}
        self._index = 0

    def show(self, snapshot: Snapshot, index: int) -> None:
        """Show the samples of a run, and which of them the panel shows."""
        self._samples, self._index = snapshot.samples, index
        self._losses = {point.step: point.loss for point in snapshot.validation.points()}
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return as many lines as fit, the chosen one among them."""
        first = self._first(height)
        step_width = max((len(formatting.count(sample.step)) for sample in self._samples), default=0)
        rows: list[Row] = []
        for index, sample in enumerate(self._samples[first : first + height], first):
            chosen = self.get_component_rich_style("sample-list--chosen") if index == self._index else None
            loss = self._losses.get(sample.step)
            text = " / ".join(line for line in escape_control_characters(sample.text).split("\n") if line.strip())
            rows.append(
                [
                    ("▸ " if chosen else "  ", chosen or self.rich_style),
                    (
                        f"{formatting.count(sample.step):>{step_width}}  ",
                        chosen or self.get_component_rich_style("sample-list--step"),
                    ),
                    (
                        f"{formatting.decimal(loss) if loss is not None else '':>5}  ",
                        self.get_component_rich_style("sample-list--loss"),
                    ),
                    (text.expandtabs(_TAB), chosen or self.rich_style),
                ]
            )
        return rows

    def on_click(self, event: events.Click) -> None:
        """Choose the sample of the line."""
        offset = event.get_content_offset(self)
        if offset is not None and (index := self._first(self.size.height) + offset.y) < len(self._samples):
            self.post_message(self.Chosen(index))

    def _first(self, height: int) -> int:
        """Return the index of the first sample on show."""
        last_page = max(0, len(self._samples) - height)
        return min(last_page, max(0, self._index - height // 2))
