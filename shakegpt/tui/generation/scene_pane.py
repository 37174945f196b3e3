"""A scene on the stage: the user's part and the model's, speech by speech."""

from collections import deque

from textual.message import Message
from textual.reactive import var

from shakegpt.config import SamplingConfig
from shakegpt.tui.generation.generation_pane import Passage
from shakegpt.tui.generation.model_loader import AT_HAND, Voices
from shakegpt.tui.generation.scene import END_OF_SPEECH, Scene, Speech
from shakegpt.tui.generation.transcript import Tone


class Stage(Passage):
    """A passage whose text is a scene: what the user says and what the model answers, each under its name.

    A speech that is rewound is not lost at once: its line is offered again to whoever said it.
    """

    selected: var[int | None] = var(None)
    """The speech that is marked, to be rewound to."""

    class Answered(Message):
        """The model's speech has ended."""

        def __init__(self, stage: "Stage") -> None:
            self.stage = stage
            super().__init__()

    def __init__(
        self,
        voices: Voices,
        settings: SamplingConfig,
        reference: str = AT_HAND,
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(voices, settings, reference, id=id)
        self.scene = Scene()
        self.pace = 0.0
        self.watched = False
        self._places: list[int] = []  # where each speech begins in the transcript
        self._answering = False
        self._to_replay: deque[str] = deque()

    @property
    def text(self) -> str:
        """The scene as a play script, with what is being said."""
        said = self.drawn.strip() if self._answering else ""
        return self.scene.plus(self.scene.theirs, said).script if said else self.scene.script

    def cast(self, yours: str, theirs: str) -> None:
        """Give out the parts; what was said under other names stays as it was said."""
        self._end_speech()
        self.scene = Scene(yours, theirs, self.scene.speeches)
        self.selected = None

    def open(self, scene: Scene) -> None:
        """Go on with another scene."""
        self._end_speech()
        self.scene = scene
        self._rebuild()

    def say(self, line: str) -> None:
        """Set a line as a speech of the user's part, and let the model answer. An empty line only asks it to go on."""
        self._end_speech()
        self.selected = None
        if line.strip():
            self.scene = self.scene.plus(self.scene.yours, line)
            self._write(self.scene.speeches[-1])
        self.answer()

    def answer(self) -> None:
        """Let the model speak its part next."""
        self._places.append(len(self.transcript))
        self.transcript.write(f"{self.scene.theirs}\n", Tone.THEIR_NAME)
        self._answering = True
        self.speak(
            self.scene.cue, tone=Tone.THEIRS, shown=False, until=END_OF_SPEECH, watched=self.watched, pace=self.pace
        )

    def again(self) -> None:
        """Let the model answer anew after the marked speech, or say its last speech anew."""
        self._end_speech()
        speeches = self.scene.speeches
        at = len(speeches) - 1 if self.selected is None else self.selected
        if at >= 0 and speeches[at].name == self.scene.theirs:
            at -= 1
        self._rewind_to(at + 1)
        self.answer()

    def rewind(self) -> str | None:
        """Drop what follows the marked speech, or the last speech; return the first dropped line of the user's."""
        self._end_speech()
        speeches = self.scene.speeches
        count = len(speeches) - 1 if self.selected is None else self.selected + 1
        dropped = speeches[max(0, count) :]
        self._rewind_to(max(0, count))
        return next((speech.text for speech in dropped if speech.name == self.scene.yours), None)

    def replay(self) -> None:
        """Play the scene again from the marked speech on, or all of it: the user's lines, new answers."""
        self._end_speech()
        at = self.selected or 0
        lines = cues(self.scene, at)
        self._rewind_to(at)
        self._to_replay = deque(lines)
        self._replay_next()

    def select(self, step: int) -> None:
        """Mark the speech before or after the marked one."""
        count = len(self.scene.speeches)
        if not count or self._answering:
            return
        at = (count if self.selected is None else self.selected) + step
        self.selected = at if 0 <= at < count else (0 if at < 0 else None)

    def watch_selected(self) -> None:
        """Mark the speech, and bring it into sight."""
        if self.selected is None or self.selected >= len(self._places):
            self.transcript.marked = None
            return
        end = self._places[self.selected + 1] if self.selected + 1 < len(self._places) else len(self.transcript)
        self.transcript.marked = (self._places[self.selected], end)
        self.transcript.show_place(self._places[self.selected])

    def hear(self) -> None:
        """Write down what the model says; once its speech has ended, it is part of the scene."""
        super().hear()
        if self._answering and self.state in ("ended", "failed") and self._voice is not None:
            finished = self.state == "ended"
            self._end_speech()
            if finished:
                self.post_message(self.Answered(self))
                self._replay_next()
            else:
                self._to_replay.clear()

    def stop(self) -> None:
        """Fall silent; a replay goes no further."""
        self._to_replay.clear()
        super().stop()

    def _replay_next(self) -> None:
        if self._to_replay:
            self.say(self._to_replay.popleft())

    def _end_speech(self) -> None:
        """Take what the model has said into the scene, set as a speech; nothing said leaves nothing behind."""
        if not self._answering:
            return
        self._answering = False
        failed = self.state == "failed"
        self.silence()
        self.state = "failed" if failed else "ended"
        self.transcript.truncate(self._places.pop())
        if self.drawn.strip():
            self.scene = self.scene.plus(self.scene.theirs, self.drawn)
            self._write(self.scene.speeches[-1])

    def _rewind_to(self, count: int) -> None:
        self.selected = None
        self.scene = self.scene.rewound(count)
        if count < len(self._places):
            self.transcript.truncate(self._places[count])
            del self._places[count:]

    def _rebuild(self) -> None:
        self.selected = None
        self.transcript.clear()
        self._places.clear()
        for speech in self.scene.speeches:
            self._write(speech)

    def _write(self, speech: Speech) -> None:
        theirs = speech.name == self.scene.theirs
        self._places.append(len(self.transcript))
        self.transcript.write(f"{speech.name}\n", Tone.THEIR_NAME if theirs else Tone.YOUR_NAME)
        self.transcript.write(f"{speech.text}\n\n", Tone.THEIRS if theirs else Tone.YOURS)


def cues(scene: Scene, start: int) -> list[str]:
    """Return what the user says from a speech on, in turn; an empty line where the model speaks unasked."""
    lines: list[str] = []
    asked = False
    for speech in scene.speeches[start:]:
        theirs = speech.name == scene.theirs
        if not theirs:
            lines.append(speech.text)
        elif not asked:
            lines.append("")
        asked = not theirs
    return lines
