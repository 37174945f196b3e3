"""The list of takes, and the pane in which one of them stands beside the text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from shakegpt.system.text import escape_line
from shakegpt.tui.generation.takes import Take
from shakegpt.tui.generation.transcript import TextKind, Transcript, shown_length


class TakesPane(OptionList):
    """The texts so far, newest first; the highlighted one is shown beside the text."""

    DEFAULT_CSS: ClassVar[str] = """
    TakesPane, TakesPane:focus {
        height: 1fr; background: $background; background-tint: transparent; scrollbar-size-vertical: 0;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "cursor_up", "Up", show=False, id="takes.up", tooltip="The take after this one"),
        Binding("j", "cursor_down", "Down", show=False, id="takes.down", tooltip="The take before this one"),
        Binding("escape", "leave", "Done", id="takes.leave", tooltip="Leave the takes"),
    ]

    @dataclass
    class Highlighted(Message):
        """A take is to be shown beside the text; ``None`` where it is the text itself."""

        take: Take | None

    class Left(Message):
        """The user is done with the takes."""

    def __init__(self) -> None:
        super().__init__(classes="pane", markup=False)
        self.border_title = "Takes"
        self.border_subtitle = "tab, then ↑ ↓ compares"
        self._takes: list[Take] = []
        self._listed: list[str] = []

    def show(self, takes: Sequence[Take], current: Take) -> None:
        """Show the takes, oldest first, and the text of the moment."""
        listed = [current, *reversed(takes)] if current.number else []
        with_model = len({take.model for take in listed}) > 1
        lines = [escape_line(take.summary(with_model=with_model)) for take in listed]
        if [take.number for take in listed] != [take.number for take in self._takes] or lines[1:] != self._listed[1:]:
            marked = self.highlighted_option
            self.clear_options()
            self.add_options(
                Option(Content(line), id=f"take-{take.number}") for take, line in zip(listed, lines, strict=True)
            )
            if marked is not None and marked.id is not None and self._take(marked.id, listed) is not None:
                self.highlighted = self.get_option_index(marked.id)
        elif lines[:1] != self._listed[:1]:
            self.replace_option_prompt_at_index(0, Content(lines[0]))
        self._takes, self._listed = listed, lines

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Have the take shown."""
        event.stop()
        take = self._take(event.option_id or "", self._takes)  # by its number: the list may have grown since
        if self.has_focus and take is not None:
            self.post_message(self.Highlighted(None if take is self._takes[0] else take))

    @staticmethod
    def _take(identity: str, takes: Sequence[Take]) -> Take | None:
        return next((take for take in takes if f"take-{take.number}" == identity), None)

    def on_focus(self) -> None:
        """Begin with the text of the moment."""
        self.highlighted = 0 if self._takes else None

    def action_leave(self) -> None:
        """Give the keys back to the screen."""
        self.post_message(self.Left())


class TakePane(Vertical):
    """A take of before, beside the text of the moment."""

    DEFAULT_CSS: ClassVar[str] = "TakePane { width: 1fr; padding: 0 !important; }"

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.transcript = Transcript()

    def compose(self) -> ComposeResult:
        """The transcript."""
        yield self.transcript

    def show(self, take: Take, parting: int | None, *, with_model: bool) -> None:
        """Show a take, with its model in the title where that is another one, and mark its character ``parting``."""
        self.border_title = Content(f"Take {escape_line(take.summary(with_model=with_model))}")
        self.transcript.clear()
        self.transcript.write(take.prompt, TextKind.PROMPT)
        start = len(self.transcript)
        self.transcript.write(take.text)
        self.transcript.parting = None if parting is None else start + shown_length(take.text[:parting])
        self.transcript.action_scroll_home()
