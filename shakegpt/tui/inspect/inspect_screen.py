"""The inspect screen: what the model looks at, what each of its layers would say, and who votes for its answer."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from shakegpt.inspection.head import Head
from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui.context import AppContext
from shakegpt.tui.dialogs.choose_model import ChooseModelScreen, model_choices
from shakegpt.tui.generation.model_loader import ModelLoader
from shakegpt.tui.generation.prompt_field import PromptField
from shakegpt.tui.inspect.attention_text import AttentionText
from shakegpt.tui.inspect.bindings import BINDINGS
from shakegpt.tui.inspect.head_measurements import HeadFacts, HeadMeasurements
from shakegpt.tui.inspect.head_strip import HeadStrip
from shakegpt.tui.inspect.inspect_panes import InspectPanes
from shakegpt.tui.inspect.inspection_thread import InspectionThread, Look, View
from shakegpt.tui.inspect.text_source import TextSource, first_source, reference_of, run_of, sample_text, text_of
from shakegpt.tui.messages import LIVE
from shakegpt.tui.widgets.footer import Footer
from shakegpt.tui.widgets.top_bar import TopBar

FRAMES_PER_SECOND = 3
"""How often a text that is generated is looked at: more would be too fast to read, and costs bytes."""


class InspectScreen(Screen[None]):
    """Shows the inside of a model that reads a text, follows a text that is generated, and mutes heads."""

    HELP_TITLE = "Inspect: inside the model"
    HELP = (
        "The tint shows what the marked letter attends to, by one head or by the mean of a block's. Each layer's row "
        "is what the model would say if it ended there. The votes are what each part adds to the answer's logit. A "
        "tall terminal also has bars for how likely each letter was, and what each head does on average: e explains it."
    )
    DEFAULT_CSS = """
    InspectScreen {
        & #side { width: 38; }
        &.-narrow #side { width: 34; } &.-wide #side { width: 58; } &.-very-wide #side { width: 92; }
        &.-tall HeadMap { display: block; }
        & > #typed { height: 1; padding: 0 1; display: none; }
        & > #typed > Static { width: auto; color: $primary; text-style: bold; }
        & > #typed > PromptField { width: 1fr; }
        &.typing > #typed { display: block; }
    }
    """
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [*BINDINGS]

    class Updated(Message):
        """The inspection thread has a view. Posted from that thread."""

    @dataclass
    class Measured(Message):
        """The heads were measured. Posted from the thread that did it."""

        facts: HeadFacts

    def __init__(self, context: AppContext, loader: ModelLoader) -> None:
        super().__init__()
        self.context = context
        self.view: View | None = None
        """What is on show."""
        self.facts: HeadFacts | None = None
        self.head: Head = (0, 0)
        """The marked head."""
        self.mean = False
        """Whether the mean over the heads of its block is shown."""
        self.position: int | None = None
        """The index in the text of the marked character; ``None`` follows the newest."""
        self.source = first_source(context)
        self._source_chosen = False
        self._chosen: str | None = None  # a model chosen by hand
        self._typed = ""
        self._text = ""
        self._snapshot: Snapshot | None = None
        self._edition = 0
        self._asked: Look | None = None
        self._measured: object = None
        self._thread = InspectionThread(loader, lambda: self.post_message(self.Updated()))
        self._measurements = HeadMeasurements(context.store, lambda facts: self.post_message(self.Measured(facts)))
        self.panes = InspectPanes()
        self.field = PromptField(placeholder="a text to look at", id="text-field")

    def compose(self) -> ComposeResult:
        """The text, beside it the lens and the votes, and the heads below."""
        yield TopBar(self.context)
        yield self.panes
        with Horizontal(id="typed"):
            yield Static("Text › ", markup=False)
            yield self.field
        yield Footer()

    def on_mount(self) -> None:
        """Start the threads after the first paint: importing torch takes a second."""
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._thread.start()
        self._measurements.start()
        self._look()
        self.set_interval(1 / FRAMES_PER_SECOND, self._follow)

    def on_unmount(self) -> None:
        """End the threads."""
        self._thread.close()
        self._measurements.close()

    def on_resize(self) -> None:
        """Leave out what there is no room for, and draw for the new size."""
        self.panes.fit()
        self.call_after_refresh(self._paint)

    def on_screen_resume(self) -> None:
        """Let the text go on that is looked at, and look at what has changed meanwhile."""
        if not self._source_chosen and self._chosen is None:
            self.source = first_source(self.context)
        if self.source is TextSource.SPEECH and self.context.speech is not None:
            self.context.speech.let_go()
        if self._asked is not None:
            self._look()

    def on_screen_suspend(self) -> None:
        """Stop what is generated, unless its own screen is next or only a dialog is open."""
        if self.app.current_mode not in ("inspect", "generation") and self.context.speech is not None:
            self.context.speech.hold()

    # What to look at

    def _reference(self) -> str:
        return self._chosen if self._chosen is not None else reference_of(self.source, self.context)

    def show(self, snapshot: Snapshot) -> None:
        """Look at the newest weights of a run, at each evaluation."""
        before, self._snapshot = self._snapshot, snapshot
        evaluated = before is None or len(before.validation) != len(snapshot.validation)
        if self._asked is not None and (evaluated or before is None or before.samples != snapshot.samples):
            self._edition += evaluated
            self._look()

    def _follow(self) -> None:
        """Look at a text that has grown, and see in the top bar whether its model is another one."""
        if self.app.screen is not self:
            return
        self.query_one(TopBar).show()
        if self.source is TextSource.SPEECH and text_of(self.source, self.context, self._typed) != self._text:
            self._look()

    def _look(self) -> None:
        """Ask for what the user wants to look at."""
        text = text_of(self.source, self.context, self._typed)
        if self.position is not None and text[: self.position + 1] != self._text[: self.position + 1]:
            self.position = None  # another text
        self._text = text
        position = -1 if self.position is None else min(self.position, len(text) - 1)
        reference = self._reference()
        renewed = reference == LIVE or reference.endswith("@last")
        look = Look(reference, text, self.context.muted_heads, position, self._edition if renewed else 0)
        if look != self._asked:
            self._asked = look
            self._thread.look(look)

    def on_inspect_screen_updated(self) -> None:
        """Show what was found."""
        view = self._thread.collect()
        if view is None:
            return
        if view.trace is None:
            self.view = None
            self.panes.fail(view.error)
            return
        self.view = view
        layers, heads = view.trace.attention.shape[:2]
        self.head = (min(self.head[0], layers - 1), min(self.head[1], heads - 1))
        self._measure()
        self._paint()

    def _measure(self) -> None:
        """Ask for the scores of the heads, and for what the muted ones cost."""
        view = self.view
        if view is None or view.model is None or view.trace is None:
            return
        muted = frozenset(view.trace.muted)
        if self._measured != (view.model, muted):
            self._measured = (view.model, muted)
            self._measurements.measure(view.model, run_of(view.look.reference, self.context), muted)

    def on_inspect_screen_measured(self, message: Measured) -> None:
        """Show what was measured."""
        self.facts = message.facts
        self._paint_heads()

    # Showing

    def _shown_position(self, view: View) -> int:
        """Return where the mark is, which moves before the thread has an answer."""
        if view.trace is None or self.position is None or view.look.text != self._text:
            return view.position
        return max(0, min(self.position - view.trace.skipped, len(view.trace.text) - 1))

    def _paint(self) -> None:
        view = self.view
        if view is None or view.trace is None or not self.is_mounted:
            return
        self.panes.show(view, self._shown_position(view), self.head, mean=self.mean)
        self._paint_heads()

    def _paint_heads(self) -> None:
        view = self.view
        if view is None or view.trace is None:
            return
        position = self._shown_position(view)
        self.panes.show_heads(view, position, self.head, self.known_facts, self.source, mean=self.mean)

    @property
    def known_facts(self) -> HeadFacts | None:
        """What was measured on the heads of the model on show, or on those of its run's weights before."""
        facts, model = self.facts, self.view.model if self.view is not None else None
        return facts if facts is not None and model is not None and facts.model.name == model.name else None

    # Keys

    def action_move(self, step: int) -> None:
        """Mark another character of the window; past the last one, follow the text."""
        view = self.view
        if view is None or view.trace is None:
            return
        last = view.trace.skipped + len(view.trace.text) - 1
        position = (self._shown_position(view) + view.trace.skipped) + step
        self._mark(None if position > last else max(view.trace.skipped, position))

    def action_first(self) -> None:
        """Mark the first character of the window."""
        if self.view is not None and self.view.trace is not None:
            self._mark(self.view.trace.skipped)

    def action_last(self) -> None:
        """Mark the newest character, and follow."""
        self._mark(None)

    @on(AttentionText.Marked)
    def mark_clicked(self, message: AttentionText.Marked) -> None:
        """Mark the character that was clicked."""
        self._mark(message.position)

    def _mark(self, position: int | None) -> None:
        self.position = position
        self._paint()
        self.call_after_refresh(self._look)  # until it is painted, the thread would compete for the interpreter

    def action_turn(self, step: int) -> None:
        """Mark another head; with the mean, another block."""
        if self.view is None or self.view.trace is None:
            return
        layers, heads = self.view.trace.attention.shape[:2]
        if self.mean:
            self._mark_head(((self.head[0] + step) % layers, self.head[1]))
        else:
            index = (self.head[0] * heads + self.head[1] + step) % (layers * heads)
            self._mark_head(divmod(index, heads))

    @on(HeadStrip.Marked)
    def mark_clicked_head(self, message: HeadStrip.Marked) -> None:
        """Mark the head that was clicked."""
        self.mean = False
        self._mark_head(message.head)

    def _mark_head(self, head: Head) -> None:
        self.head = head
        self._paint()

    def action_mean(self) -> None:
        """Show the mean over the block's heads, or one head again."""
        self.mean = not self.mean
        self._paint()

    def action_mute(self) -> None:
        """Mute the marked head, or unmute it; what is generated goes on so."""
        if self.view is not None and not self.mean:
            self._mute(self.context.muted_heads ^ {self.head})

    def action_unmute(self) -> None:
        """Use all heads again."""
        if self.context.muted_heads:
            self._mute(frozenset())

    def _mute(self, heads: frozenset[Head]) -> None:
        self.context.muted_heads = heads
        if self.context.speech is not None:
            self.context.speech.use_muted_heads()
        self._look()

    def action_source(self) -> None:
        """Look at the next of the texts that there are."""
        there = [TextSource.SPEECH]
        there += [TextSource.SAMPLE] * (sample_text(self.context) is not None) + [TextSource.TYPED] * bool(self._typed)
        self._use_source(there[(there.index(self.source) + 1) % len(there)] if self.source in there else there[0])

    def _use_source(self, source: TextSource, *, chosen: bool = True) -> None:
        self.source, self.position, self._chosen, self._source_chosen = source, None, None, chosen
        self._look()

    def action_edit(self) -> None:
        """Write a text."""
        self.add_class("typing")
        self.field.focus()

    def on_input_submitted(self, message: PromptField.Submitted) -> None:
        """Look at the text that was written; with none, at what there was before."""
        message.stop()
        self._typed = self.field.text
        if self._typed:
            chosen = self._reference()
            self._use_source(TextSource.TYPED)
            self._chosen = chosen
            self._look()
        else:
            self._use_source(first_source(self.context), chosen=False)
        self.leave_field()

    @on(PromptField.Left)
    def leave_field(self) -> None:
        """Give the keys back to the screen."""
        self.set_focus(None)
        self.remove_class("typing")

    def action_choose_model(self) -> None:
        """Choose the model to look into."""
        choices = model_choices(self.context.store, live=self.context.own_training is not None)
        self.app.push_screen(ChooseModelScreen(choices, self._reference()), self._use_model)

    def _use_model(self, reference: str | None) -> None:
        if reference is not None:
            self._chosen = reference
            self._look()

    def action_toggle_speaking(self) -> None:
        """Stop what is generated, or go on."""
        if self.context.speech is not None:
            self.context.speech.toggle()
