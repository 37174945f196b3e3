"""What was spoken: text that grows at its end, cheaply enough for a slow link."""

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
from shakegpt.tui.generation.line_wrapping import Flow

MEASURE = 96
"""The longest line, in cells: longer ones tire the eye and cost bytes at every character."""
CELLS_PER_SCROLL = 700
"""A scroll repaints the pane. A larger pane scrolls by more lines at once, so that a character costs no more bytes."""
TINT_PRICE = 5
"""How much dearer a pane is whose colour changes at every other character."""
ODDS = (0.4, 0.1, 0.02)
"""Where the shades of surprise meet: likelier than the first is no surprise at all."""
_STRIPS_KEPT = 1_000
_MARGIN = 1
"""Cells left of the text. They are drawn with it: padding of its own would cost a change of style at every frame."""


class Tone(IntEnum):
    """Whose words they are."""

    WRITTEN = 0
    GIVEN = 1
    NOTE = 2
    YOUR_NAME = 3
    YOURS = 4
    THEIR_NAME = 5
    THEIRS = 6

    @property
    def component(self) -> str:
        """The component class that styles it."""
        return f"transcript--{self.name.lower().replace('_', '-')}"


def shade(probability: float) -> int:
    """Return how surprising a character of this probability is: 1 (expected) to 4; 0 is for words nobody drew."""
    return 1 + sum(probability < border for border in ODDS)


class Transcript(ScrollView, can_focus=True):
    """A pane of text that wraps, scrolls, and follows its end only while it is looked at.

    Only the cells that changed are painted again. Text is data: control characters are spelled out, never obeyed.
    """

    DEFAULT_CSS = """
    Transcript {
        height: 1fr;
        background: $background;
        scrollbar-size: 0 0;
        overflow-x: hidden;
        overflow-y: auto;
        & > .transcript--written { color: $foreground; }
        & > .transcript--given { color: $primary; text-style: bold; }
        & > .transcript--note { color: $text-muted; text-style: italic; }
        & > .transcript--your-name { color: $secondary; text-style: bold; }
        & > .transcript--yours { color: $secondary; }
        & > .transcript--their-name { color: $primary; text-style: bold; }
        & > .transcript--theirs { color: $foreground; }
        & > .transcript--shade-1 { color: $text-muted; }
        & > .transcript--shade-2 { color: $secondary; }
        & > .transcript--shade-3 { color: $warning; text-style: bold; }
        & > .transcript--shade-4 { color: $error; text-style: bold underline; }
        & > .transcript--cursor { background: $primary; color: $background; }
        & > .transcript--marked { background: $panel; }
        & > .transcript--thumb { color: $border; background: $background; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(tone.component for tone in Tone),
        *(f"transcript--shade-{number}" for number in range(1, len(ODDS) + 2)),
        "transcript--cursor",
        "transcript--marked",
        "transcript--thumb",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_lines(-1)", "Up", show=False, id="transcript.up", tooltip="Scroll up a line"),
        Binding("down", "scroll_lines(1)", "Down", show=False, id="transcript.down", tooltip="Scroll down a line"),
        Binding(
            "pageup", "scroll_pages(-1)", "Page up", show=False, id="transcript.page_up", tooltip="Scroll up a page"
        ),
        Binding(
            "pagedown",
            "scroll_pages(1)",
            "Page down",
            show=False,
            id="transcript.page_down",
            tooltip="Scroll down a page",
        ),
        Binding("home", "scroll_home", "Top", show=False, id="transcript.top", tooltip="Go to the beginning"),
        Binding("end", "scroll_end", "End", show=False, id="transcript.end", tooltip="Go to the end and follow it"),
    ]

    tint: var[bool] = var(default=False)
    """Whether drawn characters are coloured by how surprising they are."""
    cursor: var[bool] = var(default=False)
    """Whether the end is marked: words are on their way."""
    marked: var[tuple[int, int] | None] = var(None)
    """The part of the text that is marked, from and up to a place."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._flow = Flow(MEASURE)
        self._tones = bytearray()
        self._shades = bytearray()
        self._strips: dict[int, Strip] = {}
        self._styles: dict[str, Style] = {}

    # -- the text

    def __len__(self) -> int:
        return len(self._flow.characters)

    @property
    def text(self) -> str:
        """Everything that is shown."""
        return "".join(self._flow.characters)

    @property
    def line_count(self) -> int:
        """The lines that the text takes at this width."""
        return self._flow.lines

    def write(self, text: str, tone: Tone = Tone.WRITTEN) -> None:
        """Write text at the end."""
        self._append((character, tone, 0) for character in text)

    def write_drawn(self, characters: Iterable[tuple[str, float]], tone: Tone = Tone.WRITTEN) -> None:
        """Write characters at the end, each with the probability that it was drawn with."""
        self._append((text, tone, shade(probability)) for text, probability in characters)

    def truncate(self, length: int) -> None:
        """Forget the text from ``length`` on."""
        if length >= len(self):
            return
        self._flow.truncate(length)
        del self._tones[length:]
        del self._shades[length:]
        self._lay_out()

    def clear(self) -> None:
        """Forget everything."""
        self.truncate(0)

    def _append(self, characters: Iterable[tuple[str, Tone, int]]) -> None:
        following = self.following
        before = self._flow.cells(self._flow.lines - 1)
        shown: list[str] = []
        for character, tone, level in characters:
            spelled = "    " if character == "\t" else escape_control_characters(character)
            shown.append(spelled)
            self._tones.extend([tone] * len(spelled))
            self._shades.extend([level] * len(spelled))
        if not shown:
            return
        first = self._flow.append("".join(shown))
        # The last line has grown, or has lost a word to the next one: it is painted as far as it reached or reaches.
        after = self._flow.cells(first)
        self._repaint(first, min(before, after), max(before, after) + 1)
        for line in range(first + 1, self._flow.lines):
            self._repaint(line, 0)
        self._make_room(follow=following)

    # -- scrolling

    @property
    def following(self) -> bool:
        """Whether the end is in sight, so that the pane keeps up with it."""
        return round(self.scroll_target_y) >= self.max_scroll_y

    def _make_room(self, *, follow: bool) -> None:
        """Grow the scrollable height once the text runs out of it, by a few lines ahead."""
        height = self._flow.lines
        if height <= self.virtual_size.height and self.virtual_size.width == self._measure:
            return
        pane = self.size.width * self.size.height * (TINT_PRICE if self.tint else 1)
        lines = min(math.ceil(pane / CELLS_PER_SCROLL), max(1, self.size.height // 2))
        ahead = lines - 1 if height > self.size.height else 0
        self.virtual_size = Size(self._measure, height + ahead)
        if follow:
            self._scroll_to_end()

    def _scroll_to_end(self) -> None:
        # Forced: the scroll bar may not have heard yet that there is something to scroll.
        self.scroll_to(y=self.max_scroll_y, animate=False, force=True)

    def action_scroll_lines(self, lines: int) -> None:
        """Scroll by lines, at once: an animation would be paid for in bytes."""
        self.scroll_to(y=self.scroll_offset.y + lines, animate=False)

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll by pages."""
        self.scroll_to(y=self.scroll_offset.y + pages * max(1, self.size.height - 1), animate=False)

    def action_scroll_home(self) -> None:
        """Go to the beginning."""
        self.scroll_to(y=0, animate=False)

    def action_scroll_end(self) -> None:
        """Go to the end; from there on it is followed."""
        self._scroll_to_end()

    def show_place(self, index: int) -> None:
        """Scroll so that a place in the text is in sight."""
        line = self._flow.line_of(index)
        if not self.scroll_offset.y <= line < self.scroll_offset.y + self.size.height:
            self.scroll_to(y=max(0, line - self.size.height // 3), animate=False)

    # -- painting

    @property
    def _measure(self) -> int:
        return min(MEASURE, max(1, self.size.width - _MARGIN - 2))  # a gap, and the thumb

    def on_resize(self, event: Resize) -> None:
        """Break the lines anew."""
        del event
        self._lay_out()

    def _lay_out(self) -> None:
        following = self.following
        self._flow.resize(self._measure)
        self._strips.clear()
        self.virtual_size = Size(self._measure, max(self.size.height, self._flow.lines))
        if following:
            self._scroll_to_end()
        self.refresh()

    def notify_style_update(self) -> None:
        """Forget strips in the colours of another theme."""
        super().notify_style_update()
        self._forget_paint()

    def _forget_paint(self) -> None:
        self._strips.clear()
        self._styles.clear()
        self.refresh()

    def watch_tint(self) -> None:
        """Draw with or without the shades of surprise."""
        self._forget_paint()

    def watch_marked(self) -> None:
        """Draw the marked part."""
        self._forget_paint()

    def watch_cursor(self) -> None:
        """Show or hide the mark at the end."""
        if self.is_mounted:
            self._repaint(self._flow.lines - 1, self._flow.cells(self._flow.lines - 1))

    def _repaint(self, line: int, start: int, end: int | None = None) -> None:
        """Paint a line again from cell ``start`` on, the mark at its end included."""
        self._strips.pop(line, None)
        end = self._flow.cells(line) + 1 if end is None else end
        y = line - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(_MARGIN + start, y, max(1, end - start), 1))

    def render_line(self, y: int) -> Strip:
        """Draw one line of the pane, and the thumb at its right edge where there is more than fits."""
        line = y + self.scroll_offset.y
        strip = self._line_strip(line) if line < self._flow.lines else None
        if strip is None:
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
        selection = self.text_selection
        strip = self._strips.get(line) if selection is None else None
        if strip is None:
            strip = self._draw(line, self.size.width - 1, selection)
            if len(self._strips) >= _STRIPS_KEPT:
                self._strips.clear()
            if selection is None:
                self._strips[line] = strip
        return strip

    def _draw(self, line: int, width: int, selection: Selection | None) -> Strip:
        start, end = self._flow.span(line)
        chosen = selection.get_span(line) if selection is not None else None
        segments = [Segment(" " * _MARGIN, self._style(Tone.WRITTEN.component))]
        styles = [self._style_at(index, start, chosen) for index in range(start, end)]
        if self.tint and chosen is None:
            # A space has no ink: in its neighbour's colour it saves two changes of colour.
            for place in range(1, len(styles)):
                if self._flow.characters[start + place] == " ":
                    styles[place] = styles[place - 1]
        place = start
        for style, run in groupby(styles):
            until = place + len(list(run))
            segments.append(Segment("".join(self._flow.characters[place:until]), style))
            place = until
        if self.cursor and line == self._flow.lines - 1:
            segments.append(Segment(" ", self._style("transcript--cursor")))
        return Strip(segments).crop_extend(0, width, self.rich_style)

    def _style_at(self, index: int, start: int, chosen: tuple[int, int] | None) -> Style:
        level = self._shades[index]
        name = f"transcript--shade-{level}" if self.tint and level else Tone(self._tones[index]).component
        style = self._style(name)
        if self.marked is not None and self.marked[0] <= index < self.marked[1]:
            style += Style(bgcolor=self._style("transcript--marked").bgcolor, reverse=self.app.no_color)
        if chosen is not None and chosen[0] <= index - start and (chosen[1] == -1 or index - start < chosen[1]):
            style += self.screen.get_component_rich_style("screen--selection")
        return style

    def _style(self, name: str) -> Style:
        if name not in self._styles:
            self._styles[name] = self.get_component_rich_style(name)
        return self._styles[name]

    # -- selecting with a mouse

    @property
    def allow_select(self) -> bool:
        """Text can be selected, and copied with Ctrl+C."""
        return True

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the text under a selection."""
        lines = ["".join(self._flow.characters[slice(*self._flow.span(line))]) for line in range(self._flow.lines)]
        return selection.extract("\n".join(lines)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw the selection."""
        del selection
        self._strips.clear()
        self.refresh()
