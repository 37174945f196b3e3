"""Chooses a text file on the machine that runs the app."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DirectoryTree, Input, Static

from shakegpt.system.text import escape_line
from shakegpt.tui.dialogs.questions import Dialog
from shakegpt.tui.widgets.footer import Footer


class TextTree(DirectoryTree):
    """A tree of folders and files without the hidden ones, with icons that every font has."""

    ICON_NODE = "▶ "
    ICON_NODE_EXPANDED = "▼ "
    ICON_FILE = "  "

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        """Leave out hidden files and folders."""
        return (path for path in paths if not path.name.startswith("."))


class PickFileScreen(Dialog[Path | None]):
    """A field for a path above a tree of files; ``None`` where the user goes back."""

    DEFAULT_CSS = """
    PickFileScreen {
        & > Vertical { width: 76; height: 80%; padding: 0 1; }
        & TextTree { height: 1fr; background: $surface; }
        & #error { color: $text-error; height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back", id="pick-file.back", tooltip="Choose no file"),
        Binding("backspace", "parent_folder", "Folder above", id="pick-file.up", tooltip="Show the folder above"),
    ]

    def __init__(self, start: Path | None = None) -> None:
        super().__init__()
        self._start = start if start is not None and start.is_dir() else Path.cwd()

    def compose(self) -> ComposeResult:
        """Put the tree under the path."""
        with Vertical() as box:
            box.border_title = "Choose a text"
            yield Input(placeholder="type a path, or choose below", select_on_focus=False, compact=True, id="path")
            yield Static(id="error", markup=False)
            yield TextTree(self._start)
        yield Footer()

    def on_mount(self) -> None:
        """Focus the tree."""
        self.query_one(TextTree).focus()

    def on_key(self, event: events.Key) -> None:
        """Take what is typed for a path, wherever the focus is."""
        path = self.query_one("#path", Input)
        if event.is_printable and event.character and event.character != " " and self.focused is not path:
            self.set_focus(path)
            path.insert_text_at_cursor(event.character)
            event.stop()

    def action_parent_folder(self) -> None:
        """Show the folder above."""
        tree = self.query_one(TextTree)
        tree.path = Path(tree.path).resolve().parent

    @on(DirectoryTree.FileSelected)
    def _choose_file(self, message: DirectoryTree.FileSelected) -> None:
        self.dismiss(message.path)

    @on(Input.Submitted, "#path")
    def _open_path(self, message: Input.Submitted) -> None:
        path = Path(message.value.strip()).expanduser()
        if path.is_file():
            self.dismiss(path)
        elif path.is_dir():
            self.query_one(TextTree).path = path
            self.query_one(TextTree).focus()
        else:
            self.query_one("#error", Static).update(escape_line(f"There is no file {path}."))
