"""The list of models that can generate."""

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from shakegpt.errors import ShakegptError
from shakegpt.runs.store import PRETRAINED, Store
from shakegpt.system.text import escape_line
from shakegpt.tui.dialogs.menu import Menu
from shakegpt.tui.dialogs.questions import Dialog
from shakegpt.tui.formatting import count, decimal
from shakegpt.tui.messages import LIVE
from shakegpt.tui.widgets.top_bar import model_name

_NAME_WIDTH = 34


def model_choices(store: Store, *, live: bool) -> list[tuple[str, str]]:
    """Return every model as its reference and a description: the live weights first, then newest first.

    A run that cannot be read is left out.
    """
    choices = [(LIVE, "as they are whenever a text starts")] if live else []
    choices.append((PRETRAINED, "comes with shakegpt"))
    try:
        runs = store.runs()
    except ShakegptError:
        return choices
    for run in runs:
        try:
            best = run.best()
            for info in reversed(run.checkpoints()):
                parts = [f"step {count(info.step)}"]
                if info.val_loss is not None:
                    parts.append(f"validation loss {decimal(info.val_loss)}")
                if best is not None and info.step == best.step:
                    parts.append("best")
                choices.append((info.reference, " · ".join(parts)))
        except ShakegptError:
            continue
    return choices


class ChooseModelScreen(Dialog[str | None]):
    """Lets the user choose a model; ``None`` where they go back."""

    DEFAULT_CSS = """
    ChooseModelScreen {
        & > Vertical { width: 84; max-width: 100%; max-height: 90%; }
        & OptionList, & OptionList:focus { max-height: 100%; }
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
        """Put the models one below the other."""
        names = [_name(reference) for reference, _ in self._choices]
        width = min(_NAME_WIDTH, max(map(cell_len, names)))
        with Vertical() as box:
            box.border_title, box.border_subtitle = "Choose a model", "enter chooses · esc goes back"
            yield Menu(
                *(
                    Option(Content.styled(name.ljust(width + 2), "bold") + Content(escape_line(description)))
                    for name, (_, description) in zip(names, self._choices, strict=True)
                )
            )

    def on_mount(self) -> None:
        """Highlight the model in use."""
        references = [reference for reference, _ in self._choices]
        options = self.query_one(Menu)
        options.highlighted = references.index(self._current) if self._current in references else 0
        options.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Return the chosen reference."""
        self.dismiss(self._choices[event.option_index][0])


def _name(reference: str) -> str:
    """Return what a model is called; long names are cut, or they would push out what is said of them."""
    name = "weights in training" if reference == LIVE else model_name(reference)
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"
