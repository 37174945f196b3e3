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

from shakegpt.system.text import escape_line
from shakegpt.tui.context import AppContext
from shakegpt.tui.generation.bindings import BINDINGS, NO_SCENE_ACTIONS, SCENE_ACTIONS
from shakegpt.tui.generation.branching_pane import BranchingTextPane
from shakegpt.tui.generation.generation_pane import DuelPane, GenerationPane, PromptPane
from shakegpt.tui.generation.generation_thread import (
    GenerationOptions,
    GenerationState,
)
from shakegpt.tui.generation.knobs import (
    KNOBS,
)
from shakegpt.tui.generation.knobs_bar import KnobsBar
from shakegpt.tui.generation.model_loader import ModelLoader
from shakegpt.tui.generation.model_screen import ModelScreen
from shakegpt.tui.generation.model_status import ModelStatus
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.prompt_field import PromptBar, PromptField
from shakegpt.tui.generation.scene_pane import ScenePane
from shakegpt.tui.generation.side_column import SideColumn
from shakegpt.tui.generation.takes_pane import TakePane
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.generation.try_pane import TryPane
from shakegpt.tui.painting import add_size_classes
from shakegpt.tui.widgets.footer import Footer
from shakegpt.tui.widgets.top_bar import TopBar

STATUS_SECONDS = 0.5
"""Time between two updates of figures: at every frame they would cost bytes, and nobody could read them."""
_WIDE = 120
"""The width from which on the odds and the tint are shown until the user chooses."""
_TINY = 56
"""The width below which there is room for the text alone."""
_LONGEST_LABEL = 16
_FIRST_PROMPT = "ROMEO:\n"


class GenerationScreen(ModelScreen):
    """Where models generate text: unasked at the first start, and later if they did so when the app was left."""

    DEFAULT_CSS = """
    GenerationScreen {
        & > #panes { height: 1fr; }
        & #right, & TakePane, & ScenePane, & SideColumn, & #line { display: none; }
        &.duel #right, &.scene ScenePane, &.scene #line, &.next SideColumn, &.comparing TakePane { display: block; }
        &.-narrow SideColumn { width: 26; }
        &.tiny ModelStatus { width: 17; }
        &.-narrow.duel SideColumn, &.tiny SideColumn { display: none; }
        &.-wide SideColumn { width: 38; }
        &.-very-wide SideColumn { width: 38; }
        &.-very-wide.-tall SideColumn { width: 66; }
        &.-wide.-tall, &.-very-wide.-tall {
            & NextCharacter { height: 14; }
            & TryPane, & TakesPane { display: block; }
            &.branched BranchesPane { display: block; }
        }
        &.-very-wide.-tall SurpriseStrip { display: block; }
        &.scene #left, &.scene #right, &.scene #prompt { display: none; }
        &.-very-wide.-tall KnobsBar { height: 4; border: round $border; }
    }
    """
    AUTO_FOCUS = "#left Transcript"
    HELP_TITLE = "Generate"
    HELP = "The model writes on from the opening line, letter by letter. The knobs shape the odds of the next one."
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    def __init__(self, context: AppContext, loader: ModelLoader | None = None) -> None:
        preferences = context.preferences
        loader = loader or ModelLoader(context)
        options = GenerationOptions(preferences.speed)
        settings = replace(preferences.sampling, stop=())
        left, right = (BranchingTextPane(loader, settings, options, id=name) for name in ("left", "right"))
        answer = TextPane(loader, settings, options, id="answer")
        super().__init__(context, PromptPane(left), DuelPane(left, right), options)
        self.choose_seed: Callable[[], int] = lambda: random.randrange(1, 100_000)
        """Returns the seed of "again with a new seed"."""
        self._loader = loader
        first = next(iter(preferences.prompts), _FIRST_PROMPT)
        self.prompt = PromptField(first, history=preferences.prompts, placeholder="an opening line", id="prompt")
        self.line = PromptField(placeholder="say something; Enter alone: go on", id="line")
        self.scene = ScenePane(answer, self.line, self.notice, loader, self.texts_folder)
        self._pane_before_scene: GenerationPane = self.single
        self._paused_by_scene: list[TextPane] = []

    def compose(self) -> ComposeResult:
        """The text in the middle, the odds beside it, the prompt and the knobs below."""
        add_size_classes(self)
        self.set_class(self._shows_odds, "next")  # before there are widgets to be styled again
        yield TopBar(self.context)
        with Horizontal(id="panes"):
            yield self.left
            yield self.right
            yield TakePane()
            yield self.scene
            yield SideColumn(self.context)
        yield PromptBar(self.prompt, self.line, status=ModelStatus())
        yield KnobsBar(self.left.settings)
        yield self.notice
        yield Footer()

    def on_mount(self) -> None:
        """Show what the user last saw; the model is loaded after the first paint: importing torch takes a second."""
        tint = self.context.preferences.tint
        self.show_tint(tint=self._is_wide if tint is None else tint)
        self.show_next_character(shown=self._shows_odds)
        self.notice.explain(KNOBS[0].explanation)
        self.refresh_controls()
        self.call_after_refresh(self._begin)

    @property
    def _is_wide(self) -> bool:
        return self.app.size.width >= _WIDE

    @property
    def _shows_odds(self) -> bool:
        """Whether the odds are shown at the start."""
        odds = self.context.preferences.odds
        return self._is_wide if odds is None else odds

    def _begin(self) -> None:
        """Speak if that is how the app was left; else only load the model, so that Enter need not wait for it."""
        self.query_one(TryPane).show(self.pane.mode)
        if not self.context.preferences.speaking:
            threading.Thread(target=self._preload, name="preload", daemon=True).start()
        elif self.left.state is None:
            self.began_unasked = True
            self.pane.start(self.prompt.text)
            self.show_status()

    def _preload(self) -> None:
        with suppress(Exception):  # the first start will report it
            self._loader.preload()

    def on_screen_suspend(self) -> None:
        """Pause while another screen or a dialog is open, but for the one that looks inside the model meanwhile."""
        if self.app.current_mode != "inspect":
            self.speech.hold()

    def on_screen_resume(self) -> None:
        """Go on with what was paused."""
        self.speech.let_go()

    def on_resize(self) -> None:
        """Say what is written in the prompt, where there is room."""
        self.set_class(self.app.size.width < _TINY, "tiny")
        self.call_after_refresh(self._show_label)

    def _show_label(self) -> None:
        self.notice.fit()
        label = escape_line(self.scene.scene.user_part) if self.pane is self.scene else "Opening line"
        self.query_one(PromptBar).show_label(label if len(label) <= _LONGEST_LABEL else "Your line")

    # The pane on show

    def _show_pane(self, pane: GenerationPane) -> None:
        self.pane = pane
        for other in (self.duel, self.scene):
            self.set_class(other is pane, other.mode)
        self.remove_class("comparing")
        self.notice.show("")
        self.focus_text()
        self._show_label()
        self.refresh_controls()
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
                text.resume(extend=False)
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
            self.pane.start(self.use_prompt())
        self.notice.show("Knobs, presets and c act on the framed text; ← and → choose it.", stays=True)

    def action_select(self, step: int) -> None:
        """Select a text of the duel, or a speech of the scene."""
        self.pane.select(step)
        self.refresh_controls()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Select the text that was clicked; name the part whose line is written."""
        if event.widget is self.line:
            self._show_label()  # the parts may have changed
        for text in self.pane.texts:
            if event.widget is text.transcript and text is not self.pane.current:
                self.pane.current = text
                self.refresh_controls()

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

    def use_prompt(self) -> str:
        """Return the prompt, and clear the notice: text is about to come."""
        self.notice.show("")
        self._remember_speaking(speaking=True)
        return self.prompt.text

    def _remember_speaking(self, *, speaking: bool) -> None:
        if speaking != self.context.preferences.speaking:
            self.context.remember(speaking=speaking)

    def action_generate(self) -> None:
        """Generate from the prompt, or go on; in a scene, ask for the user's line."""
        prompt = self.use_prompt()
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
            self.use_prompt()
            for text in self.pane.texts:
                text.resume()

    def action_again(self) -> None:
        """Generate again with the same seed."""
        self.pane.again(self.use_prompt())

    def action_new_seed(self) -> None:
        """Generate again with a new seed."""
        self.apply(replace(self.pane.current.settings, seed=self.choose_seed()))
        self.action_again()

    def action_edit(self) -> None:
        """Write in the prompt, or the user's line."""
        field = self.query_one(PromptBar).focus_field()
        if field is self.prompt and field.value and not self.notice.has_class("error"):
            self.notice.show("Type another opening line, or change this one after an arrow key. ⏎ speaks.")

    def on_input_submitted(self, message: PromptField.Submitted) -> None:
        """Generate from the prompt; in a scene, add the line."""
        message.stop()
        prompt = self.use_prompt()
        if message.input is self.line:
            self.pane.start(self.line.text)
        else:
            self.pane.start(prompt)
            self.focus_text()

    @on(PromptField.Left)
    @on(NextCharacter.Left)
    def leave_field(self) -> None:
        """Give the keys back to the screen."""
        self.focus_text()

    def on_input_changed(self) -> None:
        """Drop a notice about the prompt as it was."""
        if self.notice.has_class("error"):
            self.notice.show("")

    # Showing

    def on_text_pane_changed(self, message: TextPane.Changed) -> None:
        """Show the state of a text; figures that change at every frame are shown less often."""
        message.stop()
        text = message.pane
        if text in self.pane.texts:
            if text.state is GenerationState.FAILED:
                self.notice.show(self._failure(text), error=True)
            elif text.state is not GenerationState.LOADING:
                self._remember_prompt(text.prompt)
        if self.pane is self.duel:
            self.duel.mark_parting()
            self.duel.show_settings()  # the model has its name once it is loaded
        due = not text.busy or time.monotonic() >= self.status_shown_at + STATUS_SECONDS
        if due and text is self.pane.current:
            self.show_status()

    def _failure(self, text: TextPane) -> str:
        """Return why a text failed, and which keys help."""
        if text.unknown is None:
            return text.error
        keys = "i writes another opening line, c chooses another model"
        if self.pane is self.scene:
            keys = "backspace takes the line back, C chooses other parts, c another model"
        return f"This model has never seen {text.unknown.character}: {keys}. It knows {text.unknown.known}."

    def _remember_prompt(self, prompt: str) -> None:
        """Remember a prompt that the model could read."""
        if self.pane is not self.scene and prompt and self.prompt.history[:1] != (prompt,):
            self.prompt.remember(prompt)
            self.context.remember(prompts=self.context.preferences.with_prompt(prompt).prompts)

    def action_clear(self) -> None:
        """Remove the text; what is being generated is stopped."""
        self._remember_speaking(speaking=False)
        self.pane.clear()
        self.notice.show("")
        self.refresh_controls()
