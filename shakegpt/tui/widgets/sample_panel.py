"""What the model wrote at each evaluation: from noise to verse."""

import re

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content, Span
from textual.widgets import Static

from shakegpt.events import Sample
from shakegpt.progress import Snapshot
from shakegpt.text import harmless
from shakegpt.tui import figures

_SPEAKER = re.compile(r"^[A-Z][A-Za-z' -]{0,40}:$", re.MULTILINE)


class SamplePanel(VerticalScroll, can_focus=True):
    """One sample of a run. It shows the newest as they come, until the user steps back to an older one."""

    DEFAULT_CSS = """
    SamplePanel {
        width: 1fr;
        border: round $border-blurred;
        border-title-color: $foreground 80%;
        border-subtitle-color: $foreground 60%;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        &:focus { border: round $primary; border-title-color: $primary; border-title-style: bold; }
        & > Static { width: 1fr; height: auto; }
        &.-waiting > Static { color: $foreground 60%; text-style: italic; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="samples")
        self._samples: tuple[Sample, ...] = ()
        self._losses: dict[int, float] = {}
        self._index: int | None = None  # None follows the newest

    def compose(self) -> ComposeResult:
        """Hold one text."""
        yield Static(markup=False)

    def on_mount(self) -> None:
        """Say what will be here."""
        self._write()

    @property
    def index(self) -> int:
        """Which sample is on show, from 0; -1 while there is none."""
        return len(self._samples) - 1 if self._index is None else self._index

    def show(self, snapshot: Snapshot) -> None:
        """Take in a run's samples."""
        if snapshot.samples == self._samples:
            return
        self._samples = snapshot.samples
        self._losses = {point.step: point.loss for point in snapshot.validation.points()}
        if self._index is not None and self._index >= len(self._samples) - 1:
            self._index = None
        self._write()

    def step(self, by: int) -> None:
        """Show an older (negative) or newer sample; the newest follows the run again."""
        wanted = max(0, self.index + by)
        self._index = wanted if wanted < len(self._samples) - 1 else None
        self._write()

    def step_to_end(self, *, newest: bool) -> None:
        """Show the first sample or the newest."""
        self._index = None if newest or len(self._samples) < 2 else 0
        self._write()

    def _write(self) -> None:
        self.set_class(not self._samples, "-waiting")
        text = self.query_one(Static)
        if not self._samples:
            self.border_title, self.border_subtitle = "Sample", ""
            text.update("At each evaluation the model writes a few lines here.")
            return
        sample = self._samples[self.index]
        loss = self._losses.get(sample.step)
        validation = "" if loss is None else f" · validation {figures.decimal(loss)}"
        self.border_title = f"Sample {self.index + 1} of {len(self._samples)}"
        self.border_subtitle = f"step {figures.count(sample.step)}{validation}"
        text.update(verse(sample.prompt, sample.text))
        self.scroll_home(animate=False)


def verse(prompt: str, text: str) -> Content:
    """Return a text as it is shown: harmless, what was given dimmed, and the names of speakers set apart."""
    # Not by way of markup: what a model writes is data.
    given, written = harmless(prompt).lstrip("\n"), harmless(text)
    whole = (given + written).lstrip("\n")
    names = [Span(match.start(), match.end(), "bold $primary") for match in _SPEAKER.finditer(whole)]
    return Content(whole, spans=[Span(0, len(given), "dim"), *names] if given else names)
