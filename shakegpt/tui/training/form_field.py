"""One field of a form: its label, its control, and what is wrong with it."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input, Label, Select, Static

from shakegpt.system.text import escape_line


class FormField(Vertical):
    """A control between its label and a line with a hint or an error."""

    DEFAULT_CSS = """
    FormField {
        height: auto;
        & > Label { color: $foreground 70%; }
        & > .hint { color: $foreground 50%; height: auto; min-height: 1; }
        & > Input, & > Select { width: 1fr; }
        &:focus-within > Label { color: $primary; text-style: bold; }
        &.-error > Label { color: $text-error; }
        &.-error > .hint { color: $text-error; }
    }
    """

    def __init__(self, name: str, label: str, control: Widget, hint: str = "") -> None:
        super().__init__(id=f"field-{name}", name=name)
        self._label = label
        self._control = control
        self._hint = hint
        self.error = ""
        """What is wrong with the value; empty where nothing is."""

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

    def set_hint(self, hint: str) -> None:
        """Change the hint."""
        self._hint = hint
        self._update()

    def set_error(self, error: str) -> None:
        """Show what is wrong with the value; the hint where nothing is."""
        self.error = error
        self._update()

    def _update(self) -> None:
        self.set_class(bool(self.error), "-error")
        self.query_one(".hint", Static).update(escape_line(self.error or self._hint))
