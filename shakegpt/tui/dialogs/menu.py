"""The parts that dialogs are made of: a list to choose from, and a row of answers."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Button, OptionList


class Menu(OptionList):
    """A list that vim's keys move in as the arrows do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down", show=False),
        Binding("k", "cursor_up", "Up", show=False),
        Binding("g", "first", "First", show=False),
        Binding("G", "last", "Last", show=False),
    ]


class Answer(NamedTuple):
    """One answer to a question: the letter that gives it, what it says, and the action it runs."""

    key: str
    text: str
    action: str


class Answers(Container):
    """Buttons, one an answer, in a row or, where they are long, one below the other; arrows move between them."""

    DEFAULT_CSS: ClassVar[str] = """
    Answers {
        layout: horizontal;
        height: auto;
        margin-top: 1;
        & Button { margin-right: 2; }
        &.-column { layout: vertical; }
        &.-column Button { width: 1fr; content-align: left middle; text-align: left; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up,h,k", "app.focus_previous", "Before", show=False),
        Binding("right,down,l,j", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, answers: Sequence[Answer], *, column: bool = False) -> None:
        super().__init__(classes="-column" if column else "")
        self._answers = answers

    def compose(self) -> ComposeResult:
        """One button an answer; the letter is that of the binding."""
        for answer in self._answers:
            label = Content.styled(answer.key, "bold underline") + Content(f" {answer.text}")
            yield Button(label, compact=True, action=answer.action)
