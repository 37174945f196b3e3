"""The generation screen: a prompt, text that appears character by character, and knobs to turn meanwhile."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.screen import Screen

from shakegpt.config import SamplingConfig
from shakegpt.errors import ShakegptError
from shakegpt.system.paths import texts_folder
from shakegpt.tui.context import AppContext, LoadedModel
from shakegpt.tui.dialogs.choose_model import ChooseModelScreen, model_choices
from shakegpt.tui.generation.bindings import BINDINGS, NO_SCENE_ACTIONS, SCENE_ACTIONS
from shakegpt.tui.generation.generation_pane import DuelPane, GenerationPane, PromptPane
from shakegpt.tui.generation.generation_thread import (
    FRAME_SECONDS,
    TINTED_FRAME_SECONDS,
    GenerationOptions,
    GenerationState,
)
from shakegpt.tui.generation.knobs import (
    KNOBS,
    KNOBS_BY_FIELD,
    PRESET_EXPLANATIONS,
    SAMPLING_PRESETS,
    SPEEDS,
    Knob,
    next_preset,
    next_speed,
)
from shakegpt.tui.generation.knobs_bar import KnobsBar
from shakegpt.tui.generation.model_loader import ModelLoader
from shakegpt.tui.generation.model_status import ModelStatus, NoticeLine
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.prompt_field import PromptBar, PromptField
from shakegpt.tui.generation.scene_pane import ScenePane
from shakegpt.tui.generation.side_column import SideColumn
from shakegpt.tui.generation.takes import LONGEST_TEXT, parting
from shakegpt.tui.generation.takes_pane import TakePane, TakesPane
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.generation.try_pane import TryPane
from shakegpt.tui.messages import GenerateFrom
from shakegpt.tui.preferences import DEFAULT_SAMPLING
from shakegpt.tui.save_text import save_text, shown_path
from shakegpt.tui.widgets.footer import Footer
from shakegpt.tui.widgets.top_bar import TopBar

STATUS_SECONDS = 0.5
"""Time between two updates of figures: at every frame they would cost bytes, and nobody could read them."""
_WIDE = 120
"""The width from which on the odds and the tint are shown until the user chooses."""
_FIRST_PROMPT = "ROMEO:\n"


class GenerationScreen(Screen[None]):
    """Where models generate text: unasked at the first start, and later if they did so when the app was left."""

    DEFAULT_CSS = """
    GenerationScreen {
        & > #panes { height: 1fr; }
        & #right, & TakePane, & ScenePane, & SideColumn, & #line { display: none; }
        &.duel #right, &.scene ScenePane, &.scene #line, &.next SideColumn, &.comparing TakePane { display: block; }
        &.scene #left, &.scene #right, &.scene #prompt { display: none; }
        &.-very-wide.-tall KnobsBar { height: 4; border: round $border; }
    }
    """
    AUTO_FOCUS = "#left Transcript"
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    def __init__(self, context: AppContext, loader: ModelLoader | None = None) -> None:
        super().__init__()
        self.context = context
        preferences = context.preferences
        self.choose_seed: Callable[[], int] = lambda: random.randrange(1, 100_000)
        """Returns the seed of "again with a new seed"."""
        self._loader = loader or ModelLoader(context)
        self._options = GenerationOptions(preferences.speed)
        self._status_shown_at = 0.0
        self._texts_folder = texts_folder(context.store.home)
        self._paused_texts: list[TextPane] = []  # by leaving the screen; they go on when it is back
        first = next(iter(preferences.prompts), _FIRST_PROMPT)
        self.prompt = PromptField(first, history=preferences.prompts, placeholder="an opening line", id="prompt")
        self.line = PromptField(placeholder="your line", id="line")
        self.notice = NoticeLine()
        settings = replace(preferences.sampling, stop=())
        self.left, self.right, answer = (
            TextPane(self._loader, settings, self._options, id=name) for name in ("left", "right", "answer")
        )
        self.single, self.duel = PromptPane(self.left), DuelPane(self.left, self.right)
        self.scene = ScenePane(answer, self.line, self.notice, self._loader, self._texts_folder)
        self.pane: GenerationPane = self.single
        """The pane on show."""
        self._pane_before_scene: GenerationPane = self.single
        self._paused_by_scene: list[TextPane] = []

    def compose(self) -> ComposeResult:
        """The text in the middle, the odds beside it, the prompt and the knobs below."""
        yield TopBar(self.context)
        with Horizontal(id="panes"):
            yield self.left
            yield self.right
            yield TakePane()
            yield self.scene
            yield SideColumn()
        yield PromptBar(self.prompt, self.line, status=ModelStatus())
        yield KnobsBar(self.left.settings)
        yield self.notice
        yield Footer()

    def on_mount(self) -> None:
        """Show what the user last saw; the model is loaded after the first paint: importing torch takes a second."""
        preferences = self.context.preferences
        wide = self.app.size.width >= _WIDE
        self._show_tint(tint=wide if preferences.tint is None else preferences.tint)
        self._show_next(shown=wide if preferences.odds is None else preferences.odds)
        self.notice.explain(KNOBS[0].explanation)
        self._refresh()
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Speak if that is how the app was left; else only load the model, so that Enter need not wait for it."""
        self.query_one(TryPane).show(self.pane.mode)
        if not self.context.preferences.speaking:
            threading.Thread(target=self._preload, name="preload", daemon=True).start()
        elif self.left.state is None:
            self.pane.start(self.prompt.text)
            self._show_status()

    def _preload(self) -> None:
        with suppress(Exception):  # the first start will report it
            self._loader.preload()

    def on_screen_suspend(self) -> None:
        """Pause while another screen or a dialog is open: nobody reads what is generated meanwhile."""
        self._paused_texts = [text for text in self.query(TextPane) if text.busy]
        for text in self._paused_texts:
            text.pause()

    def on_screen_resume(self) -> None:
        """Go on with what was paused."""
        for text in self._paused_texts:
            text.resume()
        self._paused_texts = []

    def on_resize(self) -> None:
        """Say what is written in the prompt, where there is room."""
        self.call_after_refresh(self._show_label)

    def _show_label(self) -> None:
        self.query_one(PromptBar).show_label("Your line" if self.pane is self.scene else "Opening line")

    # The pane on show

    def _show_pane(self, pane: GenerationPane) -> None:
        self.pane = pane
        for other in (self.duel, self.scene):
            self.set_class(other is pane, other.mode)
        self.remove_class("comparing")
        self.notice.show("")
        self.focus_text()
        self._show_label()
        self._refresh()
        self.refresh_bindings()
        self.call_after_refresh(lambda: self.query_one(TryPane).show(self.pane.mode))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Offer the actions of a scene in a scene, and there no others that would do nothing."""
        return action not in (NO_SCENE_ACTIONS if self.pane is self.scene else SCENE_ACTIONS)

    def action_scene(self) -> None:
        """Play a scene, or leave it where it is."""
        if self.pane is self.scene:
            self.scene.pause()
            self._show_pane(self._pane_before_scene)
            for text in self._paused_by_scene:
                text.resume()
        else:
            self._paused_by_scene = [text for text in self.pane.texts if text.busy]
            for text in self._paused_by_scene:
                text.pause()
            self._pane_before_scene = self.pane
            self._show_pane(self.scene)
            self.scene.enter(self.left.reference)

    def action_duel(self) -> None:
        """Put a second text beside the first, or hide it. While the first speaks, both begin at once."""
        if self.pane is self.duel:
            self.duel.leave()
            self._show_pane(self.single)
            return
        speaking = self.left.busy
        self.duel.enter()
        self._show_pane(self.duel)
        if speaking:
            self.pane.start(self._use_prompt())
        self.notice.show("Knobs, presets and c act on the framed text; ← and → choose it.", stays=True)

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
        """Return the prompt, and clear the notice: text is about to come."""
        self.notice.show("")
        self._remember_speaking(speaking=True)
        return self.prompt.text

    def _remember_speaking(self, *, speaking: bool) -> None:
        if speaking != self.context.preferences.speaking:
            self.context.remember(speaking=speaking)

    def action_generate(self) -> None:
        """Generate from the prompt, or go on; in a scene, ask for the user's line."""
        prompt = self._use_prompt()
        if self.pane is not self.scene and all(text.busy and text.prompt == prompt for text in self.pane.texts):
            self.notice.show("It is speaking: n begins a new text, space stops it.")
        else:
            self.pane.generate(prompt)

    def action_toggle_generation(self) -> None:
        """Pause, or go on."""
        if any(text.busy for text in self.pane.texts):
            self._remember_speaking(speaking=False)
            self.pane.pause()
        elif self.pane.current.state in (None, GenerationState.FAILED):
            self.action_generate()
        else:
            self._use_prompt()
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

    def on_input_changed(self) -> None:
        """Drop a notice about the prompt as it was."""
        if self.notice.has_class("error"):
            self.notice.show("")

    # Settings

    def action_turn(self, field: str, clicks: int) -> None:
        """Turn a knob; the next character is drawn with it."""
        self._turn(KNOBS_BY_FIELD[field], clicks)

    def _turn(self, knob: Knob, clicks: int) -> None:
        self.apply(knob.turned(self.pane.current.settings, clicks))
        self.notice.explain(knob.explanation)

    def on_knobs_bar_turned(self, message: KnobsBar.Turned) -> None:
        """Turn a knob with the mouse."""
        self._turn(message.knob, message.clicks)

    def on_knobs_bar_moved(self, message: KnobsBar.Moved) -> None:
        """Set a slider with the mouse."""
        self.apply(message.knob.at(self.pane.current.settings, message.fraction))
        self.notice.explain(message.knob.explanation)

    def action_preset(self, clicks: int) -> None:
        """Apply the next sampling preset, or the one before."""
        settings = self.pane.current.settings
        name = next_preset(settings, clicks)
        self.apply(replace(settings, **SAMPLING_PRESETS[name]))
        self.notice.explain(PRESET_EXPLANATIONS[name])

    def action_reset(self) -> None:
        """Put every knob back."""
        self.apply(DEFAULT_SAMPLING)
        self.notice.show("All knobs are back where they began.")

    def apply(self, settings: SamplingConfig) -> None:
        """Draw the next character with other settings, and remember them."""
        self.pane.apply(settings)
        self.query_one(KnobsBar).show(settings)
        self._show_status()
        if self.pane.current is not self.right:
            self.context.remember(sampling=settings)

    def action_speed(self) -> None:
        """Generate at the next of three speeds."""
        speed = next_speed(self._options.characters_per_second)
        self._options.characters_per_second = speed
        self.context.remember(speed=speed)
        self.notice.show(f"Speed: {SPEEDS[speed]}.")

    def action_tint(self) -> None:
        """Colour characters by surprise, or not."""
        tint = not self.left.transcript.tint
        self._show_tint(tint=tint)
        self.context.remember(tint=tint)

    def _show_tint(self, *, tint: bool) -> None:
        # Coloured text costs more to paint, and is painted less often.
        self._options.frame_seconds = TINTED_FRAME_SECONDS if tint else FRAME_SECONDS
        for text in self.query(TextPane):
            text.show_tint(tint=tint)

    # The next character

    def action_show_next(self) -> None:
        """Show or hide the panel."""
        if isinstance(self.focused, NextCharacter):
            self.focus_text()
        shown = not self.has_class("next")
        self._show_next(shown=shown)
        self.context.remember(odds=shown)

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

    # The takes

    def on_takes_pane_highlighted(self, message: TakesPane.Highlighted) -> None:
        """Put a take beside the text, and mark where they part."""
        take, text = message.take, self.left
        self.set_class(take is not None and self.pane is self.single, "comparing")
        if take is None or text.is_cut or take.prompt != text.prompt:
            index = None
        else:
            index = parting(take.text, text.generated)
        if index is None:
            text.transcript.parting = None
        else:
            text.mark_parting(index)
        if take is not None:
            self.query_one(TakePane).show(take, index)

    def on_takes_pane_left(self) -> None:
        """Take the take away again."""
        self.remove_class("comparing")
        self.left.transcript.parting = None
        self.focus_text()

    # Showing

    def on_text_pane_changed(self, message: TextPane.Changed) -> None:
        """Show the state of a text; figures that change at every frame are shown less often."""
        message.stop()
        text = message.pane
        if text in self.pane.texts:
            if text.state is GenerationState.FAILED:
                self.notice.show(text.error, error=True)
            elif text.state is not GenerationState.LOADING:
                self._remember_prompt(text.prompt)
        if self.pane is self.duel:
            self.duel.mark_parting()
        due = not text.busy or time.monotonic() >= self._status_shown_at + STATUS_SECONDS
        if due and text is self.pane.current:
            self._show_status()

    def _remember_prompt(self, prompt: str) -> None:
        """Remember a prompt that the model could read."""
        if self.pane is not self.scene and prompt and self.prompt.history[:1] != (prompt,):
            self.prompt.remember(prompt)
            self.context.remember(prompts=self.context.preferences.with_prompt(prompt).prompts)

    def _show_status(self) -> None:
        self._status_shown_at = time.monotonic()
        current = self.pane.current
        self.query_one(ModelStatus).show(current)
        model = current.model
        self.context.loaded_checkpoint = model.name if model else None
        if model is not None:
            self.context.loaded_model = LoadedModel(model.name, model.parameters, model.val_loss)
        self.query_one(TopBar).show()
        if self.has_class("next"):
            self.query_one(SideColumn).show(current)

    def _refresh(self) -> None:
        for text in self.pane.texts:
            text.set_class(text is self.pane.current, "selected")
        self.query_one(KnobsBar).show(self.pane.current.settings)
        self._show_status()

    # The model

    def use_model(self, reference: str | None, *, behind: int | None = None) -> None:
        """Generate from another model: at once where text is being generated, else from the next start on.

        ``None`` leaves the model as it is.
        """
        if reference is None:
            return
        current = self.pane.current
        speaking = current.busy or current in self._paused_texts
        changed = reference != current.reference
        current.use_model(reference, behind=behind)
        if self.pane is self.duel:
            self.duel.show_settings()
        self.notice.show("")
        self._refresh()
        if changed and speaking and self.pane is not self.scene:
            self.action_again()

    def on_generate_from(self, message: GenerateFrom) -> None:
        """Generate from a model that another screen names."""
        message.stop()
        self._paused_texts = []
        self.pane.pause()
        self.pane.current.use_model(message.reference, behind=message.behind)
        self._refresh()
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
            self.notice.show(f"Copied {len(text):,} letters. If your terminal drops them, w saves them to a file.")
        else:
            self.notice.show("There is nothing to copy yet.")

    def action_save(self) -> None:
        """Save the text to a file of its own."""
        if not self.pane.text.strip():
            self.notice.show("There is nothing to save yet.")
            return
        try:
            path = save_text(self.pane.text, self.pane.title, self._texts_folder)
            what = f"The last {LONGEST_TEXT:,} letters are saved" if self.pane.current.is_cut else "Saved"
            self.notice.show(f"{what} in {shown_path(path)}")
        except ShakegptError as error:
            self.notice.show(str(error), error=True)

    def action_clear(self) -> None:
        """Remove the text; what is being generated is stopped."""
        self._remember_speaking(speaking=False)
        self.pane.clear()
        self.notice.show("")
        self._refresh()
