"""The odds of the next character: what the model chooses between."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from shakegpt.system.text import escape_line
from shakegpt.tui.generation.generation_thread import NextCharacterView
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

if TYPE_CHECKING:
    from shakegpt.generation.stream import Choice

_CHARACTER_NAMES = {" ": "space", "\n": "newline", "\t": "tab"}
_EIGHTHS = " ▏▎▍▌▋▊▉"
_RANK_WIDTH = 26
"""The width from which on the lines are numbered."""
_PARTS = ("label", "bar", "cut", "drawn", "highlighted", "figure")


_HINT = "f freezes"
_FOCUSED_HINT = "← back · ⏎ takes it"
_WALKING_HINT = "← → walk · ⏎ branches"
_TITLE = "Odds of the next letter"
_WALKING_TITLE = "Odds of the marked letter"


def character_name(character: str) -> str:
    """Return a character as the panel shows it: blank ones by name."""
    return _CHARACTER_NAMES.get(character) or escape_line(character)


def bar(share: float, width: int) -> str:
    """Return a bar that fills a share of ``width`` cells, to an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(width)


def percentage(share: float) -> str:
    """Return a share in percent, in at most six characters: ``72 %``, ``0.4 %``."""
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{share:.1%}".replace("%", " %") if share < 0.01 else f"{share:.0%}".replace("%", " %")


def choices_in_words(entropy: float) -> str:
    """Return an entropy in bits, and between how many equal choices it is one."""
    count = round(2**entropy)
    return f"{entropy:.1f} bits: " + ("hardly a choice" if count < 2 else f"about {count} choices")


class NextCharacter(DiffWidget, can_focus=True):
    """Bars for the likeliest characters, cut ones marked as cut; during a pause, one can be chosen by hand."""

    DEFAULT_CSS: ClassVar[str] = """
    NextCharacter {
        width: 100%;
        height: 1fr;
        background: $background;
        & > .next-character--label { color: $foreground; background: $background; }
        & > .next-character--bar { color: $secondary; background: $background; }
        & > .next-character--cut { color: $text-muted; background: $background; }
        & > .next-character--drawn { color: $primary; background: $background; text-style: bold; }
        & > .next-character--highlighted { color: $primary; background: $panel; text-style: bold; }
        & > .next-character--figure { color: $text-muted; background: $background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"next-character--{part}" for part in _PARTS}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "Likelier", show=False, id="next.up", tooltip="Choose a likelier character"),
        Binding("down", "choose(1)", "Less likely", show=False, id="next.down", tooltip="Choose a less likely one"),
        Binding("left,h", "walk(-1)", "Back", id="next.back", tooltip="Walk back to the letter before"),
        Binding("right,l", "walk(1)", "On", show=False, id="next.on", tooltip="Walk on to the letter after"),
        Binding("enter", "take", "Take it", id="next.take", tooltip="Let this letter stand there; the model goes on"),
        Binding("escape", "leave", "Done", id="next.leave", tooltip="Leave the panel; nothing is drawn"),
    ]

    @dataclass
    class Chosen(Message):
        """A character was chosen by hand."""

        character: str

    @dataclass
    class Walked(Message):
        """The user walks along the text, by so many characters."""

        step: int

    class Left(Message):
        """The user is done with choosing."""

    def __init__(self) -> None:
        super().__init__(classes="pane")
        self.border_title = _TITLE
        self.border_subtitle = _HINT
        self._view: NextCharacterView | None = None
        self._highlighted = 0
        self._words = _TITLE, _HINT

    def show(self, view: NextCharacterView | None) -> None:
        """Show a distribution: one just drawn from, or the one to draw from next."""
        if view is not self._view:
            walking = view is not None and view.position is not None
            # Where a letter stands already, it is another that one comes for.
            first = view.choices[0].character if view is not None and view.choices else None
            self._highlighted = 1 if view is not None and walking and first == view.drawn else 0
        self._view = view
        self._show_hint()
        self.redraw()

    def _show_hint(self) -> None:
        walking = self._view is not None and self._view.position is not None
        words = (
            _WALKING_TITLE if walking else _TITLE,
            (_WALKING_HINT if walking else _FOCUSED_HINT) if self.has_focus else _HINT,
        )
        if words != self._words:  # setting them paints the panel again
            self._words = words
            self.border_title, self.border_subtitle = words

    def on_focus(self) -> None:
        """Highlight a character."""
        self._show_hint()
        self.redraw()

    def on_blur(self) -> None:
        """Highlight none."""
        self._show_hint()
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Let the character that was clicked come next, if it is still to be chosen."""
        offset = event.get_content_offset(self)
        if offset is not None and self._view is not None and offset.y < len(self._shown(self.size.height)):
            self._highlighted = offset.y
            self.redraw()
            self.action_take()

    def action_choose(self, step: int) -> None:
        """Highlight a likelier or less likely character."""
        if shown := self._shown(self.size.height):
            self._highlighted = (self._highlighted + step) % len(shown)
            self.redraw()

    def action_take(self) -> None:
        """Choose the highlighted character."""
        if self._view and self._view.open and (shown := self._shown(self.size.height)):
            self.post_message(self.Chosen(shown[self._highlighted % len(shown)].character))

    def action_walk(self, step: int) -> None:
        """Go back in the text, or on."""
        self.post_message(self.Walked(step))

    def action_leave(self) -> None:
        """Give up choosing."""
        self.post_message(self.Left())

    def _shown(self, height: int) -> "Sequence[Choice]":
        """Return the characters that there is room for, above the two lines of figures; the last is the drawn one."""
        view = self._view
        if view is None:
            return ()
        shown = view.choices[: max(1, height - 2)]
        if view.drawn_choice is not None and view.rank is not None and view.rank > len(shown):
            # It was drawn though it is not among the likeliest: it takes the place of the last of them.
            return [*shown[:-1], view.drawn_choice]
        return shown

    def draw(self, width: int, height: int) -> list[Row]:
        """Return a line for each character, then what was cut and the entropy."""
        styles = {part: self.get_component_rich_style(f"next-character--{part}") for part in _PARTS}
        view = self._view
        if view is None:
            return [[("nothing drawn yet", styles["figure"])]]
        shown = self._shown(height)
        likeliest = max((choice.uncut_probability for choice in shown), default=1.0) or 1.0
        rows: list[Row] = []
        for place, choice in enumerate(shown):
            highlighted = self.has_focus and view.open and place == self._highlighted % len(shown)
            drawn = choice.character == view.drawn
            part = "highlighted" if highlighted else "cut" if choice.cut else "drawn" if drawn else "label"
            mark = "▸ " if highlighted or (drawn and view.position is None) else "◆ " if drawn else "  "
            rank = view.rank if drawn else place + 1
            rows.append(_row(mark, f"{rank}", choice, choice.uncut_probability / likeliest, width, styles, part))
        cut = f"  cut ░░ {percentage(view.cut)}" if view.cut else ""
        return [*rows, [(cut, styles["cut"])], [(f"  {choices_in_words(view.entropy)}", styles["figure"])]]


def _row(mark: str, rank: str, choice: "Choice", share: float, width: int, styles: dict[str, Style], part: str) -> Row:
    name = character_name(choice.character)[:7]
    label = f"{mark}{rank:>2} {name:<7} " if width >= _RANK_WIDTH else f"{mark}{name:<7} "
    figure = f"{percentage(choice.uncut_probability):>7}"
    room = max(1, width - len(label) - len(figure))
    bars = ("░" * max(1, round(share * room))).ljust(room) if choice.cut else bar(share, room)
    return [(label, styles[part]), (bars, styles["bar" if part == "label" else part]), (figure, styles[part])]
