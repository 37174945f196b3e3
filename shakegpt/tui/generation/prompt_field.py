"""The line where a prompt is written. A newline is shown as ``⏎`` there, so that a prompt of many lines fits."""

import re
from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Paste
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from shakegpt.system.text import is_safe

_LABEL_WIDTH = 76
NEWLINE = "⏎"
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", NEWLINE: NEWLINE}


def to_field(text: str) -> str:
    r"""Return a text as the field shows it: newlines as ``⏎``, tabs as ``\t``, backslashes doubled."""
    escaped = text.replace("\\", "\\\\").replace(NEWLINE, f"\\{NEWLINE}")
    return escaped.replace("\n", NEWLINE).replace("\t", "\\t")


def from_field(line: str) -> str:
    r"""Return the text that ``line`` stands for: ``⏎`` and ``\n`` are newlines; any other backslash stays one."""
    return re.sub(rf"\\([nt\\{NEWLINE}])|{NEWLINE}", lambda match: _ESCAPES[match[1]] if match[1] else "\n", line)


class PromptField(Input):
    """A one-line text field with a history, which Esc leaves."""

    DEFAULT_CSS: ClassVar[str] = """
    PromptField, PromptField:focus {
        border: none;
        height: 1;
        padding: 0;
        background: $background;
    }
    PromptField { color: $text-muted; }
    PromptField:focus { color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Done", id="prompt.leave", tooltip="Leave the field; the keys turn knobs again"),
        Binding("up", "earlier", "Earlier", show=False, id="prompt.earlier", tooltip="The prompt before"),
        Binding(
            "ctrl+j,shift+enter", "newline", "New line", show=False, id="prompt.newline", tooltip="Begin a new line (⏎)"
        ),
        Binding("down", "later", "Later", show=False, id="prompt.later", tooltip="The prompt after"),
    ]

    class Left(Message):
        """The user leaves the field without submitting it."""

    def __init__(
        self,
        text: str = "",
        *,
        history: Iterable[str] = (),
        placeholder: str = "",
        id: str | None = None,  # noqa: A002  (Textual's name)
    ) -> None:
        super().__init__(to_field(text), placeholder=placeholder, id=id, compact=True, select_on_focus=False)
        self.cursor_blink = False  # a blink is two writes a second to a terminal where nothing happens
        self._history = list(history)
        self._history_index = -1
        self._draft = ""

    @property
    def text(self) -> str:
        """What is written, with real newlines."""
        return from_field(self.value)

    @text.setter
    def text(self, text: str) -> None:
        self.value = to_field(text)
        self.cursor_position = len(self.value)

    @property
    def history(self) -> Sequence[str]:
        """What was submitted before, newest first."""
        return tuple(self._history)

    def remember(self, text: str) -> None:
        """Put a text at the head of the history."""
        self._history = [text, *(old for old in self._history if old != text)]
        self._history_index = -1

    def on_paste(self, event: Paste) -> None:
        """Insert all lines of a paste, where Textual's own field takes the first; drop control characters."""
        event.prevent_default()
        event.stop()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        self.replace(to_field("".join(filter(is_safe, text))), *self.selection)

    def action_newline(self) -> None:
        """Insert a newline, in place of what is selected."""
        self.replace(NEWLINE, *self.selection)

    def action_earlier(self) -> None:
        """Show the text submitted before this one."""
        if self._history_index + 1 < len(self._history):
            if self._history_index < 0:
                self._draft = self.text
            self._history_index += 1
            self.text = self._history[self._history_index]

    def action_later(self) -> None:
        """Show the text submitted after this one, and at last the draft."""
        if self._history_index >= 0:
            self._history_index -= 1
            self.text = self._history[self._history_index] if self._history_index >= 0 else self._draft

    def action_leave(self) -> None:
        """Give the keys back to the screen."""
        self.post_message(self.Left())


class PromptBar(Horizontal):
    """The line where the user writes, the prompt or a line of a scene, and beside it how the text is going."""

    DEFAULT_CSS: ClassVar[str] = """
    PromptBar {
        height: 1;
        padding: 0 1;
        & > Static { width: auto; color: $primary; text-style: bold; }
        & > PromptField { width: 1fr; }
    }
    """

    def __init__(self, *fields: PromptField, status: Widget) -> None:
        self._label = Static(markup=False)
        super().__init__(self._label, *fields, status)

    def show_label(self, words: str) -> None:
        """Say what is written here, where there is room."""
        self._label.update(f"{words} › " if self.app.size.width >= _LABEL_WIDTH else "› ")

    def focus_field(self) -> PromptField:
        """Write in the field that is shown: what is typed takes the place of what it has, and an arrow key keeps it."""
        field = next(field for field in self.query(PromptField) if field.display)
        if not field.has_focus:
            field.focus()
            field.select_all()
        return field
