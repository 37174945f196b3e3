"""The next-character panel: what the model hesitated between."""

from typing import ClassVar

from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message

from shakegpt.system.text import escape_line
from shakegpt.tui.generation.generation_thread import Choice, Outlook
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

_NAMES = {" ": "space", "\n": "newline", "\t": "tab"}
_EIGHTHS = " ▏▎▍▌▋▊▉"
_PARTS = ("title", "label", "bar", "cut", "drawn", "chosen", "hint")


def character_name(character: str) -> str:
    """Return a character as the panel names it: blank ones by word."""
    return _NAMES.get(character) or escape_line(character)


def bar(share: float, width: int) -> str:
    """Return a bar that fills a share of ``width`` cells, to an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)


class NextCharacter(DiffWidget, can_focus=True):
    """Bars for the likeliest characters, those that were cut shown as cut; one can be picked by hand while it rests."""

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
        & > .next-character--chosen { color: $primary; background: $panel; text-style: bold; }
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

    class Taken(Message):
        """A character was picked by hand."""

        def __init__(self, character: str) -> None:
            self.character = character
            super().__init__()

    class Left(Message):
        """The user is done with picking."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  (Textual's name)
        super().__init__(id=id)
        self._outlook: Outlook | None = None
        self._chosen = 0

    def show(self, outlook: Outlook | None) -> None:
        """Show a distribution: one just drawn from, or the one to draw from next."""
        if outlook is not self._outlook:
            self._chosen = 0
        self._outlook = outlook
        self.redraw()

    def on_focus(self) -> None:
        """Show which character would be taken."""
        self.redraw()

    def on_blur(self) -> None:
        """Choose nothing any more."""
        self.redraw()

    def action_choose(self, step: int) -> None:
        """Choose a likelier or less likely character."""
        if self._outlook and self._outlook.choices:
            self._chosen = (self._chosen + step) % len(self._outlook.choices)
            self.redraw()

    def action_take(self) -> None:
        """Let the chosen character come next."""
        if self._outlook and self._outlook.drawn is None and self._outlook.choices:
            self.post_message(self.Taken(self._outlook.choices[self._chosen].character))

    def action_leave(self) -> None:
        """Be done with picking."""
        self.post_message(self.Left())

    def draw(self, width: int, height: int) -> list[Row]:  # noqa: ARG002  (rows below the pane are cut)
        """Return the title, a line for each character, the entropy, and what the keys do."""
        styles = {part: self.get_component_rich_style(f"next-character--{part}") for part in _PARTS}
        outlook = self._outlook
        if outlook is None:
            return [[("next character", styles["title"])], [], [("nothing drawn yet", styles["hint"])]]
        title = "drawn from" if outlook.drawn is not None else "next character"
        entropy = f"{outlook.entropy:.2f} bits"
        rows: list[Row] = [[(title.ljust(width - len(entropy)), styles["title"]), (entropy, styles["title"])], []]
        top = max((choice.uncut_probability for choice in outlook.choices), default=1.0) or 1.0
        for index, choice in enumerate(outlook.choices):
            picked = self.has_focus and outlook.drawn is None and index == self._chosen
            rows.append(_row(choice, top, width, styles, picked=picked, drawn=choice.character == outlook.drawn))
        hint = "enter takes, . draws, f ends" if self.has_focus else "f freezes and picks by hand"
        return [*rows, [], [(hint[:width], styles["hint"])]]


def _row(choice: Choice, top: float, width: int, styles: dict[str, Style], *, picked: bool, drawn: bool) -> Row:
    name = character_name(choice.character)[:7]
    figure = f"{choice.uncut_probability:6.1%}" if not choice.cut else f"cut {choice.uncut_probability:6.1%}"
    room = max(1, width - 9 - 11)
    length = bar(choice.uncut_probability / top, room)
    if picked:
        return [(f"▸{name:<7} {length}{figure:>11}", styles["chosen"])]
    if choice.cut:
        return [(f" {name:<7} {length.replace('█', '░')}{figure:>11}", styles["cut"])]
    label = styles["drawn" if drawn else "label"]
    return [
        (f"{'•' if drawn else ' '}{name:<7} ", label),
        (length, styles["drawn" if drawn else "bar"]),
        (f"{figure:>11}", label),
    ]
