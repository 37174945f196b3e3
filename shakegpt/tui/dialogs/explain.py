"""The dialog that explains what is on a screen, one thing at a time."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from shakegpt.tui.dialogs.questions import Dialog


class Explanation(NamedTuple):
    """A few sentences about one thing on a screen."""

    topic: str
    """Such as ``loss`` or ``top_k``: what has the focus or was used last is found by it."""
    title: str
    text: str


class ExplainScreen(Dialog[None]):
    """Shows one explanation; the arrow keys go on to the others of the screen below.

    Args:
        explanations: what there is to explain, at least one.
        index: which to begin with.
    """

    DEFAULT_CSS: ClassVar[str] = """
    ExplainScreen > VerticalScroll { width: 72; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,e,q,enter", "app.pop_screen", "Close", id="explain.close", tooltip="Close this"),
        Binding("right,l,down,j", "turn(1)", "Next", id="explain.next", tooltip="Explain the next thing"),
        Binding("left,h,up,k", "turn(-1)", "Before", id="explain.before", tooltip="Explain the thing before"),
    ]

    def __init__(self, explanations: Sequence[Explanation], index: int = 0) -> None:
        super().__init__()
        self._explanations = explanations
        self.index = index
        """Which explanation is on show."""

    def compose(self) -> ComposeResult:
        """Put the sentences into a box with their subject in its border."""
        with VerticalScroll(can_focus=False):
            yield Static(id="explanation", markup=False)

    def on_mount(self) -> None:
        """Show the first."""
        self.action_turn(0)

    def action_turn(self, by: int) -> None:
        """Show another one; after the last comes the first."""
        self.index = (self.index + by) % len(self._explanations)
        shown, count = self._explanations[self.index], len(self._explanations)
        box = self.query_one(VerticalScroll)
        box.border_title = shown.title
        box.border_subtitle = f"{self.index + 1} of {count} · ←→ more · esc closes" if count > 1 else "esc closes"
        self.query_one("#explanation", Static).update(shown.text)
