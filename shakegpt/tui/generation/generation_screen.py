"""The generation screen: a prompt, text that appears character by character, and knobs to turn meanwhile."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen

from shakegpt.config import SamplingConfig
from shakegpt.errors import ShakegptError
from shakegpt.system.paths import texts_folder
from shakegpt.tui.context import AppContext, LoadedModel
from shakegpt.tui.dialogs.choose_model import ChooseModelScreen, model_choices
from shakegpt.tui.generation.bindings import BINDINGS, SCENE_ACTIONS
from shakegpt.tui.generation.generation_pane import GenerationPane, PromptPane
from shakegpt.tui.generation.generation_thread import (
    FRAME_SECONDS,
    TINTED_FRAME_SECONDS,
    GenerationOptions,
    GenerationState,
)
from shakegpt.tui.generation.knobs import KNOBS_BY_FIELD, SAMPLING_PRESETS, SPEEDS, KnobsBar, next_preset, next_speed
from shakegpt.tui.generation.model_loader import ModelLoader
from shakegpt.tui.generation.model_status import ModelStatus, NoticeLine
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.prompt_field import PromptBar, PromptField
from shakegpt.tui.generation.scene_pane import ScenePane
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.generation.transcript import Transcript
from shakegpt.tui.messages import GenerateFrom
from shakegpt.tui.save_text import save_text, shown_path
from shakegpt.tui.widgets.footer import Footer
from shakegpt.tui.widgets.top_bar import TopBar

STATUS_SECONDS = 0.5
"""Time between two updates of figures: at every frame they would cost bytes, and nobody could read them."""


class GenerationScreen(Screen[None]):
    """Where models generate text.

    Args:
        characters_per_second: the speed to begin with: slow enough to read along, and to turn a knob meanwhile.
    """

    DEFAULT_CSS = """
    GenerationScreen {
        & > #panes { height: 1fr; }
        & #right, & ScenePane, & NextCharacter, & #line { display: none; }
        &.duel #right, &.duel .title, &.scene ScenePane, &.scene #line, &.next NextCharacter { display: block; }
        &.duel .selected > .title { color: $primary; text-style: bold; }
        &.duel #right { border-left: vkey $border; }
        &.scene #left, &.scene #right, &.scene #prompt { display: none; }
        &.-short > PromptBar { margin-top: 0; }
        &.-narrow NextCharacter { width: 26; }
        &.-wide NextCharacter, &.-very-wide NextCharacter { width: 40; }
    }
    """
    AUTO_FOCUS = "#left Transcript"
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    @dataclass
    class Preloaded(Message):
        """The default model is loaded."""

        reference: str

    def __init__(
        self, context: AppContext, loader: ModelLoader | None = None, *, characters_per_second: int = 100
    ) -> None:
        super().__init__()
        self.context = context
        self.choose_seed: Callable[[], int] = lambda: random.randrange(1, 100_000)
        """Returns the seed of "again with a new seed"."""
        self._loader = loader or ModelLoader(context)
        self._options = GenerationOptions(characters_per_second)
        self._status_shown_at = 0.0
        self._texts_folder = texts_folder(context.store.home)
        prompts = context.preferences.prompts
        first = next(iter(prompts), "ROMEO:\n")
        self.prompt = PromptField(first, history=prompts, placeholder="a prompt", id="prompt")
        self.line = PromptField(placeholder="your line", id="line")
        self.notice = NoticeLine()
        settings = replace(context.preferences.sampling, stop=())
        self.left, self.right, answer = (
            TextPane(self._loader, settings, self._options, id=name) for name in ("left", "right", "answer")
        )
        self.single, self.duel = PromptPane("", self.left), PromptPane("duel", self.left, self.right)
        self.scene = ScenePane(answer, self.line, self.notice, self._loader, self._texts_folder)
        self.pane: GenerationPane = self.single
        """The pane on show."""
        self._pane_before_scene: GenerationPane = self.single

    def compose(self) -> ComposeResult:
        """The text in the middle, the prompt and the knobs below it."""
        yield TopBar(self.context)
        yield ModelStatus()
        with Horizontal(id="panes"):
            yield self.left
            yield self.right
            yield self.scene
            yield NextCharacter()
        yield self.notice
        yield PromptBar(self.prompt, self.line)
        yield KnobsBar(self.left.settings)
        yield Footer()

    def on_mount(self) -> None:
        """Show the single text, and load the default model: importing torch takes a second, which Enter should not."""
        self._refresh()
        self.call_after_refresh(threading.Thread(target=self._preload, name="preload", daemon=True).start)

    def _preload(self) -> None:
        with suppress(Exception):  # the first start will report it
            self.post_message(self.Preloaded(self._loader.preload()))

    def on_generation_screen_preloaded(self, message: Preloaded) -> None:
        """Name the model that the texts will be generated from."""
        for text in self.query(TextPane):
            text.reference = text.reference or message.reference
            text.show_title()
        self._show_status()

    # The pane on show

    def _show_pane(self, pane: GenerationPane) -> None:
        self.pane = pane
        for other in (self.duel, self.scene):
            self.set_class(other is pane, other.mode)
        self.focus_text()
        self._refresh()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer the actions of a scene in a scene."""
        return self.pane is self.scene or action not in SCENE_ACTIONS

    def action_scene(self) -> None:
        """Play a scene, or leave it where it is."""
        if self.pane is self.scene:
            self._show_pane(self._pane_before_scene)
        else:
            self._pane_before_scene = self.pane
            self._show_pane(self.scene)
            self.scene.enter(self.left.reference)

    def action_duel(self) -> None:
        """Put a second text beside the first, or hide it; whatever is generated next starts again."""
        self.left.continued_prompt = self.right.continued_prompt = None
        if self.pane is self.duel:
            self.right.pause()
            self._show_pane(self.single)
            self.notice.show("")
            return
        if self.right.state is None:
            self.right.apply(self.left.settings)
            self.right.use_model(self.left.reference)
        self.duel.current = self.right
        self._show_pane(self.duel)
        self.notice.show("Knobs and model (o) are those of the marked text; ← and → choose it. Enter generates both.")

    def action_select(self, step: int) -> None:
        """Select a text of the duel, or a speech of the scene."""
        self.pane.select(step)
        self._refresh()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Select the text that was clicked."""
        for text in self.pane.texts:
            if event.widget is text.transcript and text is not self.pane.current:
                self.pane.current = text
                self._refresh()

    def action_cast(self) -> None:
        """Choose the two parts, or a saved scene."""
        self.scene.cast()

    def action_rewind(self) -> None:
        """Drop what follows the marked speech, or the last one."""
        self.scene.rewind()

    def action_replay(self) -> None:
        """Play the scene again from the marked speech."""
        self.scene.replay()

    # Generating

    def _use_prompt(self) -> str:
        """Return the prompt, remember it, and clear the notice."""
        self.notice.show("")
        prompt = self.prompt.text
        if self.pane is not self.scene and prompt and self.prompt.history[:1] != (prompt,):
            self.prompt.remember(prompt)
            self.context.remember(prompts=self.context.preferences.with_prompt(prompt).prompts)
        return prompt

    def action_generate(self) -> None:
        """Generate from the prompt, or go on; in a scene, ask for the user's line."""
        self.pane.generate(self._use_prompt())

    def action_toggle_generation(self) -> None:
        """Pause, or go on."""
        if any(text.busy for text in self.pane.texts):
            self.pane.pause()
        elif self.pane.current.state in (None, GenerationState.FAILED):
            self.action_generate()
        else:
            self.notice.show("")
            for text in self.pane.texts:
                text.resume()

    def action_again(self) -> None:
        """Generate again with the same seed."""
        self.pane.again(self._use_prompt())

    def action_new_seed(self) -> None:
        """Generate again with a new seed."""
        self.apply(replace(self.pane.current.settings, seed=self.choose_seed()))
        self.action_again()

    def action_edit(self) -> None:
        """Write in the prompt, or the user's line."""
        self.query_one(PromptBar).focus_field()

    def on_input_submitted(self, message: PromptField.Submitted) -> None:
        """Generate from the prompt; in a scene, add the line."""
        message.stop()
        prompt = self._use_prompt()
        if message.input is self.line:
            self.pane.start(self.line.text)
        else:
            self.pane.start(prompt)
            self.focus_text()

    @on(PromptField.Left)
    @on(NextCharacter.Left)
    def focus_text(self) -> None:
        """Give the keys back to the screen."""
        self.pane.current.transcript.focus()

    # Settings

    def action_turn(self, field: str, clicks: int) -> None:
        """Turn a knob; the next character is drawn with it."""
        self.apply(KNOBS_BY_FIELD[field].turned(self.pane.current.settings, clicks))

    def action_preset(self, clicks: int) -> None:
        """Apply the next sampling preset, or the one before."""
        settings = self.pane.current.settings
        self.apply(replace(settings, **SAMPLING_PRESETS[next_preset(settings, clicks)]))

    def action_reset(self) -> None:
        """Put every knob back."""
        self.apply(SamplingConfig())

    def apply(self, settings: SamplingConfig) -> None:
        """Draw the next character with other settings, and remember them."""
        self.pane.apply(settings)
        self.query_one(KnobsBar).show(settings)
        if self.pane.current is not self.right:
            self.context.remember(sampling=settings)

    def action_speed(self) -> None:
        """Generate at the next of three speeds."""
        speed = next_speed(self._options.characters_per_second)
        self._options.characters_per_second = speed
        self.notice.show(f"Generating {SPEEDS[speed]}.")

    def action_tint(self) -> None:
        """Colour characters by surprise, or not; coloured text costs more to paint, and is painted less often."""
        tint = not self.left.transcript.tint
        self._options.frame_seconds = TINTED_FRAME_SECONDS if tint else FRAME_SECONDS
        for transcript in self.query(Transcript):
            transcript.tint = tint
        self._show_status()

    # The next character

    def action_show_next(self) -> None:
        """Show or hide the panel."""
        if isinstance(self.focused, NextCharacter):
            self.focus_text()
        self._show_next(shown=not self.has_class("next"))

    def _show_next(self, *, shown: bool) -> None:
        self.set_class(shown, "next")
        self._options.show_next = shown
        for text in self.query(TextPane):
            text.refresh_next()
        self._show_status()

    def action_freeze(self) -> None:
        """Pause, and choose characters by hand; or let go, without drawing."""
        if isinstance(self.focused, NextCharacter):
            self.focus_text()
        else:
            self._show_next(shown=True)
            self.query_one(NextCharacter).focus()
            self.pane.freeze(self._use_prompt())

    def action_step(self) -> None:
        """Draw one character, and pause."""
        self.pane.freeze(self._use_prompt())
        for text in self.pane.texts:
            text.step()

    def on_next_character_chosen(self, message: NextCharacter.Chosen) -> None:
        """Let the character that was chosen come next."""
        self.pane.current.step(message.character)

    # Showing

    def on_text_pane_changed(self, message: TextPane.Changed) -> None:
        """Show the state of a text; figures that change at every frame are shown less often."""
        message.stop()
        text = message.pane
        if text.state is GenerationState.FAILED and text in self.pane.texts:
            self.notice.show(text.error, error=True)
        due = not text.busy or time.monotonic() >= self._status_shown_at + STATUS_SECONDS
        if due and text is self.pane.current:
            self._show_status()

    def _show_status(self) -> None:
        self._status_shown_at = time.monotonic()
        current = self.pane.current
        modes = (self.pane.mode, "surprise" if current.transcript.tint else "")
        self.query_one(ModelStatus).show(current, tuple(filter(None, modes)))
        model = current.model
        self.context.loaded_checkpoint = model.name if model else None
        if model is not None:
            self.context.loaded_model = LoadedModel(model.name, model.parameters, model.val_loss)
        self.query_one(TopBar).show()
        if self.has_class("next"):
            self.query_one(NextCharacter).show(current.next_character)

    def _refresh(self) -> None:
        for text in self.pane.texts:
            text.set_class(text is self.pane.current, "selected")
        self.query_one(KnobsBar).show(self.pane.current.settings)
        self._show_status()

    # The model

    def use_model(self, reference: str | None) -> None:
        """Generate from another model, from the next start on; ``None`` leaves the model as it is."""
        if reference is not None:
            self.pane.current.use_model(reference)
            self._refresh()

    def on_generate_from(self, message: GenerateFrom) -> None:
        """Generate from a model that another screen names."""
        message.stop()
        self.use_model(message.reference)
        if self.pane is not self.scene:
            self.action_again()

    def action_choose_model(self) -> None:
        """Choose the model."""
        choices = model_choices(self.context.store, live=self.context.own_training is not None)
        self.app.push_screen(ChooseModelScreen(choices, self.pane.current.reference), self.use_model)

    # The text

    def action_copy(self) -> None:
        """Copy the text; some terminals drop it, so saving is named too."""
        if text := self.pane.text:
            self.app.copy_to_clipboard(text)
            self.notice.show(f"Copied {len(text):,} characters. If your terminal drops them, w saves them to a file.")
        else:
            self.notice.show("There is nothing to copy yet.")

    def action_save(self) -> None:
        """Save the text to a file of its own."""
        if not self.pane.text.strip():
            self.notice.show("There is nothing to save yet.")
            return
        try:
            self.notice.show(f"Saved in {shown_path(save_text(self.pane.text, self.pane.title, self._texts_folder))}")
        except ShakegptError as error:
            self.notice.show(str(error), error=True)

    def action_clear(self) -> None:
        """Remove the text; what is being generated is stopped."""
        self.pane.clear()
        self._refresh()
