"""The next-character panel: what the model chooses between."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message

from shakegpt.system.text import escape_line
from shakegpt.tui.generation.generation_thread import NextCharacterView
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.generation.stream import Choice

_CHARACTER_NAMES = {" ": "space", "\n": "newline", "\t": "tab"}
_EIGHTHS = " ▏▎▍▌▋▊▉"
_PARTS = ("title", "label", "bar", "cut", "drawn", "highlighted", "hint")


def character_name(character: str) -> str:
    """Return a character as the panel shows it: blank ones by name."""
    return _CHARACTER_NAMES.get(character) or escape_line(character)


def bar(share: float, width: int) -> str:
    """Return a bar that fills a share of ``width`` cells, to an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)


class NextCharacter(DiffWidget, can_focus=True):
    """Bars for the likeliest characters, cut ones marked as cut; during a pause, one can be chosen by hand."""

    DEFAULT_CSS: ClassVar[str] = """
    NextCharacter {
        width: 32;
        height: 1fr;
        padding: 0 1;
        background: $surface;
        & > .next-character--title { color: $text-muted; background: $surface; }
        & > .next-character--label { color: $foreground; background: $surface; }
        & > .next-character--bar { color: $secondary; background: $surface; }
        & > .next-character--cut { color: $text-disabled; background: $surface; }
        & > .next-character--drawn { color: $primary; background: $surface; text-style: bold; }
        & > .next-character--highlighted { color: $primary; background: $panel; text-style: bold; }
        & > .next-character--hint { color: $text-muted; background: $surface; text-style: italic; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"next-character--{part}" for part in _PARTS}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "Likelier", show=False, id="next.up", tooltip="Choose a likelier character"),
        Binding("down", "choose(1)", "Less likely", show=False, id="next.down", tooltip="Choose a less likely one"),
        Binding("enter", "take", "Take it", id="next.take", tooltip="Let this character come next"),
        Binding("escape", "leave", "Done", id="next.leave", tooltip="Leave the panel; nothing is drawn"),
    ]

    @dataclass
    class Chosen(Message):
        """A character was chosen by hand."""

        character: str

    class Left(Message):
        """The user is done with choosing."""

    def __init__(self) -> None:
        super().__init__()
        self._view: NextCharacterView | None = None
        self._highlighted = 0

    def show(self, view: NextCharacterView | None) -> None:
        """Show a distribution: one just drawn from, or the one to draw from next."""
        if view is not self._view:
            self._highlighted = 0
        self._view = view
        self.redraw()

    def on_focus(self) -> None:
        """Highlight a character."""
        self.redraw()

    def on_blur(self) -> None:
        """Highlight none."""
        self.redraw()

    def action_choose(self, step: int) -> None:
        """Highlight a likelier or less likely character."""
        if self._view and self._view.choices:
            self._highlighted = (self._highlighted + step) % len(self._view.choices)
            self.redraw()

    def action_take(self) -> None:
        """Choose the highlighted character."""
        if self._view and self._view.drawn is None and self._view.choices:
            self.post_message(self.Chosen(self._view.choices[self._highlighted].character))

    def action_leave(self) -> None:
        """Give up choosing."""
        self.post_message(self.Left())

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (rows below the pane are cut)
        """Return the title, a line for each character, the entropy, and what the keys do."""
        styles = {part: self.get_component_rich_style(f"next-character--{part}") for part in _PARTS}
        view = self._view
        if view is None:
            return [[("next character", styles["title"])], [], [("nothing drawn yet", styles["hint"])]]
        title = "drawn from" if view.drawn is not None else "next character"
        entropy = f"{view.entropy:.2f} bits"
        rows: list[Row] = [[(title.ljust(width - len(entropy)), styles["title"]), (entropy, styles["title"])], []]
        likeliest = max((choice.uncut_probability for choice in view.choices), default=1.0) or 1.0
        for index, choice in enumerate(view.choices):
            highlighted = self.has_focus and view.drawn is None and index == self._highlighted
            drawn = choice.character == view.drawn
            rows.append(_row(choice, likeliest, width, styles, highlighted=highlighted, drawn=drawn))
        hint = "enter takes, . draws, f ends" if self.has_focus else "f freezes and picks by hand"
        return [*rows, [], [(hint[:width], styles["hint"])]]


def _row(
    choice: "Choice", likeliest: float, width: int, styles: dict[str, Style], *, highlighted: bool, drawn: bool
) -> Row:
    name = character_name(choice.character)[:7]
    percentage = f"{choice.uncut_probability:6.1%}" if not choice.cut else f"cut {choice.uncut_probability:6.1%}"
    bar_width = max(1, width - 9 - 11)
    bars = bar(choice.uncut_probability / likeliest, bar_width)
    if highlighted:
        return [(f"▸{name:<7} {bars}{percentage:>11}", styles["highlighted"])]
    if choice.cut:
        return [(f" {name:<7} {bars.replace('█', '░')}{percentage:>11}", styles["cut"])]
    label = styles["drawn" if drawn else "label"]
    return [
        (f"{'•' if drawn else ' '}{name:<7} ", label),
        (bars, styles["drawn" if drawn else "bar"]),
        (f"{percentage:>11}", label),
    ]
