"""The box that every dialog has, and the small ones: yes or no, a line of text, what to do with a run when quitting."""

from collections.abc import Callable
from typing import ClassVar, Literal, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from shakegpt.errors import ShakegptError

Result = TypeVar("Result")
QuitChoice = Literal["headless", "stop"]


class Dialog(ModalScreen[Result]):
    """A box in the middle of the screen below."""

    DEFAULT_CSS: ClassVar[str] = """
    Dialog {
        align: center middle;
        & > Vertical, & > VerticalScroll {
            width: 64;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            padding: 1 2;
            border: round $primary;
            border-title-color: $primary;
            border-subtitle-color: $text-muted;
            background: $surface;
        }
        & OptionList, & OptionList:focus { height: auto; border: none; background: $surface; padding: 0; }
        & .keys { color: $text-muted; margin-top: 1; }
    }
    """


class ConfirmScreen(Dialog[bool]):
    """Asks before something that cannot be undone. The answer is no unless ``y`` is pressed."""

    DEFAULT_CSS: ClassVar[str] = "ConfirmScreen > Vertical { border: round $error; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", id="confirm.yes", tooltip="Do it"),
        Binding("n,escape,enter", "dismiss(False)", "No", id="confirm.no", tooltip="Change nothing"),
    ]

    def __init__(self, question: str, action: str) -> None:
        super().__init__()
        self._question = question
        self._action = action

    def compose(self) -> ComposeResult:
        """Put the question above the keys that answer it."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Static(f"y {self._action}   n go back", classes="keys", markup=False)


class PromptScreen(Dialog[str | None]):
    """Asks for one line of text; ``None`` where the user goes back.

    Args:
        question: what is asked.
        value: the text to begin with.
        check: raises ``ShakegptError`` or ``ValueError`` where a text cannot be accepted; the message says why.
    """

    DEFAULT_CSS: ClassVar[str] = """
    PromptScreen {
        & Input { margin-top: 1; }
        & #error { color: $error; height: auto; display: none; }
        &.-error #error { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Go back", id="prompt.back", tooltip="Change nothing"),
    ]

    def __init__(self, question: str, value: str, check: Callable[[str], object]) -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._check = check

    def compose(self) -> ComposeResult:
        """Put the question above the field."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Input(self._value, select_on_focus=True)
            yield Static(id="error", markup=False)
            yield Static("Enter accepts   Esc goes back", classes="keys", markup=False)

    def on_input_changed(self) -> None:
        """Hide the error once the text changes."""
        self.remove_class("-error")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the text, or show what is wrong with it."""
        value = event.value.strip()
        try:
            self._check(value)
        except (ShakegptError, ValueError) as error:
            self.query_one("#error", Static).update(str(error))
            self.add_class("-error")
        else:
            self.dismiss(value)


class QuitScreen(Dialog[QuitChoice | None]):
    """Asks whether training goes on without the screen, or is saved and stopped; ``None`` where the user goes back."""

    DEFAULT_CSS: ClassVar[str] = """
    QuitScreen {
        & > Vertical { width: 58; }
        & #question { margin-bottom: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "dismiss('headless')", "Keep training", id="quit.headless", tooltip="Quit; train on"),
        Binding("s", "dismiss('stop')", "Save and stop", id="quit.stop", tooltip="Write a checkpoint, then quit"),
        Binding("escape,b", "dismiss(None)", "Go back", id="quit.back", tooltip="Stay here"),
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
                Option("s  Save, stop and quit", id="stop"),
                Option("b  Go back", id="back"),
                markup=False,
            )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the answer chosen with the arrow keys."""
        match event.option_id:
            case "headless" | "stop" as choice:
                self.dismiss(choice)
            case _:
                self.dismiss(None)
