"""Small questions in front of a screen: yes or no, one line of text, and what to do with a run when leaving."""

from collections.abc import Callable
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

Leaving = Literal["headless", "stop"]

_BOX = """
    align: center middle;
    & > Vertical {
        width: 64;
        max-width: 100%;
        height: auto;
        padding: 1 2;
        border: round $primary;
        background: $surface;
    }
    & .hint { color: $text-muted; margin-top: 1; }
"""


class ConfirmScreen(ModalScreen[bool]):
    """Asks before something that cannot be taken back. The answer is no unless ``y`` is pressed."""

    DEFAULT_CSS: ClassVar[str] = f"ConfirmScreen {{ {_BOX} & > Vertical {{ border: round $error; }} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm.yes", tooltip="Do it"),
        Binding("n,escape,enter", "answer(False)", "No", id="confirm.no", tooltip="Leave things as they are"),
    ]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__()
        self._question = question
        self._yes = yes

    def compose(self) -> ComposeResult:
        """Put the question above the keys that answer it."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Static(f"y {self._yes}   n go back", classes="hint", markup=False)

    def action_answer(self, answer: bool) -> None:
        """Answer and close."""
        self.dismiss(answer)


class PromptScreen(ModalScreen[str | None]):
    """Asks for one line of text. ``check`` says in a sentence what is wrong with it, or returns nothing."""

    DEFAULT_CSS: ClassVar[str] = f"""
    PromptScreen {{
        {_BOX}
        & Input {{ margin-top: 1; }}
        & #wrong {{ color: $error; height: auto; display: none; }}
        &.-wrong #wrong {{ display: block; }}
    }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Go back", id="prompt.back", tooltip="Leave things as they are"),
    ]

    def __init__(self, question: str, value: str, check: Callable[[str], str | None]) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._check = check

    def compose(self) -> ComposeResult:
        """Put the question above the field."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Input(self._value, select_on_focus=True)
            yield Static(id="wrong", markup=False)
            yield Static("Enter takes it   Esc goes back", classes="hint", markup=False)

    def on_input_changed(self) -> None:
        """Take back a complaint once the text changes."""
        self.remove_class("-wrong")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Close with the text, or say what is wrong with it."""
        value = event.value.strip()
        if complaint := self._check(value):
            self.query_one("#wrong", Static).update(complaint)
            self.add_class("-wrong")
        else:
            self.dismiss(value)


class QuitScreen(ModalScreen[Leaving | None]):
    """Asks whether training goes on without the screen, or is saved and stopped. Going back is ``None``."""

    DEFAULT_CSS: ClassVar[str] = """
    QuitScreen {
        align: center middle;
        & > Vertical {
            width: 58;
            max-width: 100%;
            height: auto;
            padding: 1 2;
            border: round $primary;
            background: $surface;
        }
        & #question { margin-bottom: 1; }
        & OptionList, & OptionList:focus { height: auto; border: none; background: $surface; padding: 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "leave('headless')", "Keep training", id="quit.headless", tooltip="Leave the screen; train on"),
        Binding("s", "leave('stop')", "Save and stop", id="quit.stop", tooltip="Write a checkpoint, then leave"),
        Binding("escape,b", "back", "Go back", id="quit.back", tooltip="Stay here"),
    ]

    def __init__(self, run: str, progress: str) -> None:
        super().__init__()
        self._run = run
        self._progress = progress

    def compose(self) -> ComposeResult:
        """Put the question above its three answers."""
        with Vertical():
            yield Static(f"{self._run} is in training ({self._progress}).", id="question", markup=False)
            yield OptionList(
                Option("k  Keep training without the screen", id="headless"),
                Option("s  Save, stop and leave", id="stop"),
                Option("b  Go back", id="back"),
                markup=False,
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the answer chosen with the arrow keys."""
        match event.option_id:
            case "headless" | "stop" as answer:
                self.dismiss(answer)
            case _:
                self.dismiss(None)

    def action_leave(self, answer: Leaving) -> None:
        """Take an answer by its key."""
        self.dismiss(answer)

    def action_back(self) -> None:
        """Stay."""
        self.dismiss(None)
