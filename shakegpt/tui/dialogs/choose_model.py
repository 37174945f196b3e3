"""The list of models that can generate."""

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from shakegpt.errors import ShakegptError
from shakegpt.runs.store import PRETRAINED, Store
from shakegpt.system.text import escape_line
from shakegpt.tui.dialogs.questions import Dialog
from shakegpt.tui.formatting import count, decimal
from shakegpt.tui.messages import LIVE


def model_choices(store: Store, *, live: bool) -> list[tuple[str, str]]:
    """Return every model as its reference and a description: the live weights first, then newest first.

    A run that cannot be read is left out.
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


class ChooseModelScreen(Dialog[str | None]):
    """Lets the user choose a model; ``None`` where they go back."""

    DEFAULT_CSS = """
    ChooseModelScreen {
        & > Vertical { max-width: 90%; max-height: 80%; border: round $border; }
        & OptionList { max-height: 16; }
        & .heading { color: $primary; text-style: bold; margin-bottom: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="choose_model.back", tooltip="Change nothing")
    ]

    def __init__(self, choices: Iterable[tuple[str, str]], current: str) -> None:
        super().__init__()
        self._choices = list(choices)
        self._current = current

    def compose(self) -> ComposeResult:
        """Put the list above its keys."""
        width = max(len(reference) for reference, _ in self._choices)
        with Vertical():
            yield Static("Choose a model", classes="heading")
            yield OptionList(
                *(
                    Option(
                        Content(escape_line(reference).ljust(width + 2))
                        + Content.styled(escape_line(description), "$text-muted")
                    )
                    for reference, description in self._choices
                )
            )
            yield Static("Enter chooses, Esc goes back", classes="keys")

    def on_mount(self) -> None:
        """Highlight the model in use."""
        references = [reference for reference, _ in self._choices]
        options = self.query_one(OptionList)
        options.highlighted = references.index(self._current) if self._current in references else 0
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the chosen reference."""
        self.dismiss(self._choices[event.option_index][0])
