"""The generation screen: one voice, two in a duel, or a scene played with one."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from shakegpt.errors import ShakegptError
from shakegpt.system.paths import texts_folder
from shakegpt.system.text import escape_line
from shakegpt.tui.context import AppContext
from shakegpt.tui.dialogs.choose_model import ChooseModelScreen, model_choices
from shakegpt.tui.generation.bindings import BINDINGS, SCENE_ONLY
from shakegpt.tui.generation.casting import CastingScreen
from shakegpt.tui.generation.model_loader import Voices
from shakegpt.tui.generation.prompt_field import PromptField
from shakegpt.tui.generation.scene import Scene
from shakegpt.tui.generation.speaking_screen import DEFAULT_PACE, SpeakingScreen
from shakegpt.tui.messages import GenerateFrom
from shakegpt.tui.save_text import keep, shown_path

_FALLBACK_SPEAKERS = ("ROMEO", "JULIET", "GLOUCESTER", "KING RICHARD III", "MENENIUS", "First Citizen")


class GenerationScreen(SpeakingScreen):
    """Where the model speaks: scenes, duels, the choice of models, and what is kept of it all.

    Args:
        context: what the app shares with its screens.
        voices: opens models; the engine's where not given.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    class SpeakersFound(Message):
        """The corpora have been asked who speaks in them."""

        def __init__(self, names: Sequence[str]) -> None:
            self.names = names
            super().__init__()

    def __init__(self, context: AppContext, voices: Voices | None = None, *, pace: int = DEFAULT_PACE) -> None:
        super().__init__(context, voices, pace=pace)
        self._speakers: Sequence[str] = _FALLBACK_SPEAKERS

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer the keys of a scene in a scene."""
        return self.in_scene or action not in SCENE_ONLY

    def on_input_submitted(self, message: PromptField.Submitted) -> None:
        """Speak from the prompt; in a scene, set the line as a speech."""
        message.stop()
        if message.input is self.line:
            self._say_line(self.line.text)
        else:
            self.active.transcript.focus()
            self._start()

    # -- scenes

    def action_scene(self) -> None:
        """Play a scene, or leave it where it is."""
        self.toggle_class("scene")
        if self.in_scene and self.stage.reference != self.left.reference and not self.stage.scene.speeches:
            self.stage.reference = self.left.reference
        self._activate(self.stage if self.in_scene else self.left)
        self._find_speakers()
        self.refresh_bindings()
        if self.in_scene and not self.stage.scene.speeches:
            self.action_cast()

    def action_cast(self) -> None:
        """Choose the two parts, or a saved scene."""
        saved = sorted(self._texts_folder.glob("scene-*.txt"))
        self.app.push_screen(CastingScreen(self.stage.scene, self._speakers, saved), self._cast_chosen)

    def _cast_chosen(self, chosen: "Scene | Path | None") -> None:
        if isinstance(chosen, Path):
            try:
                self.stage.open(Scene.parse(chosen.read_text(encoding="utf-8")))
            except (OSError, UnicodeDecodeError) as error:
                self.say(f"The scene {shown_path(chosen)} cannot be read: {error}.", error=True)
        elif chosen is not None:
            self.stage.cast(chosen.yours, chosen.theirs)
        scene = self.stage.scene
        self.line.placeholder = f"{escape_line(scene.yours)} says…  (Enter alone lets the other speak)"
        if chosen is not None:
            self.line.focus()

    def _say_line(self, line: str) -> None:
        if self.stage.busy:
            return
        self._prepare_stage()
        self.line.remember(line)
        self.line.text = ""
        self.stage.say(line)

    def action_rewind(self) -> None:
        """Drop what follows the marked speech, or the last one; the user's line comes back to be changed."""
        if line := self.stage.rewind():
            self.line.text = line

    def action_replay(self) -> None:
        """Play the scene again from the marked speech."""
        self._prepare_stage()
        self.stage.replay()

    def action_sideways(self, step: int) -> None:
        """Choose a voice of the duel, or mark a speech of the scene."""
        if self.in_scene:
            self.stage.select(step)
        elif self.in_duel:
            self._activate(self.right if step > 0 else self.left)

    def _find_speakers(self) -> None:
        """Ask the corpora at hand, away from the screen: reading them takes a moment."""
        if self._speakers is not _FALLBACK_SPEAKERS:
            return

        def ask() -> None:
            try:
                names = self._voices.speakers()
            except Exception:  # the names are an offer; without them one types
                names = []
            self.post_message(self.SpeakersFound(names or _FALLBACK_SPEAKERS))

        threading.Thread(target=ask, name="speakers", daemon=True).start()

    def on_generation_screen_speakers_found(self, message: SpeakersFound) -> None:
        """Offer the names from now on."""
        self._speakers = list(message.names)

    # -- the duel

    def action_duel(self) -> None:
        """Put a second voice beside the first, or send it away."""
        if self.in_scene:
            self.remove_class("scene")
            self.remove_class("duel")
        self.toggle_class("duel")
        if self.in_duel:
            if self.right.state is None:
                self.right.turn(self.left.settings)
                self.right.reference = self.left.reference
                self.right.show_title()
            self.say("Knobs and model (o) are those of the marked voice; ← and → choose it. Enter lets both speak.")
        else:
            self.right.stop()
            self.say("")
        self._started_from = None
        self._activate(self.right if self.in_duel else self.left)

    # -- the model

    def use(self, reference: str) -> None:
        """Let the active passage speak from another model, from its next start on."""
        self.active.reference = reference
        self.active.model = None
        self.active.show_title()
        self._started_from = None
        self._refresh_all()

    def on_generate_from(self, message: GenerateFrom) -> None:
        """Speak from a model that another screen names."""
        message.stop()
        self.use(message.reference)
        if not self.in_scene:
            self._start()

    def action_choose_model(self) -> None:
        """Choose who speaks."""
        live = self.context.own_training is not None
        choices = model_choices(self.context.store, live=live)
        self.app.push_screen(ChooseModelScreen(choices, self.active.reference), self._model_chosen)

    def _model_chosen(self, reference: str | None) -> None:
        if reference is not None:
            self.use(reference)

    # -- keeping

    def action_copy(self) -> None:
        """Copy the text; some terminals swallow that, so saving is named too."""
        if text := self.active.text:
            self.app.copy_to_clipboard(text)
            self.say(f"Copied {len(text):,} characters. If your terminal swallowed them, w saves them to a file.")
        else:
            self.say("There is nothing to copy yet.")

    def action_write(self) -> None:
        """Save the text to a file of its own."""
        text = self.active.text
        if not text.strip():
            self.say("There is nothing to save yet.")
            return
        scene = self.stage.scene
        title = f"scene {scene.yours} and {scene.theirs}" if self.in_scene else self.active.prompt
        try:
            self.say(f"Saved in {shown_path(keep(text, title, self._texts_folder))}")
        except ShakegptError as error:
            self.say(str(error), error=True)

    def action_clear(self) -> None:
        """Clear the page; what is being spoken is stopped."""
        if self.in_scene:
            self.stage.open(Scene(self.stage.scene.yours, self.stage.scene.theirs))
            return
        for passage in self.speaking:
            passage.silence()
            passage.transcript.clear()
            passage.state, passage.drawn = None, ""
        self._refresh_all()

    @property
    def _texts_folder(self) -> Path:
        return texts_folder(self.context.store.home)
