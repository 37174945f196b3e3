"""The lines of a chart: what is drawn of one run, or of several laid over each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shakegpt.runs.run import RunMetadata
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_line
from shakegpt.tui import formatting
from shakegpt.tui.chart.colouring import Colouring
from shakegpt.tui.chart.curves import Axis, Line, Quantity, Smoothing, line_of, smooth
from shakegpt.tui.widgets.area_chart import MARK

if TYPE_CHECKING:
    from shakegpt.evaluation.ngrams import TableLosses


@dataclass(frozen=True)
class NamedRun:
    """A run to draw, and its name."""

    name: str
    snapshot: Snapshot
    tables: "TableLosses | None" = None
    """What tables reach on its text, to compare with; ``None`` where that is not known."""
    metadata: RunMetadata | None = None
    """What it was asked to be, to compare it with others."""


@dataclass(frozen=True)
class ChartLine:
    """One line of the chart."""

    label: str
    points: Line
    """The values; what is plotted may be their logarithms."""
    colour: str
    marked: bool = False
    mark: str = MARK
    """What stands at each of its points, if it is marked."""
    has_readout: bool = True
    group: int = 0
    """The number of its run's group in the colouring."""


def make_lines(
    runs: Sequence[NamedRun],
    quantity: Quantity,
    axis: Axis,
    smoothing: Smoothing,
    colouring: Colouring,
    *,
    name_width: int,
) -> list[ChartLine]:
    """Return the lines of some runs.

    One by itself has another colour for validation, and also its values before they were smoothed. Of several, each has
    the colour of its group, and the group's mark at each evaluation.
    """
    single = len(runs) == 1
    lines = []
    for run in runs:
        name = formatting.shortened(escape_line(run.name), name_width)
        group, colour = colouring.groups[run.name], str(colouring.colour(run.name))
        raw = line_of(run.snapshot.train, axis, quantity.value)
        smoothed = smooth(raw, smoothing if quantity.has_validation else "off")
        if single and smoothed is not raw:
            lines.append(ChartLine("raw", raw, "raw", has_readout=False))
        title = quantity.title.lower()
        label = f"train {title}" if quantity.has_validation else title
        lines.append(ChartLine(label if single else name, smoothed, colour, group=group))
        if quantity.has_validation:
            points = line_of(run.snapshot.validation, axis, quantity.value)
            mark = MARK if single else colouring.mark(run.name)
            own = "validation" if single else colour
            lines.append(ChartLine(f"validation {title}", points, own, marked=True, mark=mark, group=group))
    return lines
