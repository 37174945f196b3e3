"""The part of the generation screen that decides which model speaks."""

from contextlib import suppress

from shakegpt.errors import ShakegptError
from shakegpt.tui.context import AppContext
from shakegpt.tui.dialogs.choose_model import ChooseModelScreen, model_choices
from shakegpt.tui.generation.generation_pane import DuelPane, PromptPane
from shakegpt.tui.generation.generation_thread import GenerationOptions, GenerationState
from shakegpt.tui.generation.model_loader import DEFAULT_MODEL
from shakegpt.tui.generation.speech import GenerationSpeech
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.generation.text_screen import TextScreen
from shakegpt.tui.messages import LIVE, GenerateFrom, RunTrained

_SCENE = "scene"
_HARDLY_BEGUN = 20
"""A text that nobody asked for is dropped if it is no longer than this when another model is to speak."""


class ModelScreen(TextScreen):
    """A screen whose model the user chooses, another screen names, or a training leaves behind."""

    def __init__(self, context: AppContext, single: PromptPane, duel: DuelPane, options: GenerationOptions) -> None:
        super().__init__(context, single, duel, options)
        self.speech = context.speech = GenerationSpeech(self)
        self.began_unasked = False
        """Whether the first text began by itself."""
        self._chosen_model = DEFAULT_MODEL
        """The model that the user has chosen; the default where none was."""
        self._trained_run: str | None = None
        """A run that was trained meanwhile and that was not heard yet."""

    def action_again(self) -> None:
        """Generate again with the same seed."""
        raise NotImplementedError

    def use_model(self, reference: str | None, *, behind: int | None = None) -> None:
        """Generate from another model: at once where text is being generated, else from the next start on.

        ``None`` leaves the model as it is.
        """
        if reference is None:
            return
        current = self.pane.current
        speaking = current.busy or current in self.speech.held or current.state is GenerationState.FAILED
        speaking = speaking or reference.partition("@")[0] == self._trained_run
        changed = reference != current.reference
        current.use_model(reference, behind=behind)
        self._chosen_model, self._trained_run = reference, None
        if self.pane is self.duel:
            self.duel.show_settings()
        self.notice.show("")
        self.refresh_controls()
        if changed and speaking and self.pane.mode != _SCENE:
            self.action_again()

    def on_generate_from(self, message: GenerateFrom) -> None:
        """Generate from a model that another screen names."""
        message.stop()
        self.speech.held.clear()
        self._chosen_model, self._trained_run = message.reference, None
        self._put_in_place(message.reference, message.behind)
        if self.pane.mode != _SCENE:
            self.action_again()

    def _put_in_place(self, reference: str, behind: int | None = None) -> None:
        """Have another model speak; a text that nobody asked for and that has hardly begun goes."""
        self.pane.pause()
        if self.began_unasked and self.left.count < _HARDLY_BEGUN:
            self.left.clear()
            self.left.forget_takes()
        self.pane.current.use_model(reference, behind=behind)
        self.refresh_controls()

    def on_run_trained(self, message: RunTrained) -> None:
        """Generate from a run that was trained meanwhile, unless the user is listening or has chosen another model."""
        message.stop()
        run = message.run
        for text in self.query(TextPane):
            if text.reference == LIVE:
                text.use_model(run)  # it is no longer in training
        unchosen = self._chosen_model in (DEFAULT_MODEL, LIVE) or self._chosen_model.partition("@")[0] == run
        if message.here or self.pane is not self.single or not unchosen:
            self._trained_run = run
            self.notice.show(f"{run} is trained: c, then Enter, lets it speak.", stays=True)
            return
        speaking = self.pane.current.busy
        self._put_in_place(run)
        if speaking:
            self.action_again()
        self.notice.show(f"This is {run}, just trained; c chooses another model.", stays=True)

    def action_choose_model(self) -> None:
        """Choose the model; a run that was trained meanwhile is offered first."""
        store = self.context.store
        choices = model_choices(store, live=self.context.own_training is not None)
        current = self._trained_run or self.pane.current.reference
        if current != LIVE:
            with suppress(ShakegptError):  # it is gone: then none is offered
                current = store.find(current or store.default_reference()).reference
        self.app.push_screen(ChooseModelScreen(choices, current), self.use_model)
