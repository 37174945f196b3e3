"""One text that is being generated: a transcript, and the thread that fills it."""

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from shakegpt.config import SamplingConfig
from shakegpt.runs.store import PRETRAINED
from shakegpt.system.text import escape_line
from shakegpt.tui.generation.generation_thread import (
    GenerationOptions,
    GenerationState,
    GenerationThread,
    NextCharacterView,
    Update,
)
from shakegpt.tui.generation.knobs import KNOBS
from shakegpt.tui.generation.model_loader import DEFAULT_MODEL, ModelLoader
from shakegpt.tui.generation.transcript import TextKind, Transcript

if TYPE_CHECKING:
    from shakegpt.model.language_model import LanguageModel

_LONGEST_TRANSCRIPT = 500_000


class TextPane(Vertical):
    """A transcript with its own settings and model, and a thread that lasts until the next one starts."""

    DEFAULT_CSS = """
    TextPane {
        width: 1fr;
        & > .title { height: 1; padding: 0 1; color: $text-muted; background: $surface; display: none; }
    }
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
        super().__init__(id=id)
        self.settings = settings
        self.reference = DEFAULT_MODEL
        """The model that the next start loads."""
        self.prompt = ""
        self.generated = ""
        """What was generated after the prompt."""
        self.state: GenerationState | None = None
        """``None`` before the first start."""
        self.error = ""
        """Why generation failed."""
        self.model: LanguageModel | None = None
        """The model of the last start, once it is loaded."""
        self.next_character: NextCharacterView | None = None
        self.rate = 0.0
        """Characters per second since the last start or resumption."""
        self.continued_prompt: str | None = None
        """The prompt whose text can be resumed; ``None`` where the next generation has to start again."""
        self.transcript = Transcript()
        self._title = Static(classes="title", markup=False)
        self._loader = loader
        self._thread: GenerationThread | None = None
        self._options = options
        self._kind = TextKind.GENERATED
        self._resumed_at, self._resumed_length = 0.0, 0

    def compose(self) -> ComposeResult:
        """A title for the duel, and the transcript."""
        yield self._title
        yield self.transcript

    def on_unmount(self) -> None:
        """End the thread."""
        self.close_thread()

    @property
    def busy(self) -> bool:
        """Whether text is on its way."""
        return self.state in (GenerationState.LOADING, GenerationState.GENERATING)

    @property
    def text(self) -> str:
        """The prompt and what was generated after it."""
        return self.prompt + self.generated

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
        paused: bool = False,
    ) -> None:
        """Start to generate below what was generated before.

        Args:
            prompt: what the model continues.
            kind: how the generated text is styled.
            show_prompt: write the prompt too, after a note that separates it from earlier text.
            stop: texts that end the generation.
            paused: pause before the first character.
        """
        self.close_thread()
        self.prompt = self.continued_prompt = prompt
        self.generated, self.error, self.next_character, self._kind = "", "", None, kind
        if show_prompt:
            self._write_separator()
            self.transcript.write(prompt, TextKind.PROMPT)
        settings = (lambda: replace(self.settings, stop=stop)) if stop else (lambda: self.settings)
        self._thread = GenerationThread(
            partial(self._loader.open_stream, self.reference, prompt, settings),
            on_update=self._post_update,
            options=self._options,
            paused=paused,
        )
        self.state = GenerationState.LOADING
        self.transcript.cursor = True
        self._resumed_at, self._resumed_length = time.monotonic(), 0
        self._thread.start()

    def _write_separator(self) -> None:
        if len(self.transcript) > _LONGEST_TRANSCRIPT:
            self.transcript.clear()
        if len(self.transcript):
            self.transcript.write("\n\n" if not self.transcript.text.endswith("\n") else "\n")
            self.transcript.write(f"seed {self.settings.seed}\n\n", TextKind.NOTE)

    def pause(self) -> None:
        """Pause after the current character; the text stays."""
        if self._thread:
            self._thread.pause()

    def resume(self) -> None:
        """Go on after a pause, or at the end for as many characters again."""
        if self._thread and self.state is not GenerationState.FAILED:
            self._resumed_at, self._resumed_length = time.monotonic(), len(self.generated)
            self._thread.resume()
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
        """End the thread and remove the text."""
        self.close_thread()
        self.transcript.clear()
        self.state, self.generated = None, ""

    def use_model(self, reference: str) -> None:
        """Generate from another model, from the next start on."""
        self.reference = reference
        self.model = self.continued_prompt = None
        self.show_title()

    def _post_update(self, thread: GenerationThread) -> None:
        self.post_message(self.ThreadUpdated(thread))

    def on_text_pane_thread_updated(self, message: ThreadUpdated) -> None:
        """Show what the thread has generated."""
        message.stop()
        if message.thread is self._thread:
            self._collect()

    def _collect(self) -> None:
        if self._thread:
            self._show_update(self._thread.collect())
            self.post_message(self.Changed(self))

    def _show_update(self, update: Update) -> None:
        self.generated += "".join(character.text for character in update.characters)
        self.state, self.next_character, self.error = update.state, update.next_character, update.error
        if update.model and update.model is not self.model:
            self.model = update.model
            self.show_title()
        self.transcript.write_characters(update.characters, self._kind)
        self.transcript.cursor = self.busy
        seconds = max(time.monotonic() - self._resumed_at, 0.1)
        self.rate = (len(self.generated) - self._resumed_length) / seconds

    def show_title(self) -> None:
        """Name the model, and the settings that differ from the defaults."""
        name = self.model.name if self.model else self.reference or PRETRAINED
        changed = [
            f"{knob.label} {knob.show(self.settings)}"
            for knob in KNOBS[:4]
            if knob.show(self.settings) != knob.show(SamplingConfig())
        ]
        self._title.update("  ".join([escape_line(name), *changed]))
