"""Curves of runs as an SVG or PNG picture, drawn by matplotlib."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from shakegpt.errors import ShakegptError, UsageError
from shakegpt.runs.downsampling import mean_losses
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.files import replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("svg", "png")
_SIZE_INCHES = (8.0, 4.5)
_MAX_POINTS = 2_000  # of a training curve: more than the picture has columns


def plot_runs(runs: Mapping[str, Snapshot], path: Path) -> None:
    """Draw the losses of one or several runs against the step.

    Validation losses are bold and dotted at each evaluation; training losses are thin lines of the same colour.

    Raises:
        UsageError: the suffix is neither ``.svg`` nor ``.png``.
        ShakegptError: matplotlib is not installed, a run has nothing to draw, or the file cannot be written.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise UsageError(f"A picture is .svg or .png, so {path} cannot be one; name it {path.stem or 'curves'}.svg.")
    for name, snapshot in runs.items():
        if not len(snapshot.train) and not len(snapshot.validation):
            raise ShakegptError(f"The run {name} has no step yet, so there is nothing to draw.")
    data = _draw(runs, kind)
    try:
        replace_file(path, data)
        path.chmod(0o644)
    except OSError as error:
        raise ShakegptError(f"{path} cannot be written: {error.strerror}.") from error


def _draw(runs: Mapping[str, Snapshot], kind: str) -> bytes:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ShakegptError("Drawing needs matplotlib: pip install 'shakegpt[plot]'.") from error
    # Text stays text, so an SVG can be searched; equal runs give equal files.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "shakegpt", "font.size": 10}):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for number, (name, snapshot) in enumerate(runs.items()):
            _draw_run(axes, name, snapshot, f"C{number % 10}")
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats per character)")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        picture = io.BytesIO()
        figure.savefig(picture, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {"Software": None})
        return picture.getvalue()


def _draw_run(axes: "Axes", name: str, snapshot: Snapshot, colour: str) -> None:
    label = name.replace("$", r"\$")  # between dollars, matplotlib would typeset mathematics
    train = mean_losses(snapshot.train, _MAX_POINTS)
    axes.plot(*train, color=colour, linewidth=0.8, alpha=0.5, label=f"{label}, train")
    if len(snapshot.validation):
        validation = mean_losses(snapshot.validation, _MAX_POINTS)
        axes.plot(*validation, color=colour, linewidth=1.8, marker=".", label=f"{label}, validation")
