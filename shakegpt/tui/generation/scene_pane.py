"""A scene played with the model, speech by speech."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.reactive import var

from shakegpt.config import SamplingConfig
from shakegpt.tui.generation.cast_screen import CastScreen
from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.model_loader import ModelLoader
from shakegpt.tui.generation.model_status import NoticeLine
from shakegpt.tui.generation.prompt_field import PromptField
from shakegpt.tui.generation.scene import END_OF_SPEECH, Scene, Speech
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.generation.transcript import TextKind
from shakegpt.tui.save_text import shown_path

_LONGEST_SPEECH = 400
"""Characters after which a speech ends that finds no end of its own."""
_FALLBACK_NAMES = ("ROMEO", "JULIET", "GLOUCESTER", "KING RICHARD III", "MENENIUS", "First Citizen")


class ScenePane(Vertical):
    """What the user says and what the model answers, each under its name.

    Args:
        text_pane: generates the model's speeches; its transcript shows the whole scene.
        line: the field in which the user's lines are written.
        notice: shows what went wrong.
        loader: knows the names of those who speak in the corpora.
        texts_folder: where saved scenes are found.
    """

    DEFAULT_CSS = "ScenePane { width: 1fr; }"

    selected: var[int | None] = var(None)
    """The index of the marked speech."""

    @dataclass
    class NamesFound(Message):
        """The corpora have been searched for the names of those who speak in them."""

        names: Sequence[str]

    def __init__(
        self, text_pane: TextPane, line: PromptField, notice: NoticeLine, loader: ModelLoader, texts_folder: Path
    ) -> None:
        super().__init__()
        self.mode = "scene"
        self.texts: Sequence[TextPane] = (text_pane,)
        self.current = text_pane
        self.scene = Scene()
        self.names: Sequence[str] = _FALLBACK_NAMES
        """Names for the two parts to choose from."""
        self._line = line
        self._notice = notice
        self._loader = loader
        self._texts_folder = texts_folder
        self._transcript = text_pane.transcript
        self._starts: list[int] = []  # where each speech begins in the transcript
        self._answering = False
        self._lines_to_replay: deque[str] = deque()

    def compose(self) -> ComposeResult:
        """The scene so far."""
        yield self.current

    # Casting

    def enter(self, reference: str) -> None:
        """Prepare the scene when it is shown; a new one gets a model, and the user is asked for the parts."""
        if self.names is _FALLBACK_NAMES:
            # Reading the corpora takes a moment.
            threading.Thread(target=self._find_names, name="speaker names", daemon=True).start()
        self.show_parts()
        if not self.scene.speeches:
            self.current.reference = reference
            self.cast()

    def show_parts(self) -> None:
        """Head the scene with who plays whom."""
        user, model = self.scene.user_part, self.scene.model_part
        self.current.head((f"A scene: you are {user}, the model is {model}", f"{user} and {model}", "A scene"))

    def _find_names(self) -> None:
        try:
            names = self._loader.speaker_names()
        except Exception:  # the names are only a help: without them the user types
            names = []
        self.post_message(self.NamesFound(names or _FALLBACK_NAMES))

    def on_scene_pane_names_found(self, message: NamesFound) -> None:
        """Offer these names from now on."""
        self.names = list(message.names)
        if isinstance(self.app.screen, CastScreen):
            self.app.screen.offer(self.names)

    def cast(self) -> None:
        """Ask for the two parts, or for a saved scene."""
        saved = sorted(self._texts_folder.glob("scene-*.txt"))
        self.app.push_screen(CastScreen(self.scene, self.names, saved), self._on_cast)

    def _on_cast(self, chosen: Scene | Path | None) -> None:
        if isinstance(chosen, Path):
            try:
                self.open(Scene.parse(chosen.read_text(encoding="utf-8")))
            except (OSError, UnicodeDecodeError) as error:
                self._notice.show(f"The scene {shown_path(chosen)} cannot be read: {error}.", error=True)
        elif chosen is not None:
            self._end_speech()
            self.scene = Scene(chosen.user_part, chosen.model_part, self.scene.speeches)
            self.selected = None
        self.show_parts()
        if chosen is not None:
            self._line.focus()

    def open(self, scene: Scene) -> None:
        """Go on with another scene."""
        self._end_speech()
        self.scene = scene
        self.selected = None
        self._transcript.clear()
        self._starts.clear()
        for speech in scene.speeches:
            self._write(speech)

    # As a pane of the generation screen

    @property
    def busy(self) -> bool:
        """Whether an answer is on its way to the scene."""
        return self.current.busy or self._answer_ended

    @property
    def text(self) -> str:
        """The scene as a play script, with the answer so far."""
        answer = self.current.generated.strip() if self._answering else ""
        return (self.scene.with_speech(self.scene.model_part, answer) if answer else self.scene).script

    @property
    def title(self) -> str:
        """What a saved file is named after."""
        return f"scene {self.scene.user_part} and {self.scene.model_part}"

    def start(self, line: str, /) -> None:
        """Add a line of the user's, and let the model answer. An empty line only asks it to go on."""
        if not self.busy:
            self._line.remember(line)
            self._line.text = ""
            self._say(line)

    def generate(self, _prompt: str, /) -> None:
        """Ask for the user's line."""
        self._line.focus()

    def again(self, _prompt: str, /) -> None:
        """Let the model answer again after the marked speech, or give its last answer again."""
        self._end_speech()
        speeches = self.scene.speeches
        index = len(speeches) - 1 if self.selected is None else self.selected
        if index >= 0 and speeches[index].name == self.scene.model_part:
            index -= 1
        self._truncate(index + 1)
        self._answer()

    def freeze(self, _prompt: str, /) -> None:
        """Pause the answer."""
        self.pause()

    def pause(self) -> None:
        """Pause the answer; a replay ends."""
        self._lines_to_replay.clear()
        self.current.pause()

    def apply(self, settings: SamplingConfig) -> None:
        """Draw the next character with other settings."""
        self.current.apply(settings)

    def select(self, step: int) -> None:
        """Mark the speech before or after the marked one."""
        count = len(self.scene.speeches)
        if count and not self._answering:
            index = (count if self.selected is None else self.selected) + step
            self.selected = max(0, index) if index < count else None

    def clear(self) -> None:
        """Begin a new scene with the same parts."""
        self.open(Scene(self.scene.user_part, self.scene.model_part))

    # Going back

    def rewind(self) -> None:
        """Drop what follows the marked speech, or the last speech; the user's first dropped line can be changed."""
        self._end_speech()
        speeches = self.scene.speeches
        count = max(0, len(speeches) - 1) if self.selected is None else self.selected + 1
        dropped = [speech.text for speech in speeches[count:] if speech.name == self.scene.user_part]
        self._truncate(count)
        if dropped:
            self._line.text = dropped[0]

    def replay(self) -> None:
        """Play the scene again from the marked speech, with the user's lines; with none marked, the last answer."""
        if self.selected is None:
            self.again("")
            return
        self._end_speech()
        start = self.selected
        lines = self.scene.user_lines(start)
        self._truncate(start)
        self._lines_to_replay = deque(lines)
        self._notice.show("")
        self._replay_next()

    def _replay_next(self) -> None:
        if self._lines_to_replay:
            self._say(self._lines_to_replay.popleft())

    def _truncate(self, count: int) -> None:
        self.selected = None
        self.scene = self.scene.truncated(count)
        if count < len(self._starts):
            self._transcript.truncate(self._starts[count])
            del self._starts[count:]

    # The speeches

    def _say(self, line: str) -> None:
        self._end_speech()
        self.selected = None
        if line.strip():
            self._add(self.scene.user_part, line)
        self._answer()

    def _answer(self) -> None:
        self._starts.append(len(self._transcript))
        self._transcript.write(f"{self.scene.model_part}\n", TextKind.MODEL_NAME)
        self._answering = True
        self.current.start(
            self.scene.prompt,
            kind=TextKind.MODEL_SPEECH,
            show_prompt=False,
            stop=(END_OF_SPEECH,),
            max_length=_LONGEST_SPEECH,
        )

    @property
    def _answer_ended(self) -> bool:
        return self._answering and self.current.state in (GenerationState.FINISHED, GenerationState.FAILED)

    def on_text_pane_changed(self) -> None:
        """Add an answer that has ended to the scene, and go on with a replay."""
        if self._answer_ended:
            self._end_speech()
            if self.current.state is GenerationState.FAILED:
                self._lines_to_replay.clear()
            self._replay_next()

    def _end_speech(self) -> None:
        """Add the answer so far to the scene; an empty one leaves nothing behind."""
        if self._answering:
            self._answering = False
            self.current.close_thread()
            self._transcript.truncate(self._starts.pop())
            if self.current.generated.strip():
                self._add(self.scene.model_part, self.current.generated)

    def _add(self, name: str, text: str) -> None:
        self.scene = self.scene.with_speech(name, text)
        self._write(self.scene.speeches[-1])

    def _write(self, speech: Speech) -> None:
        by_model = speech.name == self.scene.model_part
        self._starts.append(len(self._transcript))
        self._transcript.write(f"{speech.name}\n", TextKind.MODEL_NAME if by_model else TextKind.USER_NAME)
        self._transcript.write(f"{speech.text}\n\n", TextKind.MODEL_SPEECH if by_model else TextKind.USER_SPEECH)

    def watch_selected(self) -> None:
        """Show the mark, and scroll to it."""
        if self.selected is None or self.selected >= len(self._starts):
            self._transcript.marked = None
            return
        start = self._starts[self.selected]
        ends = [*self._starts[1:], len(self._transcript)]
        self._transcript.marked = (start, ends[self.selected])
        self._transcript.scroll_into_view(start)
