"""One text that is being generated: a transcript, and the thread that fills it."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message

from shakegpt.config import SamplingConfig
from shakegpt.errors import UnknownCharacterError
from shakegpt.runs.store import PRETRAINED
from shakegpt.system.text import escape_line
from shakegpt.tui.generation.generation_thread import (
    GeneratedCharacter,
    GenerationOptions,
    GenerationState,
    GenerationThread,
    NextCharacterView,
    Update,
)
from shakegpt.tui.generation.model_loader import DEFAULT_MODEL, ModelLoader
from shakegpt.tui.generation.takes import LONGEST_TEXT, TAKES_KEPT, Take
from shakegpt.tui.generation.text_titles import LEGEND, LEGEND_WIDTH, model_titles
from shakegpt.tui.generation.transcript import TextKind, Transcript, shown_length

if TYPE_CHECKING:
    from shakegpt.generation.stream import Stream
    from shakegpt.model.language_model import LanguageModel

RECENT = 60
"""Characters whose probabilities are kept."""
_RATE_SECONDS = 2.0
"""The time over which the speed is measured."""


class TextPane(Vertical):
    """A transcript with its own settings and model, and a thread that lasts until the next one starts."""

    DEFAULT_CSS = """
    TextPane { width: 1fr; padding: 0 !important; }
    """

    @dataclass
    class ThreadUpdated(Message):
        """The thread has an update. Posted from that thread."""

        thread: GenerationThread

    @dataclass
    class Changed(Message):
        """What the pane shows has changed."""

        pane: "TextPane"

    def __init__(
        self,
        loader: ModelLoader,
        settings: SamplingConfig,
        options: GenerationOptions,
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id, classes="pane")
        self.settings = settings
        self.reference = DEFAULT_MODEL
        """The model that the next start loads."""
        self.behind: int | None = None
        """How many steps the model's run has trained since the checkpoint."""
        self.prompt = ""
        self.generated = ""
        """What was generated after the prompt; of a very long text the last part."""
        self.count = 0
        """The number of characters generated after the prompt."""
        self.state: GenerationState | None = None
        """``None`` before the first start."""
        self.error = ""
        """Why generation failed."""
        self.unknown: UnknownCharacterError | None = None
        """Set where it failed because the model does not know a character of the prompt."""
        self.model: LanguageModel | None = None
        """The model of the last start, once it is loaded; ``None`` once another was chosen for the next."""
        self.next_character: NextCharacterView | None = None
        self.continued_prompt: str | None = None
        """The prompt whose text can be resumed; ``None`` where the next generation has to start again."""
        self.takes: deque[Take] = deque(maxlen=TAKES_KEPT)
        """The texts before this one, oldest first."""
        self.number = 0
        """The number of this text, from 1."""
        self.recent: deque[GeneratedCharacter] = deque(maxlen=RECENT)
        """The last characters, with their probabilities."""
        self._model_name = PRETRAINED  # of what generated this text; the next one may get another
        self._another_chosen = False  # a model for the next start; what still comes from this one's changes no title
        self._headlines: Sequence[str] = ()
        self.transcript = Transcript()
        self._loader = loader
        self._thread: GenerationThread | None = None
        self._options = options
        self._kind = TextKind.GENERATED
        self._first_settings = settings
        self._body_start = 0  # where the generated text begins in the transcript
        self._title = ""
        self._legend = Content("")
        self._measured: deque[tuple[float, int]] = deque()

    def compose(self) -> ComposeResult:
        """The transcript."""
        yield self.transcript

    def on_mount(self) -> None:
        """Name the model."""
        self.show_title()

    def on_resize(self) -> None:
        """Fit the title to the new width."""
        self.show_title()

    def on_unmount(self) -> None:
        """End the thread."""
        self.close_thread()

    @property
    def busy(self) -> bool:
        """Whether text is on its way."""
        return self.state in (GenerationState.LOADING, GenerationState.GENERATING)

    @property
    def text(self) -> str:
        """The prompt and what was generated after it; of a very long text the last part."""
        return self.generated if self.is_cut else self.prompt + self.generated

    @property
    def is_cut(self) -> bool:
        """Whether the text has grown so long that its beginning is gone."""
        return self.count > len(self.generated)

    @property
    def take(self) -> Take:
        """The text as one of the takes."""
        return Take(self.number, self._model_name, self.prompt, self.generated, self._first_settings, self.settings)

    @property
    def rate(self) -> float:
        """Characters per second, of the last seconds."""
        if len(self._measured) < 2:
            return 0.0
        (began, before), (ended, after) = self._measured[0], self._measured[-1]
        return (after - before) / max(ended - began, 0.1)

    def can_resume(self, prompt: str) -> bool:
        """Return whether generation can go on after a pause, rather than start from ``prompt``."""
        return self.continued_prompt == prompt and self.state not in (None, GenerationState.FAILED)

    def start(
        self,
        prompt: str,
        *,
        kind: TextKind = TextKind.GENERATED,
        show_prompt: bool = True,
        stop: tuple[str, ...] = (),
        max_length: int | None = None,
        paused: bool = False,
    ) -> None:
        """Start to generate below what was generated before.

        Args:
            prompt: what the model continues.
            kind: how the generated text is styled.
            show_prompt: write the prompt too, after a note that separates it from earlier text.
            stop: texts that end the generation.
            max_length: the most characters, whatever the settings say.
            paused: pause before the first character.
        """
        self.close_thread()
        self._put_away()
        self.prompt = self.continued_prompt = prompt
        self._forget_text()
        self.error, self.unknown, self.next_character, self._kind = "", None, None, kind
        self.number += 1
        self._first_settings = self.settings
        self._model_name = self.model.name if self.model else self.reference or PRETRAINED
        if show_prompt:
            self._write_separator()
            self.transcript.write(prompt, TextKind.PROMPT)
        self._body_start = len(self.transcript)
        self.transcript.parting = None

        def settings() -> SamplingConfig:
            length = self.settings.length if max_length is None else min(self.settings.length, max_length)
            return replace(self.settings, stop=stop, length=length)

        self._start_thread(
            partial(self._loader.open_stream, self.reference, prompt, settings if stop else lambda: self.settings),
            paused=paused,
        )

    def renew_model(self) -> None:
        """Go on where the text is, with the model loaded anew: other heads are muted now."""
        if self._thread is None or self.state is GenerationState.FAILED:
            return
        paused = not self.busy
        self.close_thread()
        self.model = None
        self._open_again(paused=paused)

    def _open_again(self, *, paused: bool) -> None:
        self._start_thread(
            partial(self._loader.open_stream, self.reference, self.text, lambda: self.settings), paused=paused
        )

    def _forget_text(self) -> None:
        self.generated, self.count = "", 0
        self.recent.clear()

    def _start_thread(self, open_stream: "Callable[[], Stream]", *, paused: bool) -> None:
        self._thread = GenerationThread(open_stream, on_update=self._post_update, options=self._options, paused=paused)
        self.state = GenerationState.LOADING
        self._another_chosen = False
        self.transcript.cursor = True
        self._measured.clear()
        self.show_title()
        self._thread.start()

    def _put_away(self) -> None:
        if self.generated:
            self.takes.append(self.take)

    def _write_separator(self) -> None:
        if len(self.transcript):
            self.transcript.write("\n\n" if not self.transcript.text.endswith("\n") else "\n")
            self.transcript.write(f"take {self.number}  seed {self.settings.seed}\n\n", TextKind.NOTE)

    def pause(self) -> None:
        """Pause after the current character; the text stays."""
        if self._thread:
            self._thread.pause()

    def resume(self, *, extend: bool = True) -> None:
        """Go on after a pause, or at the end for as many characters again, unless ``extend`` is false."""
        if self._thread and self.state is not GenerationState.FAILED:
            self._another_chosen = False
            self._measured.clear()
            self._thread.resume(extend=extend)
            self._collect()

    def step(self, choice: str | None = None) -> None:
        """Generate one character, drawn or chosen by hand, and pause."""
        if self._thread:
            self._thread.step(choice)

    def apply(self, settings: SamplingConfig) -> None:
        """Draw the next character with other settings."""
        self.settings = settings
        self.refresh_next()
        self.show_title()

    def refresh_next(self) -> None:
        """Compute the next character's distribution again, unless it is about to be drawn anyway."""
        if self._thread and not self.busy:
            self._thread.refresh_next()

    def close_thread(self) -> None:
        """End the thread, keeping all that it generated."""
        if self._thread:
            self._thread.close()
            self._show_update(self._thread.collect())
            self._thread = None
            if self.state is not GenerationState.FAILED:
                self.state = GenerationState.FINISHED
            self.transcript.cursor = False

    def clear(self) -> None:
        """End the thread and remove the text from the page; it stays among the takes."""
        self.close_thread()
        self._put_away()
        self.transcript.clear()
        self._forget_text()
        self.state = None

    def forget_takes(self) -> None:
        """Begin to count again from 1."""
        self.takes.clear()
        self.number = 0

    def use_model(self, reference: str, *, behind: int | None = None) -> None:
        """Generate from another model, from the next start on."""
        self.reference, self.behind = reference, behind
        self.model = self.continued_prompt = None
        self._another_chosen = True
        self.show_title()

    def mark_parting(self, index: int) -> None:
        """Mark a generated character as the first that differs from another text's."""
        self.transcript.parting = self._body_start + shown_length(self.generated[:index])

    def _post_update(self, thread: GenerationThread) -> None:
        self.post_message(self.ThreadUpdated(thread))

    def on_text_pane_thread_updated(self, message: ThreadUpdated) -> None:
        """Show what the thread has generated."""
        message.stop()
        if message.thread is self._thread:
            self._collect()
        else:
            self._collect_aside(message.thread)

    def _collect_aside(self, thread: GenerationThread) -> None:
        """Take what a thread has that is no longer on show: nothing here."""

    def _collect(self) -> None:
        if self._thread:
            self._show_update(self._thread.collect())
            self.post_message(self.Changed(self))

    def _show_update(self, update: Update) -> None:
        self.generated = (self.generated + "".join(character.text for character in update.characters))[-LONGEST_TEXT:]
        self.count += len(update.characters)
        self.recent.extend(update.characters)
        self.state, self.next_character = update.state, update.next_character
        self.error, self.unknown = update.error, update.unknown
        if update.model and update.model is not self.model and not self._another_chosen:
            self.model, self._model_name = update.model, update.model.name
            self.show_title()
        self.transcript.write_characters(update.characters, self._kind)
        if gone := self.transcript.keep_last(LONGEST_TEXT):
            self._body_start -= gone
            self._page_was_cut()
        self.transcript.cursor = self.busy
        now = time.monotonic()
        self._measured.append((now, self.count))
        while now - self._measured[0][0] > _RATE_SECONDS and len(self._measured) > 2:
            self._measured.popleft()

    def _page_was_cut(self) -> None:
        """Do what there is to do when the page has lost its beginning."""

    # The title

    def head(self, headlines: Sequence[str]) -> None:
        """Put the first of these that fits into the border; with none, the model's name."""
        self._headlines = headlines
        self.show_title()

    def show_tint(self, *, tint: bool) -> None:
        """Colour characters by surprise, with a legend in the border, or not."""
        self.transcript.tint = tint
        self.show_title()

    def show_title(self) -> None:
        """Name the model in the border, in as many words as fit."""
        titles = self._headlines or model_titles(self.model.name if self.model else self.reference, self.behind)
        if self.number > 1 and not self._headlines:
            titles = [f"{titles[0]} · take {self.number}", *titles]
        fitting = (title for title in titles if cell_len(title) <= self.size.width - 4)
        title = next(fitting, titles[-1])
        if title != self._title:
            self._title = title
            self.border_title = Content(escape_line(title))
        legend = self._subtitle()
        if legend != self._legend:
            self._legend = legend
            self.border_subtitle = legend

    def _subtitle(self) -> Content:
        """Return what stands in the border below."""
        shown = self.transcript.tint and self.size.width >= LEGEND_WIDTH
        return Content.from_markup(LEGEND) if shown else Content("")
