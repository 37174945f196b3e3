"""A screen that speaks: a prompt, a page that fills character by character, and knobs to turn meanwhile."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Static

from shakegpt.config import SamplingConfig
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui.context import AppContext
from shakegpt.tui.generation.generation_pane import Passage
from shakegpt.tui.generation.knobs import KNOB, VOICES, next_voice
from shakegpt.tui.generation.knobs_bar import KnobsBar
from shakegpt.tui.generation.model_loader import EngineVoices, Voices
from shakegpt.tui.generation.model_status import VoiceStatus
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.prompt_field import PromptField
from shakegpt.tui.generation.scene_pane import Stage
from shakegpt.tui.widgets.top_bar import TopBar

FIRST_PROMPT = "ROMEO:\n"
DEFAULT_PACE = 100
"""Characters a second: slow enough to read along, and for a knob to be turned in mid-speech."""
PACES = {0: "as fast as it goes", 100: "100 characters a second", 30: "30 characters a second"}
SLOW_REFRESH_SECONDS = 0.5
"""Between two looks at figures that would otherwise change at every frame: they cost bytes and nobody reads them."""


class SpeakingScreen(Screen[None]):
    """Where a model speaks: what the plain page, a scene and a duel have in common.

    Args:
        context: what the app shares with its screens.
        voices: opens models; the engine's where not given.
    """

    DEFAULT_CSS = """
    SpeakingScreen {
        & > #desk { height: 1fr; }
        & #right, & #stage, & NextCharacter { display: none; }
        &.duel #right, &.panel NextCharacter { display: block; }
        &.duel .title { display: block; }
        &.duel .active > .title { color: $primary; text-style: bold; }
        &.duel #right { border-left: vkey $border; }
        &.scene #stage { display: block; }
        &.scene .title { display: none; }
        &.scene #left, &.scene #right { display: none; }
        & > #notice { height: auto; max-height: 4; padding: 0 1; color: $text-muted; display: none; }
        & > #notice.shown { display: block; }
        & > #notice.error { color: $error; }
        & > #asking { height: 1; padding: 0 1; margin-top: 1; }
        & > #asking > #mark { width: auto; color: $primary; text-style: bold; }
        & > #asking > PromptField { width: 1fr; }
        & #line { display: none; }
        &.scene #line { display: block; }
        &.scene #prompt { display: none; }
        &.-short > #asking { margin-top: 0; }
        &.-narrow NextCharacter { width: 26; }
        &.-wide NextCharacter, &.-very-wide NextCharacter { width: 40; }
    }
    """
    AUTO_FOCUS = "#left Transcript"

    class Prepared(Message):
        """The model that speaks when nothing is named is loaded."""

        def __init__(self, reference: str) -> None:
            self.reference = reference
            super().__init__()

    def __init__(self, context: AppContext, voices: Voices | None = None, *, pace: int = DEFAULT_PACE) -> None:
        super().__init__()
        self.context = context
        self._given_voices = voices
        self._pace = pace
        self._started_from: str | None = None
        self._looked_at = 0.0
        self.choose_seed: Callable[[], int] = lambda: random.randrange(1, 100_000)
        """Gives the seed of "again with a new seed"."""

    def compose(self) -> ComposeResult:
        """The page in the middle, the prompt and the knobs below it."""
        preferences = self.context.preferences
        settings = replace(preferences.sampling, stop=())
        voices = self._given_voices or EngineVoices(lambda: self.context.store, self._copy_live)
        self._voices = voices
        self.left = Passage(voices, settings, id="left")
        self.right = Passage(voices, settings, id="right")
        self.stage = Stage(voices, settings, id="stage")
        prompt = preferences.prompts[0] if preferences.prompts else FIRST_PROMPT
        yield TopBar()
        yield VoiceStatus()
        with Horizontal(id="desk"):
            yield self.left
            yield self.right
            yield self.stage
            yield NextCharacter()
        yield Static(id="notice", markup=False)
        with Horizontal(id="asking"):
            yield Static("› ", id="mark", markup=False)
            yield PromptField(prompt, history=preferences.prompts, placeholder="a prompt", id="prompt")
            yield PromptField(placeholder="your line", id="line")
        yield KnobsBar(settings)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin with one voice, and find out who could play in a scene."""
        self.active = self.left
        self.left.add_class("active")
        self._refresh_all()
        self.call_after_refresh(self._prepare)

    def _prepare(self) -> None:
        """Load the first model in good time: torch alone takes a second, and Enter should not."""

        def load() -> None:
            try:
                self.post_message(self.Prepared(self._voices.prepare()))
            except Exception:  # whoever makes it speak is told what is wrong
                return

        threading.Thread(target=load, name="first model", daemon=True).start()

    def on_speaking_screen_prepared(self, message: Prepared) -> None:
        """Name the model that would speak."""
        for passage in (self.left, self.right, self.stage):
            passage.reference = passage.reference or message.reference
            passage.show_title()
        self._look()

    # -- who is spoken to

    @property
    def in_scene(self) -> bool:
        """Whether a scene is played."""
        return self.has_class("scene")

    @property
    def in_duel(self) -> bool:
        """Whether two voices stand side by side."""
        return self.has_class("duel") and not self.in_scene

    @property
    def speaking(self) -> list[Passage]:
        """The passages that orders to speak go to."""
        if self.in_scene:
            return [self.stage]
        return [self.left, self.right] if self.in_duel else [self.left]

    def _activate(self, passage: Passage) -> None:
        self.active = passage
        for other in (self.left, self.right, self.stage):
            other.set_class(other is passage, "active")
        passage.transcript.focus()
        self._refresh_all()

    def on_descendant_focus(self) -> None:
        """A click on one of two voices makes it the one whose knobs turn."""
        for passage in self.speaking:
            if passage is not self.active and self.focused is passage.transcript:
                self._activate(passage)

    # -- speaking

    def action_speak(self) -> None:
        """Speak from the prompt, or go on; in a scene, ask for the user's line."""
        if self.in_scene:
            self.action_edit()
        elif not any(passage.busy for passage in self.speaking):
            if self._started_from != self.prompt.text or self.active.state in (None, "failed"):
                self._start()
            else:
                self._go_on()

    def action_toggle_speaking(self) -> None:
        """Stop where words are on their way; go on where they are not."""
        if any(passage.busy for passage in self.speaking):
            for passage in self.speaking:
                passage.stop()
        elif self.active.state in (None, "failed"):
            self.action_speak()
        else:
            self._go_on()

    def action_again(self) -> None:
        """Speak again with the same seed."""
        if self.in_scene:
            self._prepare_stage()
            self.stage.again()
        else:
            self._start()

    def action_anew(self) -> None:
        """Speak again with a new seed."""
        seed = self.choose_seed()
        for passage in self.speaking:
            passage.turn(replace(passage.settings, seed=seed))
        self._knobs_turned()
        self.action_again()

    def _start(self, *, rest: bool = False) -> None:
        prompt = self.prompt.text
        self._started_from = prompt
        self._remember_prompt(prompt)
        self.say("")
        for passage in self.speaking:
            passage.speak(prompt, rest=rest, watched=self.has_class("panel") or rest, pace=self._pace)
        self._refresh_all()

    def _go_on(self) -> None:
        self.say("")
        for passage in self.speaking:
            passage.go_on()

    def _remember_prompt(self, prompt: str) -> None:
        if prompt and (not self.prompt.history or self.prompt.history[0] != prompt):
            self.prompt.remember(prompt)
            self.context.remember(prompts=self.context.preferences.with_prompt(prompt).prompts)

    def _prepare_stage(self) -> None:
        self.say("")
        self.stage.watched, self.stage.pace = self.has_class("panel"), self._pace

    # -- knobs

    def action_turn(self, field: str, clicks: int) -> None:
        """Turn a knob; the next character is drawn with it."""
        self._set(KNOB[field].turned(self.active.settings, clicks))

    def action_voice(self, clicks: int) -> None:
        """Take the next voice, or the one before."""
        self._set(replace(self.active.settings, **VOICES[next_voice(self.active.settings, clicks)]))

    def action_use_voice(self, name: str) -> None:
        """Take a voice by name."""
        self._set(replace(self.active.settings, **VOICES[name]))

    def action_reset(self) -> None:
        """Put every knob back."""
        self._set(SamplingConfig())

    def _set(self, settings: SamplingConfig) -> None:
        if self.in_duel:  # a duel is fair: one seed and one length for both
            for passage in self.speaking:
                if passage is not self.active:
                    passage.turn(replace(passage.settings, seed=settings.seed, length=settings.length))
        self.active.turn(settings)
        self._knobs_turned()

    def _knobs_turned(self) -> None:
        self.query_one(KnobsBar).show(self.active.settings)
        if self.active is not self.right:
            self.context.remember(sampling=self.active.settings)

    def action_pace(self) -> None:
        """Speak at the next of three paces."""
        paces = list(PACES)
        self._pace = paces[(paces.index(self._pace) + 1) % len(paces)]
        self.stage.pace = self._pace
        for passage in (self.left, self.right, self.stage):
            passage.set_pace(self._pace)
        self.say(f"Speaking {PACES[self._pace]}.")

    # -- the next character

    def action_next_character(self) -> None:
        """Show or hide the panel."""
        self.toggle_class("panel")
        shown = self.has_class("panel")
        if not shown and isinstance(self.focused, NextCharacter):
            self.active.transcript.focus()
        self._watch_next(watched=shown)

    def _watch_next(self, *, watched: bool) -> None:
        self.stage.watched = watched
        for passage in (self.left, self.right, self.stage):
            passage.watch_next(watched=watched)
        self._look()

    def action_freeze(self) -> None:
        """Stop and pick characters by hand; or let go, without drawing."""
        panel = self.query_one(NextCharacter)
        if panel.has_focus:
            self.active.transcript.focus()
            return
        self.add_class("panel")
        panel.focus()
        if self.active.state in (None, "failed") and not self.in_scene:
            self._start(rest=True)
            return
        for passage in self.speaking:
            passage.stop()
        self._watch_next(watched=True)

    def action_draw_one(self) -> None:
        """Draw one character, and stop."""
        if self.active.state in (None, "failed"):
            if not self.in_scene:
                self._start(rest=True)
                self._step(None)
            return
        self._step(None)

    def _step(self, choice: str | None) -> None:
        if choice is None:
            for passage in self.speaking:
                passage.step()
        else:
            self.active.step(choice)

    def on_next_character_taken(self, message: NextCharacter.Taken) -> None:
        """Let the character that was picked come next."""
        self._step(message.character)

    def on_next_character_left(self) -> None:
        """Give the keys back to the page."""
        self.active.transcript.focus()

    def action_tint(self) -> None:
        """Colour characters by surprise, or not."""
        tint = not self.active.transcript.tint
        for passage in (self.left, self.right, self.stage):
            passage.set_tint(tint=tint)
        self._refresh_all()

    # -- the prompt and the line

    @property
    def prompt(self) -> PromptField:
        """The field of the prompt."""
        return self.query_one("#prompt", PromptField)

    @property
    def line(self) -> PromptField:
        """The field of the user's line in a scene."""
        return self.query_one("#line", PromptField)

    def action_edit(self) -> None:
        """Write in the prompt, or one's line."""
        (self.line if self.in_scene else self.prompt).focus()

    def on_prompt_field_left(self) -> None:
        """Give the keys back to the page."""
        self.active.transcript.focus()

    # -- showing

    def show(self, snapshot: Snapshot) -> None:
        """Show how the training stands, in the bar at the top."""
        self.query_one(TopBar).show(snapshot)

    def say(self, sentence: str, *, error: bool = False) -> None:
        """Show one sentence above the prompt, until the next one."""
        notice = self.query_one("#notice", Static)
        notice.update(escape_line(sentence))
        notice.set_class(bool(sentence), "shown")
        notice.set_class(error, "error")

    def on_passage_changed(self, message: Passage.Changed) -> None:
        """Show what has come of an order; figures that change at every frame wait for their turn."""
        message.stop()
        news, passage = message.news, message.passage
        if news.state == "failed" and passage in self.speaking:
            self.say(news.error, error=True)
        if passage is not self.active:
            passage.show_title()
            return
        now = time.monotonic()
        if news.state != "speaking" or now - self._looked_at >= SLOW_REFRESH_SECONDS:
            self._looked_at = now
            self._look()

    def _look(self) -> None:
        modes = [name for name in ("scene", "duel") if getattr(self, f"in_{name}")]
        if self.active.transcript.tint:
            modes.append("surprise")
        self.query_one(VoiceStatus).show(self.active, tuple(modes))
        self.context.loaded_checkpoint = self.active.model.model if self.active.model else None
        if self.has_class("panel"):
            self.query_one(NextCharacter).show(self.active.outlook)

    def _refresh_all(self) -> None:
        self.query_one(KnobsBar).show(self.active.settings)
        self._look()

    # -- the engine

    def _copy_live(self) -> Any:
        training = self.context.own_training
        return training.copy_model() if training is not None else None
