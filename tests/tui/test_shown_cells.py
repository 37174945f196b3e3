"""Only the cells that change are written: what the terminal shows is the same as with all of them."""

import random
from typing import Any, cast

import pyte
import pytest
from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from shakegpt.tui.shown_cells import ShownCells

WIDTH, HEIGHT = 24, 5
CONSOLE = Console(color_system="truecolor", force_terminal=True)
STYLES = [
    None,
    Style.null(),
    Style.parse("red on black"),
    Style.parse("bold #d9a441 on #12100e"),
    Style.parse("underline #d9a441"),
    Style.parse("reverse"),
    Style.parse("italic on #12100e"),
    Style(color=Color.default(), bgcolor=Color.default()),
]
TEXTS = ["a", " ", "  ", "to be", "│", "█▁", "⏎", "é", "漢", "字 b"]


class Terminal:
    """What the bytes of a program make of a terminal."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.Stream(self.screen)

    def write(self, sequences: str) -> None:
        self._stream.feed(sequences)

    def cells(self) -> list[list[Any]]:
        """Each cell; the colour of the text does not matter where there is none."""
        rows = []
        for y in range(HEIGHT):
            row = (self.screen.buffer[y][x] for x in range(WIDTH))
            rows.append(
                [
                    cell._replace(fg="", bold=False, italics=False) if cell.data == " " and not cell.reverse else cell
                    for cell in row
                ]
            )
        return rows


def line(choose: random.Random, width: int = WIDTH) -> Strip:
    segments: list[Segment] = []
    while (strip := Strip(segments)).cell_length < width:
        segments.append(Segment(choose.choice(TEXTS), choose.choice(STYLES)))
    return strip.adjust_cell_length(width, Style.null())


def layout(lines: list[Strip]) -> LayoutUpdate:
    return LayoutUpdate([[strip] for strip in lines], Region(0, 0, WIDTH, HEIGHT))


def chops(strips: dict[tuple[int, int], Strip]) -> ChopsUpdate:
    """An update of strips, by row and first column."""
    by_row: list[dict[int, Strip | None]] = [{} for _ in range(HEIGHT)]
    ends: list[list[int]] = [[] for _ in range(HEIGHT)]
    spans = []
    for (y, x), strip in sorted(strips.items()):
        by_row[y][x] = strip
        ends[y].append(x + strip.cell_length)
        spans.append((y, x, x + strip.cell_length))
    return ChopsUpdate(by_row, spans, ends)


@pytest.mark.parametrize("seed", range(20))
def test_the_terminal_shows_the_same_as_with_every_cell_written(seed: int) -> None:
    choose = random.Random(seed)
    shown, terminal, plain = ShownCells(), Terminal(), Terminal()
    lines = [line(choose) for _ in range(HEIGHT)]
    for _ in range(12):
        if choose.random() < 0.5:
            y, x = choose.randrange(HEIGHT), choose.randrange(WIDTH // 2)
            update: Any = chops({(y, x): line(choose, choose.randrange(1, WIDTH - x))})
        else:
            lines[choose.randrange(HEIGHT)] = line(choose)
            update = layout(lines)
        terminal.write(shown.write(update, CONSOLE))
        plain.write(update.render_segments(CONSOLE).replace("\n", "\r\n") + "\x1b[0m")
        assert terminal.cells() == plain.cells()


def text(*rows: str, style: str = "#d9a441 on #12100e") -> LayoutUpdate:
    return layout([Strip([Segment(row.ljust(WIDTH), Style.parse(style))]) for row in rows])


def test_what_is_on_show_is_not_written_again() -> None:
    shown = ShownCells()
    assert "good morrow" in shown.write(text("good morrow"), CONSOLE)
    assert shown.write(text("good morrow"), CONSOLE) == ""


def test_only_the_cells_that_changed_are_written() -> None:
    shown = ShownCells()
    shown.write(text("good morrow", "cousin"), CONSOLE)
    written = shown.write(text("good Morrow", "cousin"), CONSOLE)
    assert written == "\x1b[38;2;217;164;65;48;2;18;16;14m\x1b[1;6HM\x1b[0m"


def test_each_colour_is_named_once_in_an_update() -> None:
    shown = ShownCells()
    shown.write(text("", ""), CONSOLE)
    red, green = Style.parse("#cc0000 on #12100e"), Style.parse("#00cc00 on #12100e")
    row = Strip([Segment("to be", red), Segment(" or not", green), Segment(" to be ", red)])
    written = shown.write(layout([row.adjust_cell_length(WIDTH, red)] * 2), CONSOLE)
    assert written == (
        "\x1b[38;2;0;204;0;48;2;18;16;14m\x1b[1;7Hor not\x1b[2;7Hor not"
        "\x1b[38;2;204;0;0m\x1b[1;1Hto be\x1b[8Cto be\x1b[2;1Hto be\x1b[8Cto be\x1b[0m"
    )


def test_after_a_character_that_may_be_wide_the_cursor_is_put_where_it_belongs() -> None:
    shown = ShownCells()
    shown.write(text("a······b"), CONSOLE)
    assert shown.write(text("░······c"), CONSOLE).endswith("\x1b[1;1H░\x1b[8Gc\x1b[0m")


def test_the_colour_of_a_blank_does_not_matter() -> None:
    shown = ShownCells()
    gold, ground = Style.parse("#d9a441 on #12100e"), Style.parse("bold red on #12100e")
    shown.write(layout([Strip([Segment("a b" + " " * (WIDTH - 3), gold)])]), CONSOLE)
    row = [Segment("a", gold), Segment(" ", ground), Segment("b", gold), Segment(" " * (WIDTH - 3), ground)]
    assert shown.write(layout([Strip(row)]), CONSOLE) == ""


def test_a_change_of_colour_alone_is_written() -> None:
    shown = ShownCells()
    shown.write(text("good morrow"), CONSOLE)
    assert "good morrow" in shown.write(text("good morrow", style="red on #12100e"), CONSOLE)


def test_a_style_that_differs_only_in_its_meta_data_is_the_same() -> None:
    shown = ShownCells()
    strips = [
        layout([Strip([Segment("x" * WIDTH, Style.parse("red") + Style.from_meta({"offset": (at, 0)}))])])
        for at in range(2)
    ]
    assert shown.write(strips[0], CONSOLE)
    assert shown.write(strips[1], CONSOLE) == ""


def test_after_forgetting_every_cell_is_written() -> None:
    shown = ShownCells()
    shown.write(text("good morrow"), CONSOLE)
    shown.forget()
    assert "good morrow" in shown.write(text("good morrow"), CONSOLE)


def test_nothing_is_remembered_before_textual_writes_it() -> None:
    shown = ShownCells()
    shown.changes_of(text("good morrow"))
    assert "good morrow" in cast(Any, shown.changes_of(text("good morrow"))).render_segments(CONSOLE)


def test_a_line_with_wide_characters_is_written_whole() -> None:
    shown = ShownCells()
    wide = layout([Strip([Segment("漢字 and more".ljust(WIDTH - 2))])])
    shown.write(wide, CONSOLE)
    assert "漢字 and less" in shown.write(layout([Strip([Segment("漢字 and less".ljust(WIDTH - 2))])]), CONSOLE)
