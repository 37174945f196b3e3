"""The column beside the text: the odds of the next character, and what else there is room for."""

from textual.app import ComposeResult
from textual.containers import Vertical

from shakegpt.tui.context import AppContext
from shakegpt.tui.generation.branches_pane import BranchesPane
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.surprise_strip import SurpriseStrip
from shakegpt.tui.generation.takes_pane import TakesPane
from shakegpt.tui.generation.text_pane import TextPane
from shakegpt.tui.generation.try_pane import TryPane


class SideColumn(Vertical):
    """The odds; in a large terminal also branches, what to try and takes, in a very large one the last surprises.

    Args:
        context: what the screens share.
    """

    DEFAULT_CSS = """
    SideColumn {
        width: 32;
        & BranchesPane, & TryPane, & TakesPane, & SurpriseStrip { display: none; }
    }
    """

    def __init__(self, context: AppContext) -> None:
        super().__init__()
        self._app_context = context

    def compose(self) -> ComposeResult:
        """The odds at the top, the takes in what room is left."""
        yield NextCharacter()
        yield BranchesPane()
        yield TryPane(self._app_context)
        yield SurpriseStrip()
        yield TakesPane()

    def show(self, text: TextPane) -> None:
        """Show what there is to see of a text."""
        self.query_one(NextCharacter).show(text.next_character)
        if (strip := self.query_one(SurpriseStrip)).display:
            strip.show(text.recent)
        if (takes := self.query_one(TakesPane)).display:
            takes.show(tuple(text.takes), text.take)
