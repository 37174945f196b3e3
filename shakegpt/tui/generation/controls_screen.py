"""The half of the generation screen that turns knobs and shows what comes of it."""

import time
from dataclasses import replace

from textual.screen import Screen

from shakegpt.config import SamplingConfig
from shakegpt.inspection.head import WITHOUT_HEAD
from shakegpt.tui.context import AppContext, LoadedModel
from shakegpt.tui.generation.generation_pane import DuelPane, GenerationPane, PromptPane
from shakegpt.tui.generation.generation_thread import FRAME_SECONDS, TINTED_FRAME_SECONDS, GenerationOptions
from shakegpt.tui.generation.knobs import (
    KNOBS_BY_FIELD,
    PRESET_EXPLANATIONS,
    SAMPLING_PRESETS,
    SPEEDS,
    Knob,
    next_preset,
    next_speed,
)
from shakegpt.tui.generation.knobs_bar import KnobsBar
from shakegpt.tui.generation.model_status import ModelStatus, NoticeLine
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.side_column import SideColumn
from shakegpt.tui.generation.takes import parting
from shakegpt.tui.generation.takes_pane import TakePane, TakesPane
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.preferences import DEFAULT_SAMPLING
from shakegpt.tui.widgets.top_bar import TopBar


class ControlsScreen(Screen[None]):
    """A screen with knobs, odds, tint and takes. What they act on is the pane on show, which a subclass changes."""

    def __init__(self, context: AppContext, single: PromptPane, duel: DuelPane, options: GenerationOptions) -> None:
        super().__init__()
        self.context = context
        self.single, self.duel = single, duel
        self.left, self.right = duel.texts
        self.notice = NoticeLine()
        self.pane: GenerationPane = single
        """The pane on show."""
        self.options = options
        self.status_shown_at = 0.0
        self.last_knob = ""
        """The field of the knob that was turned last."""

    def focus_text(self) -> None:
        """Give the keys back to the screen."""
        self.pane.current.transcript.focus()

    def use_prompt(self) -> str:
        """Return what the next text begins with."""
        raise NotImplementedError

    # Settings

    def action_turn(self, field: str, clicks: int) -> None:
        """Turn a knob; the next character is drawn with it."""
        self._turn(KNOBS_BY_FIELD[field], clicks)

    def _turn(self, knob: Knob, clicks: int) -> None:
        self.apply(knob.turned(self.pane.current.settings, clicks))
        self.last_knob = knob.field
        self.notice.explain(knob.explanation)

    def on_knobs_bar_turned(self, message: KnobsBar.Turned) -> None:
        """Turn a knob with the mouse."""
        self._turn(message.knob, message.clicks)

    def on_knobs_bar_moved(self, message: KnobsBar.Moved) -> None:
        """Set a slider with the mouse."""
        self.apply(message.knob.at(self.pane.current.settings, message.fraction))
        self.last_knob = message.knob.field
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
        self.show_status()
        if self.pane.current is not self.right:
            self.context.remember(sampling=settings)

    def action_speed(self) -> None:
        """Generate at the next of three speeds."""
        speed = next_speed(self.options.characters_per_second)
        self.options.characters_per_second = speed
        self.context.remember(speed=speed)
        self.notice.show(f"Speed: {SPEEDS[speed]}.")

    def action_tint(self) -> None:
        """Colour characters by surprise, or not."""
        tint = not self.left.transcript.tint
        self.show_tint(tint=tint)
        self.context.remember(tint=tint)

    def show_tint(self, *, tint: bool) -> None:
        """Colour characters by surprise, or not."""
        # Coloured text costs more to paint, and is painted less often.
        self.options.frame_seconds = TINTED_FRAME_SECONDS if tint else FRAME_SECONDS
        for text in self.query(TextPane):
            text.show_tint(tint=tint)

    # The next character

    def action_show_next(self) -> None:
        """Show or hide the panel."""
        if isinstance(self.focused, NextCharacter):
            self.focus_text()
        shown = not self.has_class("next")
        self.show_next_character(shown=shown)
        self.context.remember(odds=shown)

    def show_next_character(self, *, shown: bool) -> None:
        """Show the odds of the next character and what stands below them, or not."""
        self.set_class(shown, "next")
        self.options.show_next = shown
        for text in self.query(TextPane):
            text.refresh_next()
        self.show_status()

    def action_freeze(self) -> None:
        """Pause, and choose characters by hand; or let go, without drawing."""
        if isinstance(self.focused, NextCharacter):
            self.focus_text()
        else:
            self.show_next_character(shown=True)
            self.query_one(NextCharacter).focus()
            self.pane.freeze(self.use_prompt())

    def action_step(self) -> None:
        """Draw one character, and pause."""
        self.pane.freeze(self.use_prompt())
        for text in self.pane.texts:
            text.step()

    def on_next_character_chosen(self, message: NextCharacter.Chosen) -> None:
        """Let the character that was chosen come next."""
        self.pane.current.step(message.character)
        if self.pane.current.busy:  # it was chosen further back, and the text goes on from there
            self.focus_text()

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
            self.query_one(TakePane).show(take, index, with_model=take.model != text.take.model)

    def on_takes_pane_left(self) -> None:
        """Take the take away again."""
        self.remove_class("comparing")
        self.left.transcript.parting = None
        self.focus_text()

    # Showing

    def show_status(self) -> None:
        """Show how the text is going, and what its model chooses between."""
        self.status_shown_at = time.monotonic()
        current = self.pane.current
        self.query_one(ModelStatus).show(current)
        model = current.model
        self.context.loaded_checkpoint = model.name.partition(WITHOUT_HEAD)[0] if model else None
        if model is not None:
            self.context.loaded_model = LoadedModel(model.name, model.parameters, model.val_loss)
        self.query_one(TopBar).show()
        if self.has_class("next"):
            self.query_one(SideColumn).show(current)

    def refresh_controls(self) -> None:
        """Show the settings of the selected text, and frame it."""
        for text in self.pane.texts:
            text.set_class(text is self.pane.current, "selected")
        self.query_one(KnobsBar).show(self.pane.current.settings)
        self.show_status()
