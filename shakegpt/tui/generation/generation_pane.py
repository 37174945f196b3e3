"""One text being spoken: a transcript and the voice that writes it."""

import time
from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from shakegpt.config import SamplingConfig
from shakegpt.system.text import escape_line
from shakegpt.tui.generation.generation_thread import FRAME, News, Opened, Outlook, State, Voice
from shakegpt.tui.generation.knobs import KNOBS
from shakegpt.tui.generation.model_loader import AT_HAND, PRETRAINED, Voices
from shakegpt.tui.generation.transcript import Tone, Transcript

_PAGE_LIMIT = 500_000
_TINTED_FRAME = 1 / 8


class Passage(Vertical):
    """A transcript with its own knobs, its own model, and a voice that lasts until the next one begins.

    Args:
        voices: opens models.
        settings: the knobs to begin with.
        reference: the model to begin with.
    """

    DEFAULT_CSS = """
    Passage {
        width: 1fr;
        & > .title { height: 1; padding: 0 1; color: $text-muted; background: $surface; display: none; }
    }
    """

    class Heard(Message):
        """The voice has said something, or fallen silent. Posted from its thread."""

        def __init__(self, voice: Voice) -> None:
            self.voice = voice
            super().__init__()

    class Changed(Message):
        """What the passage shows has changed."""

        def __init__(self, passage: "Passage", news: News) -> None:
            self.passage = passage
            self.news = news
            super().__init__()

    def __init__(
        self,
        voices: Voices,
        settings: SamplingConfig,
        reference: str = AT_HAND,
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.settings = settings
        self.reference = reference
        self.prompt = ""
        self.drawn = ""
        """What was spoken after the prompt."""
        self.state: State | None = None
        """How the voice stands; ``None`` before there was one."""
        self.model: Opened | None = None
        """What spoke last."""
        self.outlook: Outlook | None = None
        self.rate = 0.0
        """Characters a second, of the speaking at hand."""
        self.transcript = Transcript()
        self._voices = voices
        self._voice: Voice | None = None
        self._began: int | None = None
        self._tone = Tone.WRITTEN
        self._since = (0.0, 0)

    def compose(self) -> ComposeResult:
        """A title for the duel, and the page."""
        yield Static(classes="title", markup=False)
        yield self.transcript

    def on_mount(self) -> None:
        """Fill the title."""
        self.show_title()

    def on_unmount(self) -> None:
        """End the voice."""
        self.silence()

    # -- orders

    def speak(
        self,
        prompt: str,
        *,
        tone: Tone = Tone.WRITTEN,
        shown: bool = True,
        until: str = "",
        rest: bool = False,
        watched: bool = False,
        pace: float = 0,
    ) -> None:
        """Begin a new passage below the last one.

        Args:
            prompt: what the model continues.
            tone: how its words are set.
            shown: write the prompt too.
            until: a text that ends the passage.
            rest: wait before the first character.
            watched: someone looks at the next-character panel.
            pace: characters a second; 0 is as fast as it goes.
        """
        self.silence()
        self.prompt, self.drawn, self._tone = prompt, "", tone
        self.outlook = None
        if shown:
            self._begin_page()
            self.transcript.write(prompt, Tone.GIVEN)
        reference, voices = self.reference, self._voices

        def open_stream(settings: Callable[[], SamplingConfig]) -> Opened:
            return voices.open(reference, prompt, settings)

        voice = Voice(open_stream, lambda: self.settings, on_news=self._on_news, until=until, rest=rest, pace=pace)
        voice.watched = watched
        voice.frame = _TINTED_FRAME if self.transcript.tint else FRAME
        self._voice = voice
        self.state = "opening"
        self.transcript.cursor = True
        self._since = (time.monotonic(), 0)
        voice.start()

    def _begin_page(self) -> None:
        """Leave what was spoken before in place, but for what no one will scroll back to."""
        if len(self.transcript) > _PAGE_LIMIT:
            self.transcript.clear()
        if len(self.transcript):
            self.transcript.write("\n\n" if not self.transcript.text.endswith("\n") else "\n")
            self.transcript.write(f"seed {self.settings.seed}\n\n", Tone.NOTE)

    def stop(self) -> None:
        """Fall silent after the character at hand; the text stays."""
        if self._voice:
            self._voice.stop()

    def go_on(self) -> None:
        """Speak on where the voice fell silent."""
        if self._voice and self.state != "failed":
            self._since = (time.monotonic(), len(self.drawn))
            self._voice.go_on()
            self.hear()

    def step(self, choice: str | None = None) -> None:
        """Write one character: drawn, or picked by hand."""
        if self._voice:
            self._voice.step(choice)

    def silence(self) -> None:
        """End the voice, keeping every word it said."""
        if voice := self._voice:
            voice.close()
            self._write_down(voice.collect())
            self._voice = None
            if self.state != "failed":
                self.state = "ended"
            self.transcript.cursor = False

    def turn(self, settings: SamplingConfig) -> None:
        """Set the knobs; the next character is drawn with them."""
        self.settings = settings
        if self._voice and self.state in ("resting", "ended"):
            self._voice.look()
        self.show_title()

    def watch_next(self, *, watched: bool) -> None:
        """Begin or end working out what the next character is drawn from."""
        if self._voice:
            self._voice.watched = watched
            if watched:
                self._voice.look()

    def set_tint(self, *, tint: bool) -> None:
        """Colour characters by surprise, or not; a tinted page costs more to paint, and is painted less often."""
        self.transcript.tint = tint
        if self._voice:
            self._voice.frame = _TINTED_FRAME if tint else FRAME

    def set_pace(self, pace: float) -> None:
        """Speak at so many characters a second; 0 is as fast as it goes."""
        if self._voice:
            self._voice.pace = pace

    # -- what comes of them

    @property
    def text(self) -> str:
        """The passage: the prompt and what was spoken after it."""
        return self.prompt + self.drawn

    @property
    def busy(self) -> bool:
        """Whether words are on their way."""
        return self.state in ("opening", "speaking")

    def _on_news(self, voice: Voice) -> None:
        self.post_message(self.Heard(voice))

    def on_passage_heard(self, message: Heard) -> None:
        """Write down what the voice has said."""
        message.stop()
        if message.voice is self._voice:
            self.hear()

    def hear(self) -> None:
        """Write down what the voice has said so far."""
        if self._voice is not None:
            news = self._voice.collect()
            self._write_down(news)
            self.post_message(self.Changed(self, news))

    def _write_down(self, news: News) -> None:
        self.drawn += "".join(character.text for character in news.drawn)
        self.state, self.outlook, self.model = news.state, news.outlook, news.model or self.model
        self.transcript.write_drawn(news.drawn, self._tone)
        self.transcript.cursor = self.busy
        started, before = self._since
        self.rate = (len(self.drawn) - before) / max(time.monotonic() - started, 0.1)

    def show_title(self) -> None:
        """Name the model and the knobs that tell this passage from the other."""
        name = self.model.model if self.model else self.reference or PRETRAINED
        turned = [
            f"{knob.label} {knob.show(self.settings)}"
            for knob in KNOBS[:4]
            if knob.show(self.settings) != _DEFAULTS[knob.field]
        ]
        title = "  ".join([escape_line(name), *turned])
        for static in self.query(".title").results(Static):
            static.update(title)


_DEFAULTS = {knob.field: knob.show(SamplingConfig()) for knob in KNOBS}
