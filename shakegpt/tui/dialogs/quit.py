"""What to do with a run in training when its user leaves."""

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

Leaving = Literal["headless", "stop"]


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
