"""The generated text: it grows at its end, cheaply enough for a slow link."""

import math
from collections.abc import Iterable
from enum import IntEnum
from itertools import groupby
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Region, Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from shakegpt.system.text import escape_control_characters
from shakegpt.tui.generation.line_wrapping import WrappedText

LONGEST_LINE = 96
"""In cells: longer lines tire the eye and cost bytes at every character."""
CELLS_PER_SCROLL = 700
"""A scroll repaints the pane. A larger pane scrolls by more lines at once, so that a character costs no more bytes."""
TINT_COST = 5
"""How many times more bytes a pane costs whose colour changes at every other character."""
SURPRISE_BOUNDS = (0.4, 0.1, 0.02)
"""The probabilities between the levels of surprise: likelier than the first is no surprise at all."""
_STRIPS_KEPT = 1_000
_NO_COLOR_MARK = Style(reverse=True, bold=True)
_MARGIN = 1
"""Cells left of the text. They are drawn with it: padding of its own would cost a change of style at every frame."""


class TextKind(IntEnum):
    """What a piece of the transcript is, and so how it is styled."""

    GENERATED = 0
    PROMPT = 1
    NOTE = 2
    USER_NAME = 3
    USER_SPEECH = 4
    MODEL_NAME = 5
    MODEL_SPEECH = 6

    @property
    def component_class(self) -> str:
        """The component class that styles it."""
        return f"transcript--{self.name.lower().replace('_', '-')}"


def surprise_level(probability: float) -> int:
    """Return how surprising a character of this probability is: 1 (expected) to 4; 0 is for text not drawn."""
    return 1 + sum(probability < bound for bound in SURPRISE_BOUNDS)


def _shown(character: str) -> str:
    return "    " if character == "\t" else escape_control_characters(character)


def shown_length(text: str) -> int:
    """Return how many characters a transcript shows of a text: control characters are spelled out."""
    return sum(len(_shown(character)) for character in text)


class Transcript(ScrollView, can_focus=True):
    """A pane of text that wraps, scrolls, and follows its end while that is in sight.

    Only the cells that changed are painted again. Text is data: control characters are escaped.
    """

    DEFAULT_CSS = """
    Transcript {
        height: 1fr;
        background: $background;
        scrollbar-size: 0 0;
        overflow-x: hidden;
        overflow-y: auto;
        & > .transcript--generated { color: $foreground; }
        & > .transcript--prompt { color: $primary; text-style: bold; }
        & > .transcript--note { color: $text-muted; text-style: italic; }
        & > .transcript--user-name { color: $secondary; text-style: bold; }
        & > .transcript--user-speech { color: $secondary; }
        & > .transcript--model-name { color: $primary; text-style: bold; }
        & > .transcript--model-speech { color: $foreground; }
        & > .transcript--surprise-1 { color: $text-muted; }
        & > .transcript--surprise-2 { color: $secondary; }
        & > .transcript--surprise-3 { color: $warning; text-style: bold; }
        & > .transcript--surprise-4 { color: $error; text-style: bold underline; }
        & > .transcript--cursor { background: $primary; color: $background; }
        & > .transcript--marked { background: $panel; }
        & > .transcript--parting { color: $background; background: $accent; text-style: bold; }
        & > .transcript--thumb { color: $border; background: $background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(kind.component_class for kind in TextKind),
        *(f"transcript--surprise-{number}" for number in range(1, len(SURPRISE_BOUNDS) + 2)),
        "transcript--cursor",
        "transcript--marked",
        "transcript--parting",
        "transcript--thumb",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_lines(-1)", "Up", show=False, id="transcript.up", tooltip="Scroll up a line"),
        Binding("down,j", "scroll_lines(1)", "Down", show=False, id="transcript.down", tooltip="Scroll down a line"),
        Binding("pageup", "scroll_pages(-1)", "Page up", show=False, id="transcript.page_up", tooltip="A page back"),
        Binding("pagedown", "scroll_pages(1)", "Page down", show=False, id="transcript.page_down", tooltip="A page on"),
        Binding("home,g", "scroll_home", "Top", show=False, id="transcript.top", tooltip="Go to the beginning"),
        Binding("end,G", "scroll_end", "End", show=False, id="transcript.end", tooltip="Go to the end and follow it"),
    ]

    tint: var[bool] = var(default=False)
    """Whether drawn characters are coloured by how surprising they are."""
    cursor: var[bool] = var(default=False)
    """Whether the end is marked, because more text is on its way."""
    marked: var[tuple[int, int] | None] = var(None)
    """The start and the end of the part of the text that is marked."""
    parting: var[int | None] = var(None)
    """The index of the first character that differs from the text beside this one."""
    walked: var[int | None] = var(None)
    """The index of the character that was walked back to."""

    def __init__(self) -> None:
        super().__init__()
        self._wrapped = WrappedText(LONGEST_LINE)
        self._kinds = bytearray()
        self._levels = bytearray()
        self._strips: dict[int, Strip] = {}
        self._styles: dict[str, Style] = {}

    # The text

    def __len__(self) -> int:
        return len(self._wrapped.characters)

    @property
    def text(self) -> str:
        """The whole text, as it is shown."""
        return "".join(self._wrapped.characters)

    def write(self, text: str, kind: TextKind = TextKind.GENERATED) -> None:
        """Add text at the end."""
        self._append((character, kind, 0) for character in text)

    def write_characters(self, characters: Iterable[tuple[str, float]], kind: TextKind = TextKind.GENERATED) -> None:
        """Add characters at the end, each with its probability under the model."""
        self._append((text, kind, surprise_level(probability)) for text, probability in characters)

    def truncate(self, length: int) -> None:
        """Remove the text from ``length`` on."""
        if length >= len(self):
            return
        self._wrapped.truncate(length)
        del self._kinds[length:]
        del self._levels[length:]
        self._lay_out()

    def clear(self) -> None:
        """Remove everything."""
        self.parting = None
        self.truncate(0)

    def keep_last(self, length: int) -> int:
        """Remove the lines that begin the text once it is a quarter longer than ``length``.

        Returns:
            The number of characters that are gone.
        """
        if len(self) < length * 5 // 4:
            return 0
        line, gone = self._wrapped.drop_lines(len(self) - length)
        del self._kinds[:gone]
        del self._levels[:gone]
        self.marked = self.walked = None
        if self.parting is not None:
            self.parting = self.parting - gone if self.parting >= gone else None
        following, top = self.following, self.scroll_offset.y
        self._lay_out()
        if not following:
            self.scroll_to(y=max(0, top - line), animate=False, force=True)
        return gone

    def _append(self, characters: Iterable[tuple[str, TextKind, int]]) -> None:
        following = self.following
        before = self._wrapped.cells(self._wrapped.line_count - 1)
        shown: list[str] = []
        for character, kind, level in characters:
            escaped = _shown(character)
            shown.append(escaped)
            self._kinds.extend([kind] * len(escaped))
            self._levels.extend([level] * len(escaped))
        if not shown:
            return
        first = self._wrapped.append("".join(shown))
        # The last line has grown, or has lost a word to the next one: paint as far as it reached before or reaches now.
        after = self._wrapped.cells(first)
        self._repaint(first, min(before, after), max(before, after) + 1)
        for line in range(first + 1, self._wrapped.line_count):
            self._repaint(line, 0)
        self._make_room(follow=following)

    # Scrolling

    @property
    def following(self) -> bool:
        """Whether the end is in sight, so that the pane scrolls with it."""
        return round(self.scroll_target_y) >= self.max_scroll_y

    def _make_room(self, *, follow: bool) -> None:
        """Grow the scrollable height once the text runs out of it, by a few lines ahead."""
        height = self._wrapped.line_count
        if height <= self.virtual_size.height and self.virtual_size.width == self._line_width:
            return
        pane = self.size.width * self.size.height * (TINT_COST if self.tint else 1)
        lines = min(math.ceil(pane / CELLS_PER_SCROLL), max(1, self.size.height // 2))
        ahead = lines - 1 if height > self.size.height else 0
        self.virtual_size = Size(self._line_width, height + ahead)
        if follow:
            self.action_scroll_end()

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll by lines, at once: an animation would cost bytes."""
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False)

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll by pages."""
        self.scroll_to(y=self.scroll_offset.y + pages * max(1, self.size.height - 1), animate=False)

    def action_scroll_home(self) -> None:
        """Go to the beginning."""
        self.scroll_to(y=0, animate=False)

    def action_scroll_end(self) -> None:
        """Go to the end; from there on it is followed."""
        # Forced: the scroll bar may not know yet that there is something to scroll.
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def scroll_into_view(self, index: int) -> None:
        """Scroll so that the character at ``index`` is in sight."""
        line = self._wrapped.line_of(index)
        if not self.scroll_offset.y <= line < self.scroll_offset.y + self.size.height:
            self.scroll_to(y=max(0, line - self.size.height // 3), animate=False)

    # Painting

    @property
    def _line_width(self) -> int:
        return min(LONGEST_LINE, max(1, self.size.width - _MARGIN - 2))  # a gap, and the thumb

    def on_resize(self, event: Resize) -> None:
        """Wrap the lines at the new width."""
        del event
        self._lay_out()

    def _lay_out(self) -> None:
        following = self.following
        self._wrapped.resize(self._line_width)
        self._strips.clear()
        self.virtual_size = Size(self._line_width, max(self.size.height, self._wrapped.line_count))
        if following:
            self.action_scroll_end()
        self.refresh()

    def notify_style_update(self) -> None:
        """Draw again in the colours of another theme."""
        super().notify_style_update()
        self._clear_paint()

    def _clear_paint(self) -> None:
        self._strips.clear()
        self._styles.clear()
        self.refresh()

    def watch_tint(self) -> None:
        """Draw with or without the colours of surprise."""
        self._clear_paint()

    def watch_marked(self) -> None:
        """Draw the marked part."""
        self._clear_paint()

    def watch_parting(self) -> None:
        """Draw the mark."""
        self._clear_paint()

    def watch_walked(self, before: int | None, after: int | None) -> None:
        """Move the mark."""
        for index in (before, after):
            if index is not None and index < len(self):
                self._repaint(self._wrapped.line_of(index), 0)

    def watch_cursor(self) -> None:
        """Show or hide the mark at the end."""
        if self.is_mounted:
            last = self._wrapped.line_count - 1
            self._repaint(last, self._wrapped.cells(last))

    def _repaint(self, line: int, start: int, end: int | None = None) -> None:
        """Paint a line again from cell ``start`` on, the mark at its end included."""
        self._strips.pop(line, None)
        end = self._wrapped.cells(line) + 1 if end is None else end
        y = line - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(_MARGIN + start, y, max(1, end - start), 1))

    def render_line(self, y: int) -> Strip:
        """Draw one line of the pane, and the thumb at its right edge where there is more than fits."""
        line = y + self.scroll_offset.y
        if line < self._wrapped.line_count:
            strip = self._line_strip(line)
        else:
            strip = Strip.blank(self.size.width - 1, self.rich_style)
        thumb = self._thumb_at(y)
        edge = Segment("▐", self._style("transcript--thumb")) if thumb else Segment(" ", self.rich_style)
        return Strip([*strip, edge]).simplify().apply_offsets(-_MARGIN, line)

    def _thumb_at(self, y: int) -> bool:
        height, whole = self.size.height, self.virtual_size.height
        if whole <= height:
            return False
        top = round(self.scroll_offset.y * height / whole)
        return top <= y < max(top + 1, round((self.scroll_offset.y + height) * height / whole))

    def _line_strip(self, line: int) -> Strip:
        if selection := self.text_selection:
            return self._draw(line, selection)
        if line not in self._strips:
            if len(self._strips) >= _STRIPS_KEPT:
                self._strips.clear()
            self._strips[line] = self._draw(line)
        return self._strips[line]

    def _draw(self, line: int, selection: Selection | None = None) -> Strip:
        start, end = self._wrapped.span(line)
        selected = selection.get_span(line) if selection else None
        segments = [Segment(" " * _MARGIN, self._style(TextKind.GENERATED.component_class))]
        styles = [self._style_at(index, start, selected) for index in range(start, end)]
        if self.tint and selected is None:
            # The colour of a space is invisible: in its neighbour's, it saves two changes of colour.
            for column in range(1, len(styles)):
                if self._wrapped.characters[start + column] == " ":
                    styles[column] = styles[column - 1]
        for style, run in groupby(styles):
            end = start + len(list(run))
            segments.append(Segment("".join(self._wrapped.characters[start:end]), style))
            start = end
        if self.cursor and line == self._wrapped.line_count - 1:
            segments.append(Segment(" ", self._style("transcript--cursor")))
        start, end = self._wrapped.span(line)
        if self.walked == end < len(self) and self._wrapped.characters[end] == "\n":
            segments.append(Segment(" ", self._walked_style()))  # the newline itself has no cell
        return Strip(segments).crop_extend(0, self.size.width - 1, self.rich_style)

    def _style_at(self, index: int, start: int, selected: tuple[int, int] | None) -> Style:
        level = self._levels[index]
        name = f"transcript--surprise-{level}" if self.tint and level else TextKind(self._kinds[index]).component_class
        style = self._style(name)
        if self.marked is not None and self.marked[0] <= index < self.marked[1]:
            style += Style(bgcolor=self._style("transcript--marked").bgcolor, reverse=self.app.no_color)
        if index == self.parting:
            style = style + _NO_COLOR_MARK if self.app.no_color else self._style("transcript--parting")
        if index == self.walked:
            style = self._walked_style()
        if selected is not None and selected[0] <= index - start and (selected[1] == -1 or index - start < selected[1]):
            style += _NO_COLOR_MARK if self.app.no_color else self._selection_style()
        return style

    def _walked_style(self) -> Style:
        return _NO_COLOR_MARK if self.app.no_color else self._style("transcript--cursor")

    def _selection_style(self) -> Style:
        style = self.screen.get_component_rich_style("screen--selection")
        if (
            style.color == style.bgcolor
        ):  # a theme whose selection leaves text its colour: not every one can be read on it
            style += Style(color=self._style(TextKind.GENERATED.component_class).color)
        return style

    def _style(self, name: str) -> Style:
        if name not in self._styles:
            self._styles[name] = self.get_component_rich_style(name)
        return self._styles[name]

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the text that was selected with the mouse."""
        return selection.extract("\n".join(self._wrapped.lines())), "\n"
