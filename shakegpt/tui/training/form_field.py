"""A field of a form that is typed into."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import Input

from shakegpt.system.text import escape_line
from shakegpt.tui.training.choices import LABEL_WIDTH, cut
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_INPUT_WIDTH = 22


class FormField(DiffWidget):
    """An input between its label and a hint, in one line. The form says what is wrong with its value."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"field--label", "field--focused", "field--hint"}
    DEFAULT_CSS: ClassVar[str] = f"""
    FormField {{
        height: 1;
        & > .field--label, & > .field--hint {{ color: $foreground 75%; }}
        & > .field--focused {{ color: $primary; text-style: bold; }}
        &.-error > .field--label, &.-error > .field--hint {{ color: $text-error; }}
        & > Input {{ width: {_INPUT_WIDTH}; margin-left: {LABEL_WIDTH}; background: $panel; }}
        & > Input:focus {{ background: $primary 30%; }}
        &:ansi > Input, &:nocolor > Input {{ text-style: underline; }}
        &:ansi > Input:focus, &:nocolor > Input:focus {{ text-style: reverse; }}
    }}
    """

    def __init__(self, name: str, label: str, value: str, hint: str = "") -> None:
        super().__init__(id=f"field-{name}", name=name)
        self.label = label
        self.error = ""
        """What is wrong with the value; empty where nothing is."""
        self.hint = hint
        self._input = Input(value, compact=True, select_on_focus=False)

    def compose(self) -> ComposeResult:
        """Put the input between the label and the hint."""
        yield self._input

    @property
    def value(self) -> str:
        """What is typed."""
        return self._input.value

    @value.setter
    def value(self, value: str) -> None:
        self._input.value = value

    def set_hint(self, hint: str) -> None:
        """Change the hint."""
        self.hint = hint
        self.redraw()

    def set_error(self, error: str) -> None:
        """Note what is wrong with the value, and mark the field."""
        self.error = error
        self.set_class(bool(error), "-error")

    def on_resize(self) -> None:
        """Draw once the input has its new width too."""
        self.call_after_refresh(self.redraw)

    def on_descendant_focus(self) -> None:
        """Show that what is typed goes here."""
        self.redraw()

    def on_descendant_blur(self) -> None:
        """Show that it does so no more."""
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002
        """Return the label and the hint, with room for the input."""
        taken = (self._input.outer_size.width or _INPUT_WIDTH) + 2
        style = "field--focused" if self._input.has_focus and not self.error else "field--label"
        label = (f"{self.label:<{LABEL_WIDTH}}", self.get_component_rich_style(style))
        hint = cut(escape_line(self.hint), width - LABEL_WIDTH - taken)
        return [[label, (" " * taken, self.rich_style), (hint, self.get_component_rich_style("field--hint"))]]
