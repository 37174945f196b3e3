"""Who voted for the model's answer: what each head and MLP adds to its logit."""

from typing import TYPE_CHECKING, ClassVar

from shakegpt.inspection.head import Head
from shakegpt.tui.generation.next_character import character_name
from shakegpt.tui.inspect.lens_pane import letter
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.inspection.trace import Attribution

_NAME = 11
_FIGURE = 7


def ranked_votes(votes: "Attribution", read: str) -> list[tuple[str, float, Head | None]]:
    """Return every part of a logit with what it adds, the greatest first; all together are the logit.

    Args:
        votes: the parts.
        read: the character at the position.
    """
    named: list[tuple[str, float, Head | None]] = [
        (f"head {layer + 1}.{head + 1}", float(value), (layer, head))
        for layer, heads in enumerate(votes.heads)
        for head, value in enumerate(heads)
    ]
    named += [(f"MLP {layer + 1}", float(value), None) for layer, value in enumerate(votes.mlps)]
    named += [
        (f"letter {letter(read)}", votes.token, None),
        ("position", votes.place, None),
        ("biases", float(votes.biases.sum()) + votes.constant, None),
    ]
    return sorted(named, key=lambda vote: -abs(vote[1]))


def signed_bar(value: float, greatest: float, width: int) -> tuple[str, str]:
    """Return a bar to the left and one to the right of a middle line: one of them blank; ``width`` cells each."""
    halves = min(2 * width, round(abs(value) / greatest * 2 * width)) if greatest else 0
    whole, half = divmod(halves, 2)
    if value < 0:
        return (("▐" * half + "█" * whole).rjust(width), " " * width)
    return (" " * width, ("█" * whole + "▌" * half).ljust(width))


class VotesPane(DiffWidget):
    """A row for each part, the greatest first, with a bar to the right for the answer, to the left against it."""

    ALLOW_SELECT = False
    _PARTS: ClassVar[tuple[str, ...]] = ("name", "marked", "for", "against", "figure")
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"votes-pane--{part}" for part in _PARTS}
    DEFAULT_CSS: ClassVar[str] = """
    VotesPane {
        height: 1fr;
        & > .votes-pane--name { color: $foreground; background: $background; }
        & > .votes-pane--marked { color: $primary; background: $background; text-style: bold; }
        & > .votes-pane--for { color: $secondary; background: $background; }
        & > .votes-pane--against { color: $accent; background: $background; }
        & > .votes-pane--figure { color: $text-muted; background: $background; }
    }
    """

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.border_title = "Votes"
        self._votes: Attribution | None = None
        self._read = ""
        self._head: Head | None = None

    def show(self, votes: "Attribution | None", read: str = "", head: Head | None = None) -> None:
        """Show what adds to the logit of the answer; a head stands out."""
        self._votes, self._read, self._head = votes, read, head
        if votes is not None:
            title = f"Votes for {character_name(votes.character)}: logit {votes.logit:+z.2f}"
            if title != str(self.border_title):
                self.border_title = title.replace("[", r"\[")
        self.redraw()

    def draw(self, width: int, height: int) -> list[Row]:
        """Return as many parts as fit; the last row sums up those that don't."""
        if self._votes is None or height < 1:
            return []
        styles = {part: self.get_component_rich_style(f"votes-pane--{part}") for part in self._PARTS}
        votes = ranked_votes(self._votes, self._read)
        if len(votes) > height:
            rest = votes[height - 1 :]
            votes = [*votes[: height - 1], (f"{len(rest)} more", sum(value for _, value, _ in rest), None)]
        greatest = max(abs(value) for _, value, _ in votes)
        side = max(1, (width - _NAME - _FIGURE - 1) // 2)
        rows: list[Row] = []
        for name, value, head in votes:
            left, right = signed_bar(value, greatest, side)
            part = "marked" if head is not None and head == self._head else "name"
            rows.append(
                [
                    (f"{name:<{_NAME}}", styles[part]),
                    (left, styles["against"]),
                    ("│", styles["figure"]),
                    (right, styles["for"]),
                    (f"{value:+z{_FIGURE}.2f}", styles["figure"]),
                ]
            )
        return rows
