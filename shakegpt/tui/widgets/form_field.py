"""One field of a form: its name, its control, and what is wrong with it."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input, Label, Select, Static

from shakegpt.system.text import escape_line


class FormField(Vertical):
    """A control between its label and a line that hints, or says what is wrong."""

    DEFAULT_CSS = """
    FormField {
        height: auto;
        & > Label { color: $foreground 70%; }
        & > .hint { color: $foreground 50%; height: auto; min-height: 1; }
        & > Input, & > Select { width: 1fr; }
        &:focus-within > Label { color: $primary; text-style: bold; }
        &.-wrong > Label { color: $text-error; }
        &.-wrong > .hint { color: $text-error; }
    }
    """

    def __init__(self, name: str, label: str, control: Widget, hint: str = "") -> None:
        super().__init__(id=f"field-{name}", name=name)
        self._label = label
        self._control = control
        self._hint = hint
        self.problem = ""
        """What is wrong with the field; empty where nothing is."""

    def compose(self) -> ComposeResult:
        """Put the control under its label."""
        yield Label(self._label, markup=False)
        yield self._control
        yield Static(self._hint, classes="hint", markup=False)

    @property
    def value(self) -> str:
        """What is typed or chosen."""
        if isinstance(self._control, Select):
            return str(self._control.value)
        return self._control.value if isinstance(self._control, Input) else ""

    def hint(self, text: str) -> None:
        """Say what the field is for, or what it stands at when left empty."""
        self._hint = text
        self._write()

    def object(self, problem: str) -> None:
        """Say what is wrong with the field, or take that back."""
        self.problem = problem
        self._write()

    def _write(self) -> None:
        self.set_class(bool(self.problem), "-wrong")
        self.query_one(".hint", Static).update(escape_line(self.problem or self._hint))
