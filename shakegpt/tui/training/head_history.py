"""How much each attention head looks at the character before, from the first evaluation of a run to the newest."""

import math
from collections.abc import Sequence
from itertools import chain
from typing import ClassVar, NamedTuple

from rich.style import Style

from shakegpt.events import Inspection
from shakegpt.inspection.head import Head, head_name
from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui import formatting
from shakegpt.tui.line_filters import supports_utf8
from shakegpt.tui.widgets.diff_widget import DiffWidget, Row

FOUND = 0.5
"""The share of its attention from which on a head is said to look at the character before."""
_SHADES = " ·░▒▓█"
_LEVELS = len(_SHADES) - 1
_BLENDS = (0.0, 0.14, 0.28, 0.45, 0.65, 1.0)
_LEAST = 0.02
_LABEL, _FIGURE, _GAP, _LEAST_COLUMNS = 5, 4, 2, 4
_TITLES = ("Heads: attention to the character before, by step", "Heads: the character before", "Heads: one back")


class Layout(NamedTuple):
    """How many strips stand beside each other, how long each is, and whether its newest figure follows it."""

    across: int
    columns: int
    figures: bool


def layout(heads: int, width: int, height: int) -> Layout:
    """Return how the strips of as many heads fit into cells, at best all of them with their figures."""
    found = Layout(1, max(1, width - _LABEL), figures=False)
    for figures in (True, False):
        for across in range(1, heads + 1):
            columns = (width - _GAP * (across - 1)) // across - _LABEL - _FIGURE * figures
            if columns < _LEAST_COLUMNS:
                break
            if across * height > found.across * height or across == 1:
                found = Layout(across, columns, figures)
            if across * height >= heads:
                return found
    return found


def level(share: float) -> int:
    """Return how strong the tint of a share of the attention is: the root tells small ones apart."""
    return 0 if share < _LEAST else min(_LEVELS, math.ceil(math.sqrt(share) * _LEVELS))


def scores_of(inspections: Sequence[Inspection]) -> dict[Head, list[float]]:
    """Return each head's scores, the oldest first. Inspections of another shape than the newest are left out."""
    shapes = [[len(block) for block in inspection.previous_character] for inspection in inspections]
    alike = [inspection for inspection, shape in zip(inspections, shapes, strict=True) if shape == shapes[-1]]
    return {
        (block, head): [inspection.previous_character[block][head] for inspection in alike]
        for block, count in enumerate(shapes[-1] if shapes else [])
        for head in range(count)
    }


def found_at(inspections: Sequence[Inspection]) -> tuple[Head, int] | None:
    """Return the head that looks most at the character before, and the step since which it has; ``None`` without one.

    It has since the first evaluation after which its share was never below a half.
    """
    scores = scores_of(inspections)
    best = max(scores, key=lambda head: scores[head][-1], default=None)
    if best is None or scores[best][-1] < FOUND:
        return None
    since = 0
    for index, share in enumerate(scores[best]):
        if share < FOUND:
            since = index + 1
    return best, inspections[len(inspections) - len(scores[best]) + since].step


class HeadHistory(DiffWidget):
    """A strip for each head, with the steps to the right: the brighter, the more it looks at the character before."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"head-history--name", "head-history--found", "head-history--strip"}
    DEFAULT_CSS: ClassVar[str] = """
    HeadHistory {
        & > .head-history--name { color: $foreground 75%; }
        & > .head-history--found { color: $primary; text-style: bold; }
        & > .head-history--strip { color: $primary; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="head-history", classes="pane")
        self.border_title = _TITLES[-1]
        self._inspections: Sequence[Inspection] = ()

    @property
    def plain(self) -> bool:
        """Whether characters of different density take the place of tints."""
        return self.app.no_color or self.app.current_theme.ansi or not supports_utf8()

    def show(self, snapshot: Snapshot) -> None:
        """Show what is known of a run's heads."""
        self._inspections = snapshot.inspections
        self._set_titles()
        self.redraw()

    def on_resize(self) -> None:
        """Choose the titles that fit."""
        self._set_titles()

    def _set_titles(self) -> None:
        room = self.outer_size.width - 6
        self.border_title = next((title for title in _TITLES if len(title) <= room), _TITLES[-1])
        self.border_subtitle = next((text for text in found_sentences(self._inspections) if len(text) <= room), "")

    def draw(self, width: int, height: int) -> list[Row]:
        """Return the strips; where not all heads fit, those that look most at the character before."""
        scores = scores_of(self._inspections)
        if not scores or not height:
            return []
        across, columns, figures = layout(len(scores), width, height)
        strongest = sorted(scores, key=lambda head: -scores[head][-1])[: across * height]
        shown = sorted(strongest)
        rows_needed = -(-len(shown) // across)
        rows: list[Row] = []
        for y in range(rows_needed):
            cells = [
                self._strip(head, scores[head], columns, figures=figures)
                for head in shown[y::rows_needed]  # down the first column of strips, then down the next
            ]
            gap = (" " * _GAP, self.rich_style)
            rows.append(list(chain.from_iterable([*cell, gap] for cell in cells)))
        return rows

    def _strip(self, head: Head, scores: list[float], columns: int, *, figures: bool) -> Row:
        found = scores[-1] >= FOUND
        name = self.get_component_rich_style(f"head-history--{'found' if found else 'name'}")
        row: Row = [(f"{head_name(head):<{_LABEL}}"[:_LABEL], name)]
        for column in range(columns):
            row.append(self._cell(scores[column * len(scores) // columns]))
        if figures:
            row.append((f"{100 * scores[-1]:{_FIGURE}.0f}", name))
        return row

    def _cell(self, share: float) -> tuple[str, Style]:
        strength = level(share)
        if self.plain:
            return _SHADES[strength], self.get_component_rich_style("head-history--strip")
        _, ground = self.background_colors
        tint = ground.blend(self.get_component_styles("head-history--strip").color, max(0.05, _BLENDS[strength]))
        return "█", self.rich_style + Style(color=tint.rich_color)


def found_sentences(inspections: Sequence[Inspection]) -> Sequence[str]:
    """Return which head looks at the character before, and since when, the longest sentence first."""
    found = found_at(inspections)
    if found is None:
        return ("no head does so yet", "none yet") if inspections else ("",)
    (block, index), step = found
    name, since = head_name((block, index)), f"since step {formatting.count(step)}"
    share = inspections[-1].previous_character[block][index]
    return (f"head {name}: {100 * share:.0f} %, {since}", f"{name} {since}", name)
