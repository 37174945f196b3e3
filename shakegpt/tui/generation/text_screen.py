"""The part of the generation screen that deals with the text itself: its branches, copying it, saving it."""

from pathlib import Path
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Button, Static

from shakegpt.errors import ShakegptError
from shakegpt.system.paths import texts_folder
from shakegpt.tui.dialogs.menu import Answer, Answers
from shakegpt.tui.dialogs.questions import Dialog
from shakegpt.tui.generation.branches_pane import BranchesPane
from shakegpt.tui.generation.branching_pane import BranchingTextPane
from shakegpt.tui.generation.controls_screen import ControlsScreen
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.save_text import save_text, shown_path

SaveChoice = Literal["one", "all"]
_NO_BRANCHES = "There is one text so far; f, then ← and ⏎, begin a branch."


class SaveBranchesScreen(Dialog[SaveChoice | None]):
    """Asks which branches to save; ``None`` where the user goes back."""

    DEFAULT_CSS: ClassVar[str] = "SaveBranchesScreen > Vertical { width: 50; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "dismiss('one')", "This one", id="branches.save_one", tooltip="Save the branch on show"),
        Binding("a", "dismiss('all')", "All", id="branches.save_all", tooltip="Save each branch in a file of its own"),
        Binding("escape", "dismiss(None)", "Go back", id="branches.back", tooltip="Save nothing"),
    ]

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def compose(self) -> ComposeResult:
        """Put the question above its answers; Enter saves the one on show."""
        with Vertical() as box:
            box.border_title, box.border_subtitle = "Save", "esc goes back"
            yield Static(f"The text has {self._count} branches.", markup=False)
            yield Answers(
                [
                    Answer("o", "only the one on show", "screen.dismiss('one')"),
                    Answer("a", f"all {self._count}, each in a file of its own", "screen.dismiss('all')"),
                ],
                column=True,
            )

    def on_mount(self) -> None:
        """Focus the first answer."""
        self.query(Button).first().focus()


class TextScreen(ControlsScreen):
    """A screen whose text can be walked back in, copied and saved."""

    @property
    def texts_folder(self) -> Path:
        """Where texts are saved."""
        return texts_folder(self.context.store.home)

    # Branches

    def focus_text(self) -> None:
        """Give the keys back to the screen; the text is at its end again."""
        for text in self.query(BranchingTextPane):
            text.leave_past()
        super().focus_text()

    def on_next_character_walked(self, message: NextCharacter.Walked) -> None:
        """Walk along the text."""
        current = self.pane.current
        if isinstance(current, BranchingTextPane):
            current.walk(message.step)
        if isinstance(current, BranchingTextPane) and current.position is not None:
            self.notice.show("↑ ↓ choose another letter, ⏎ puts it here: the model goes on from there.", stays=True)

    def action_walk_branches(self, step: int) -> None:
        """Show the next branch, or the one before."""
        current = self.pane.current
        if not isinstance(current, BranchingTextPane) or len(current.branches) < 2:
            self.notice.show(_NO_BRANCHES)
        else:
            current.walk_branches(step)

    def on_branches_pane_chosen(self, message: BranchesPane.Chosen) -> None:
        """Show the branch that was clicked."""
        current = self.pane.current
        if isinstance(current, BranchingTextPane):
            current.show_branch(message.branch)

    def on_branching_text_pane_told(self, message: BranchingTextPane.Told) -> None:
        """Say what there is to say."""
        self.notice.show(message.sentence)

    def show_status(self) -> None:
        """Show the tree, once there is one."""
        current = self.pane.current
        branched = isinstance(current, BranchingTextPane) and len(current.branches) > 1
        self.set_class(branched, "branched")
        if isinstance(current, BranchingTextPane) and branched:
            self.query_one(BranchesPane).show(current.branches, current.branch)
            current.show_title()
        super().show_status()

    # Keeping the text

    def action_copy(self) -> None:
        """Copy the text; some terminals drop it, so saving is named too."""
        if text := self.pane.text:
            self.app.copy_to_clipboard(text)
            self.notice.show(f"Copied {len(text):,} letters. If your terminal drops them, w saves them to a file.")
        else:
            self.notice.show("There is nothing to copy yet.")

    def action_save(self) -> None:
        """Save the text to a file of its own; of several branches, ask which."""
        current = self.pane.current
        if not self.pane.text.strip():
            self.notice.show("There is nothing to save yet.")
        elif isinstance(current, BranchingTextPane) and len(current.branches) > 1:
            self.app.push_screen(SaveBranchesScreen(len(current.branches)), self._save)
        else:
            self._save("one")

    def _save(self, choice: SaveChoice | None) -> None:
        current = self.pane.current
        if choice is None:
            return
        every = choice == "all" and isinstance(current, BranchingTextPane)
        texts = current.branch_texts if every and isinstance(current, BranchingTextPane) else [self.pane.text]
        try:
            paths = [save_text(text, self.pane.title, self.texts_folder) for text in texts]
        except ShakegptError as error:
            self.notice.show(str(error), error=True)
            return
        if len(paths) > 1:
            self.notice.show(f"{len(paths)} branches saved, from {shown_path(paths[0])} to {paths[-1].name}")
        else:
            what = f"The last {len(current.generated):,} letters are saved" if current.is_cut else "Saved"
            self.notice.show(f"{what} in {shown_path(paths[0])}")
