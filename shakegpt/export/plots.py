"""Curves of runs, and where heads look, as an SVG or PNG picture, drawn by matplotlib."""

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shakegpt.errors import ShakegptError, UsageError
from shakegpt.inspection.head import head_name
from shakegpt.runs.downsampling import mean_losses
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shakegpt.inspection.trace import Trace

FORMATS = ("svg", "png")
_SIZE_INCHES = (8.0, 4.5)
_MAP_INCHES = 1.8  # a head's map
_MOST_LABELS, _LABEL_POINTS, _LABEL_INCHES = 40, 5, 0.075  # of the characters beside a map
_VISIBLE = {"\n": "⏎", "\t": "⇥", " ": "␣"}
_MAX_POINTS = 2_000  # of a training curve: more than the picture has columns


def plot_runs(runs: Mapping[str, Snapshot], path: Path) -> None:
    """Draw the losses of one or several runs against the step.

    Validation losses are bold and dotted at each evaluation; training losses are thin lines of the same colour.

    Raises:
        UsageError: the suffix is neither ``.svg`` nor ``.png``.
        ShakegptError: matplotlib is not installed, a run has nothing to draw, or the file cannot be written.
    """
    for name, snapshot in runs.items():
        if not len(snapshot.train) and not len(snapshot.validation):
            raise ShakegptError(f"The run {name} has no step yet, so there is nothing to draw.")

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        for number, (name, snapshot) in enumerate(runs.items()):
            _draw_run(axes, name, snapshot, f"C{number % 10}")
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats per character)")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)

    _write_picture(path, _SIZE_INCHES, draw)


def plot_attention(trace: "Trace", path: Path) -> None:
    """Draw where each head looks: a map for each, block under block, the darker the more.

    A row of a map is the character that looks, a column the one that is looked at.

    Raises:
        UsageError: the suffix is neither ``.svg`` nor ``.png``.
        ShakegptError: matplotlib is not installed, or the file cannot be written.
    """

    layers, heads, length, _ = trace.attention.shape

    def draw(figure: "Figure") -> None:
        # Characters beside the maps where they can still be read; a space and a newline are shown by signs.
        labels = [_VISIBLE.get(character, character).replace("$", r"\$") for character in trace.text]
        maps = figure.subplots(layers, heads, sharex=True, sharey=True, squeeze=False)
        for layer, row in enumerate(maps):
            for head, axes in enumerate(row):
                axes.imshow(trace.attention[layer, head], cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
                axes.set_title(head_name((layer, head)) + (" (muted)" if (layer, head) in trace.muted else ""))
                if length <= _MOST_LABELS:
                    axes.set_xticks(range(length), labels, fontsize=_LABEL_POINTS)
                    axes.set_yticks(range(length), labels, fontsize=_LABEL_POINTS)
        figure.supxlabel("looked at")
        figure.supylabel("looks")

    side = max(_MAP_INCHES, _LABEL_INCHES * length) if length <= _MOST_LABELS else _MAP_INCHES
    _write_picture(path, (side * heads + 0.5, side * layers + 0.5), draw)


def plot_range_test(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], marks: Mapping[str, float], path: Path
) -> None:
    """Draw the loss against the learning rate, on a logarithmic axis.

    Args:
        rates: the learning rate of each step.
        losses: the loss of each step.
        smoothed: the same, smoothed.
        marks: rates to mark, by what they are.
        path: the picture.

    Raises:
        UsageError: the suffix is neither ``.svg`` nor ``.png``.
        ShakegptError: matplotlib is not installed, or the file cannot be written.
    """

    def draw(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.plot(rates, losses, color="C0", linewidth=0.8, alpha=0.4, label="loss of each step")
        axes.plot(rates, smoothed, color="C0", linewidth=1.8, label="smoothed")
        for number, (name, rate) in enumerate(marks.items(), start=1):
            axes.axvline(rate, color=f"C{number}", linestyle="--", linewidth=1, label=f"{name}: {rate:.1e}")
        axes.set_xscale("log")
        axes.set_ylim(min(losses) - 0.1, 1.5 * smoothed[0])
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss (nats per character)")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)

    _write_picture(path, _SIZE_INCHES, draw)


def _write_picture(path: Path, size: tuple[float, float], draw: "Callable[[Figure], None]") -> None:
    """Write what is drawn on a figure of a size in inches; equal drawings give equal files."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise UsageError(f"A picture is .svg or .png, so {path} cannot be one; name it {path.stem or 'curves'}.svg.")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ShakegptError("Drawing needs matplotlib: pip install 'shakegpt[plot]'.") from error
    # Text stays text, so an SVG can be searched.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "shakegpt", "font.size": 10}):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        picture = io.BytesIO()
        figure.savefig(picture, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {"Software": None})
    try:
        replace_file(path, picture.getvalue())
        path.chmod(0o644)
    except OSError as error:
        raise ShakegptError(f"{path} cannot be written: {error.strerror}.") from error


def _draw_run(axes: "Axes", name: str, snapshot: Snapshot, colour: str) -> None:
    label = name.replace("$", r"\$")  # between dollars, matplotlib would typeset mathematics
    train = mean_losses(snapshot.train, _MAX_POINTS)
    axes.plot(*train, color=colour, linewidth=0.8, alpha=0.5, label=f"{label}, train")
    if len(snapshot.validation):
        validation = mean_losses(snapshot.validation, _MAX_POINTS)
        axes.plot(*validation, color=colour, linewidth=1.8, marker=".", label=f"{label}, validation")
