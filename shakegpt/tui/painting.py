"""An app that writes to the terminal no more than has changed, and only what the terminal can show."""

from collections.abc import Sequence
from typing import Any, cast

from rich.console import RenderableType
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.binding import Binding
from textual.filter import LineFilter
from textual.screen import Screen

from shakegpt.tui.line_filters import AsciiFilter, StyledFilter, supports_utf8
from shakegpt.tui.shown_cells import ShownCells


def add_size_classes(screen: Screen[Any]) -> None:
    """Give a screen that is about to be composed the classes of the terminal's size.

    Textual sets them after the first paint, styles every widget again for it, and paints again.
    """
    app = screen.app
    for size, points in zip(app.size, (app.HORIZONTAL_BREAKPOINTS, app.VERTICAL_BREAKPOINTS), strict=True):
        screen.add_class(*screen._get_breakpoint_classes(size, points or []))


class PaintingApp(App[str]):
    """Remembers the cells on show; spells in ASCII, and without colour, for terminals that want it so."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._shown_cells = ShownCells()
        self._styled = StyledFilter()
        self._ascii = AsciiFilter(enabled=not supports_utf8())

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Write only the cells that have changed."""
        if isinstance(renderable, LayoutUpdate | ChopsUpdate):
            renderable = cast("RenderableType", self._shown_cells.changes_of(renderable))
        super()._display(screen, renderable)

    def on_resize(self) -> None:
        """Write every cell anew: the terminal has another size, or comes back from another program."""
        self._shown_cells.forget()

    def action_redraw(self) -> None:
        """Draw the whole screen again, where something else has written over it."""
        self._shown_cells.forget()
        self.refresh(layout=True)

    def get_key_display(self, binding: Binding) -> str:
        """Return a key's name in words where the terminal cannot show its symbol."""
        display = super().get_key_display(binding)
        return display if display.isascii() or not self._ascii.enabled else binding.key

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Add a filter that leaves only ASCII, where the terminal shows nothing else, and one for ``NO_COLOR``."""
        filters = super().get_line_filters()
        if self.no_color:
            filters = [self._styled, *filters]
        return [*filters, self._ascii] if self._ascii.enabled else filters
