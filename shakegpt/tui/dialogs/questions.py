"""The box that every dialog has, and the small ones: yes or no, a line of text, what to do with a run when quitting."""

from collections.abc import Callable
from typing import ClassVar, Literal, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from shakegpt.errors import ShakegptError
from shakegpt.tui.dialogs.menu import Answer, Answers
from shakegpt.tui.painting import add_size_classes

Result = TypeVar("Result")
QuitChoice = Literal["headless", "stop"]


class Dialog(ModalScreen[Result]):
    """A box in the middle of the screen below.

    Its title stands in the border above, and at the right of the border below what Enter and Esc do.
    """

    DEFAULT_CSS: ClassVar[str] = """
    Dialog {
        align: center middle;
        & > Vertical, & > VerticalScroll, & > HelpText {
            width: 64;
            max-width: 100%;
            height: auto;
            max-height: 100%;
            padding: 1 2;
            border: round $primary;
            border-title-color: $primary;
            border-title-style: bold;
            border-subtitle-color: $text-muted;
            background: $surface;
        }
        &.-short > Vertical, &.-short > VerticalScroll { padding: 0 1; }
        & OptionList, & OptionList:focus { height: auto; border: none; background: $surface; padding: 0; }
        & Input, & Input:focus { border: none; height: 1; padding: 0 1; background: $panel; }
        & Button { color: $foreground; background: $panel; text-style: none; }
        & Button:focus, & Button.-textual-compact:focus {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: bold;
        }
        & .keys { color: $text-muted; margin-top: 1; }
    }
    """

    async def _compose(self) -> None:
        """Set the classes of the terminal's size first."""
        add_size_classes(self)
        await super()._compose()

    def take_early_key(self, event: events.Key) -> bool:  # noqa: ARG002
        """Take a key that was pressed while the dialog opened, and that nothing else wants; return whether it did."""
        return False


class ConfirmScreen(Dialog[bool]):
    """Asks before something that cannot be undone. Only the letter or the button of the action does it.

    Args:
        question: what is asked, naming the run and whose it is.
        action: the action in a few words, such as "stop it", which stand on its button.
        title: the title of the box; the action where there is none.
    """

    DEFAULT_CSS: ClassVar[str] = """
    ConfirmScreen > Vertical { border: round $error; border-title-color: $error; }
    """
    AUTO_FOCUS = "Answers Button:last-child"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Yes", id="confirm.yes", tooltip="Do it"),
        Binding("n,escape", "dismiss(False)", "No", id="confirm.no", tooltip="Change nothing"),
    ]

    def __init__(self, question: str, action: str, title: str = "") -> None:
        super().__init__()
        self._question = question
        self._action = action
        self._title = title or f"{action[:1].upper()}{action[1:]}?"

    def compose(self) -> ComposeResult:
        """Put the question above its two answers; going back is the one that Enter gives."""
        with Vertical() as box:
            box.border_title, box.border_subtitle = self._title, "esc goes back"
            yield Static(self._question, markup=False)
            yield Answers(
                [
                    Answer("y", f"yes, {self._action}", "screen.dismiss(True)"),
                    Answer("n", "no, go back", "screen.dismiss(False)"),
                ]
            )


class PromptScreen(Dialog[str | None]):
    """Asks for one line of text; ``None`` where the user goes back.

    Args:
        question: what is asked.
        value: the text to begin with.
        check: raises ``ShakegptError`` or ``ValueError`` where a text cannot be accepted; the message says why.
        title: the title of the box.
    """

    DEFAULT_CSS: ClassVar[str] = """
    PromptScreen {
        & Input { margin-top: 1; }
        & #error { color: $error; height: auto; display: none; margin-top: 1; }
        &.-error #error { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Go back", id="prompt.back", tooltip="Change nothing"),
    ]

    def __init__(self, question: str, value: str, check: Callable[[str], object], title: str = "") -> None:
        super().__init__()
        self._question = question
        self._value = value
        self._check = check
        self._title = title

    def compose(self) -> ComposeResult:
        """Put the question above the field."""
        with Vertical() as box:
            box.border_title, box.border_subtitle = self._title, "enter accepts · esc goes back"
            yield Static(self._question, markup=False)
            yield Input(self._value, select_on_focus=True)
            yield Static(id="error", markup=False)

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

    DEFAULT_CSS: ClassVar[str] = "QuitScreen > Vertical { width: 58; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "dismiss('headless')", "Train on", id="quit.headless", tooltip="Quit; the run trains on"),
        Binding("s", "dismiss('stop')", "Save and stop", id="quit.stop", tooltip="Write a checkpoint, then quit"),
        Binding("escape,b", "dismiss(None)", "Go back", id="quit.back", tooltip="Stay here"),
    ]

    def __init__(self, run: str, progress: str) -> None:
        super().__init__()
        self._run = run
        self._progress = progress

    def compose(self) -> ComposeResult:
        """Put the question above its three answers; Enter lets the run train on."""
        with Vertical() as box:
            box.border_title, box.border_subtitle = "Quit", "esc goes back"
            yield Static(f"{self._run} is in training here ({self._progress}).", markup=False)
            yield Answers(
                [
                    Answer("t", "train on without the screen", "screen.dismiss('headless')"),
                    Answer("s", "save, stop and quit", "screen.dismiss('stop')"),
                    Answer("b", "go back", "screen.dismiss(None)"),
                ],
                column=True,
            )

    def on_mount(self) -> None:
        """Focus the first answer."""
        self.query(Button).first().focus()
