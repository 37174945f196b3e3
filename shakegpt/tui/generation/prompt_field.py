r"""The line where a prompt is written. A newline is spelled ``\n`` there, so that a prompt of many lines fits."""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Paste
from textual.message import Message
from textual.widgets import Input

from shakegpt.system.text import is_safe


def to_field(text: str) -> str:
    r"""Return a text as it is written in the field: newlines as ``\n``, backslashes doubled."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")


def from_field(line: str) -> str:
    r"""Return the text that the line stands for; a backslash before anything but ``n``, ``t`` and itself is itself."""
    marks = {"n": "\n", "t": "\t", "\\": "\\"}
    pieces: list[str] = []
    characters = iter(line)
    for character in characters:
        if character != "\\":
            pieces.append(character)
            continue
        following = next(characters, "")
        pieces.append(marks.get(following, f"\\{following}"))
    return "".join(pieces)


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
        Binding("down", "later", "Later", show=False, id="prompt.later", tooltip="The prompt after"),
    ]

    class Left(Message):
        """The user is done with the field, without sending what it holds."""

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
        self._at = -1
        self._draft = ""

    @property
    def text(self) -> str:
        """What is written, its newlines and all."""
        return from_field(self.value)

    @text.setter
    def text(self, text: str) -> None:
        self.value = to_field(text)
        self.cursor_position = len(self.value)

    @property
    def history(self) -> Sequence[str]:
        """What was sent before, newest first."""
        return tuple(self._history)

    def remember(self, text: str) -> None:
        """Put a text at the head of the history."""
        self._history = [text, *(old for old in self._history if old != text)]
        self._at = -1

    def on_paste(self, event: Paste) -> None:
        """Take all lines of a paste, where Textual's own field takes the first; control characters stay out."""
        event.prevent_default()
        event.stop()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        self.replace(to_field("".join(filter(is_safe, text))), *self.selection)

    def action_earlier(self) -> None:
        """Show the text sent before this one."""
        if self._at + 1 < len(self._history):
            if self._at < 0:
                self._draft = self.text
            self._at += 1
            self.text = self._history[self._at]

    def action_later(self) -> None:
        """Show the text sent after this one, and at last what was being written."""
        if self._at >= 0:
            self._at -= 1
            self.text = self._history[self._at] if self._at >= 0 else self._draft

    def action_leave(self) -> None:
        """Give the keys back to the screen."""
        self.post_message(self.Left())
