"""The list of models that can speak."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from shakegpt.errors import ShakegptError
from shakegpt.system.text import escape_line
from shakegpt.tui.formatting import count, decimal
from shakegpt.tui.generation.model_loader import LIVE, PRETRAINED

if TYPE_CHECKING:
    from shakegpt.runs.store import Store


def model_choices(store: "Store", *, live: bool) -> list[tuple[str, str]]:
    """Return every model there is as (reference, what is said about it): the live weights first, then newest first.

    A run that cannot be read is left out: the checkpoint screen says what is wrong with it.
    """
    choices = [(LIVE, "the weights in training, as they are at each start")] if live else []
    choices.append((PRETRAINED, "what shakegpt comes with"))
    try:
        runs = store.runs()
    except ShakegptError:
        return choices
    for run in runs:
        try:
            best = run.best()
            for info in reversed(run.checkpoints()):
                loss = f"  loss {decimal(info.val_loss)}" if info.val_loss is not None else ""
                mark = "  best" if best is not None and info.step == best.step else ""
                choices.append((info.reference, f"step {count(info.step)}{loss}{mark}"))
        except ShakegptError:
            continue
    return choices


class ChooseModelScreen(ModalScreen[str | None]):
    """Lets the user choose who speaks.

    Args:
        choices: references, and what is said about each.
        current: the reference in use.
    """

    DEFAULT_CSS = """
    ChooseModelScreen {
        align: center middle;
        & > Vertical {
            width: 64; max-width: 90%; height: auto; max-height: 80%;
            padding: 1 2; background: $surface; border: round $border;
        }
        & OptionList, & OptionList:focus {
            height: auto; max-height: 16; border: none; padding: 0; background: $surface;
        }
        & .heading { color: $primary; text-style: bold; margin-bottom: 1; }
        & .hint { color: $text-muted; margin-top: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="choose_model.back", tooltip="Keep the model as it is")
    ]

    def __init__(self, choices: Iterable[tuple[str, str]], current: str) -> None:
        super().__init__()
        self._choices = list(choices)
        self._current = current

    def compose(self) -> ComposeResult:
        """A list and its keys."""
        width = max(len(reference) for reference, _ in self._choices)
        with Vertical():
            yield Static("Who speaks?", classes="heading")
            yield OptionList(
                *(
                    Option(
                        Content(escape_line(reference).ljust(width + 2))
                        + Content.styled(escape_line(about), "$text-muted")
                    )
                    for reference, about in self._choices
                )
            )
            yield Static("Enter chooses, Esc goes back", classes="hint")

    def on_mount(self) -> None:
        """Begin at the model in use."""
        references = [reference for reference, _ in self._choices]
        options = self.query_one(OptionList)
        options.highlighted = references.index(self._current) if self._current in references else 0
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the choice."""
        self.dismiss(self._choices[event.option_index][0])
