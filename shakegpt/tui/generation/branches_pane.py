"""The branches of a text as a tree, each with its log-probability."""

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.message import Message

from shakegpt.generation.branches import Branch, Branches
from shakegpt.system.text import escape_line
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_PARTS = ("text", "shown", "figure")
_MOST_ROWS = 8
_DEEPEST = 4
"""Levels of the tree that are indented."""
_FIGURES = 14


class BranchesPane(DiffWidget):
    """A line for each branch: how it begins after it parted, and its log-probability, whole and per letter."""

    DEFAULT_CSS: ClassVar[str] = """
    BranchesPane {
        height: auto;
        background: $background;
        & > .branches-pane--text { color: $foreground; background: $background; }
        & > .branches-pane--shown { color: $primary; background: $background; text-style: bold; }
        & > .branches-pane--figure { color: $text-muted; background: $background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"branches-pane--{part}" for part in _PARTS}

    @dataclass
    class Chosen(Message):
        """A branch was clicked."""

        branch: Branch

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.border_title = "Branches: log-probability"
        self.border_subtitle = "[ ] walk them"
        self._branches = Branches()
        self._branch = self._branches.root

    def show(self, branches: Branches, branch: Branch) -> None:
        """Show the branches of a text, and mark the one on show."""
        self._branches, self._branch = branches, branch
        self.styles.height = min(len(branches), _MOST_ROWS) + 3  # the borders, and a line of headings
        self.redraw()

    def _listed(self, height: int) -> list[Branch]:
        """Return the branches that there is room for, the one on show among them."""
        order, room = list(self._branches), max(1, height - 1)
        start = max(0, min(order.index(self._branch) - room // 2, len(order) - room))
        return order[start : start + room]

    def draw(self, width: int, height: int) -> list[Row]:
        """Return a line of headings, and one for each branch."""
        styles = {part: self.get_component_rich_style(f"branches-pane--{part}") for part in _PARTS}
        numbers = sorted(branch.number for branch in self._branches)
        rows: list[Row] = [[(f"{'whole':>{width - 7}}{'letter':>7}", styles["figure"])]]
        for branch in self._listed(height):
            shown = branch is self._branch
            indent = "  " * (min(branch.depth, _DEEPEST) - 1) + "└ " if branch.depth else ""
            label = f"{'▸' if shown else ' '} {indent}{numbers.index(branch.number) + 1} "
            room = max(0, width - len(label) - _FIGURES)
            own = escape_line(" ".join(branch.own[: room + 1].split()))
            letters = max(1, branch.end - self._branches.root.start)
            whole = branch.log_probability
            figures = f"{whole:>{_FIGURES - 7},.1f}{whole / letters:>7.2f}".replace("-", "−")
            text = own if len(own) <= room else own[: max(0, room - 1)] + "…"
            rows.append([(f"{label}{text:<{room}}", styles["shown" if shown else "text"]), (figures, styles["figure"])])
        return rows

    def on_click(self, event: events.Click) -> None:
        """Have the clicked branch shown."""
        offset = event.get_content_offset(self)
        listed = self._listed(self.size.height)
        if offset is not None and 1 <= offset.y <= len(listed):
            self.post_message(self.Chosen(listed[offset.y - 1]))
