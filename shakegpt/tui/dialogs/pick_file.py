"""Choosing a file of the machine that the app runs on."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import DirectoryTree, Footer, Input, Static

from shakegpt.system.text import escape_line


class TextTree(DirectoryTree):
    """A tree of folders and files without the hidden ones, in marks that every font has."""

    ICON_NODE = "▶ "
    ICON_NODE_EXPANDED = "▼ "
    ICON_FILE = "  "

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave out what is hidden."""
        return (path for path in paths if not path.name.startswith("."))


class PickFileScreen(ModalScreen[Path | None]):
    """A path to type, and a tree to walk; ``None`` where the user goes back."""

    DEFAULT_CSS = """
    PickFileScreen {
        align: center middle;
        & > Vertical {
            width: 76;
            max-width: 100%;
            height: 80%;
            padding: 0 1;
            border: round $primary;
            border-title-color: $primary;
            background: $surface;
        }
        & TextTree { height: 1fr; background: $surface; }
        & #wrong { color: $text-error; height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", id="pick-file.back", tooltip="Choose no file"),
        Binding("backspace", "up", "Folder above", id="pick-file.up", tooltip="Show the folder above"),
    ]

    def __init__(self, start: Path | None = None) -> None:
        super().__init__()
        self._start = start if start is not None and start.is_dir() else Path.cwd()

    def compose(self) -> ComposeResult:
        """Put the tree under the path."""
        with Vertical() as box:
            box.border_title = "Choose a text"
            yield Input(placeholder="a path, or choose below", compact=True, id="path")
            yield Static(id="wrong", markup=False)
            yield TextTree(self._start)
        yield Footer()

    def on_mount(self) -> None:
        """Begin in the tree."""
        self.query_one(TextTree).focus()

    def action_back(self) -> None:
        """Choose nothing."""
        self.dismiss(None)

    def action_up(self) -> None:
        """Show the folder above."""
        tree = self.query_one(TextTree)
        tree.path = Path(tree.path).resolve().parent

    @on(DirectoryTree.FileSelected)
    def _choose(self, message: DirectoryTree.FileSelected) -> None:
        self.dismiss(message.path)

    @on(Input.Submitted, "#path")
    def _go(self, message: Input.Submitted) -> None:
        path = Path(message.value.strip()).expanduser()
        if path.is_file():
            self.dismiss(path)
        elif path.is_dir():
            self.query_one(TextTree).path = path
            self.query_one(TextTree).focus()
        else:
            self.query_one("#wrong", Static).update(escape_line(f"There is no file {path}."))
