"""``shakegpt lr-find``: which learning rate to train at, by a range test."""

import math
import sys
import textwrap
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.corpus import download_bar
from shakegpt.cli.curves import Line, draw_lines
from shakegpt.cli.help import MODEL, OUTPUT, format_number
from shakegpt.cli.options import (
    Encoding,
    Json,
    PresetOption,
    chosen_changes,
    chosen_preset,
    corpus_option,
    from_option,
    with_training_options,
)
from shakegpt.cli.output import print_json, print_note
from shakegpt.config import DEFAULT_PRESET
from shakegpt.errors import UsageError
from shakegpt.system.text import escape_line

if TYPE_CHECKING:
    from shakegpt.training.lr_range import RangePoint, RangeResult, RangeTest


@with_training_options
def lr_find(
    context: typer.Context,
    preset: PresetOption = DEFAULT_PRESET,
    corpus: Annotated[str | None, corpus_option("A text, as for `shakegpt train`.")] = None,
    begin_from: Annotated[
        str | None, from_option("LR_FIND", "Begin with the weights of a checkpoint, as for `shakegpt train`.")
    ] = None,
    *,
    encoding: Encoding = "utf-8",
    low: Annotated[
        float, typer.Option(metavar="X", min=0, help="The lowest rate to try.", rich_help_panel=MODEL)
    ] = 1e-5,
    high: Annotated[
        float, typer.Option(metavar="X", min=0, help="The highest rate to try.", rich_help_panel=MODEL)
    ] = 1.0,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the curve into a picture, .svg or .png.", rich_help_panel=OUTPUT),
    ] = None,
    json: Json = False,
    **changes: Any,
) -> None:
    """Find a learning rate: train for up to 200 steps at rates from far too low to far too high.

    It takes less than a minute for the default preset, writes nothing, and suggests the middle of the rates at
    which the loss is about lowest, or less where that is near to diverging.
    """
    if not 0 < low < high:
        raise UsageError(f"--low ({low:g}) must be above 0 and below --high ({high:g}).")
    from shakegpt.runs.store import Store
    from shakegpt.system.threads import configure_process
    from shakegpt.training.lr_range import RangeTest, read_range_test
    from shakegpt.training.setup import TrainingRequest, prepare_training

    request = TrainingRequest(
        preset=chosen_preset(context, preset, begin_from),
        corpus=corpus,
        encoding=encoding,
        begin_from=begin_from,
        changes=chosen_changes(context, changes, begin_from),
    )
    configure_process()
    try:
        with download_bar() as on_progress:
            prepared = prepare_training(Store.default(), request, on_progress=on_progress)
    except ValueError as error:
        raise UsageError(str(error)) from error
    began = time.monotonic()
    result = read_range_test(_run(RangeTest(prepared, lowest=low, highest=high)))
    seconds = time.monotonic() - began
    if plot is not None:
        _plot(result, plot)
    if json:
        print_json({"preset": prepared.preset, "corpus": prepared.corpus.name, "seconds": seconds} | _to_json(result))
        return
    if plot is not None:
        print_note(f"The curve is drawn in {escape_line(str(plot))}.")
    for line in describe_result(result):
        print(line)
    usual = prepared.config.learning_rate
    print_note(
        f"{prepared.preset} on {prepared.corpus.name}, {len(result.points)} steps in {seconds:.0f} s; its own rate is "
        f"{format_number(usual)}."
    )


def _run(test: "RangeTest") -> "list[RangePoint]":
    """Run a test, with a bar where standard error is a terminal."""
    points = []
    with ExitStack() as stack:
        advance = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            console = Console(stderr=True, highlight=False)
            progress = stack.enter_context(Progress(console=console, transient=True, refresh_per_second=4))
            task = progress.add_task("range test", total=test.steps)

            def advance(point: "RangePoint") -> None:
                text = f"rate {format_number(point.learning_rate)}  loss {point.loss:.3f}"
                progress.update(task, advance=1, total=test.steps, description=f"{text:<32}")

        for point in test:
            points.append(point)
            if advance is not None:
                advance(point)
    return points


def describe_result(result: "RangeResult") -> list[str]:
    """Return the curve, what marks it, and the suggestion, in lines."""
    logs = [math.log10(point.learning_rate) for point in result.points]
    highest = 1.5 * result.smoothed[0]  # what comes after would flatten the rest
    shown = [(log, loss) for log, loss in zip(logs, result.smoothed, strict=True) if loss <= highest]
    marks = [(result.steepest, "s"), (result.lowest, "l"), (result.suggestion, "X")]
    lines = [Line(".", shown)]
    for rate, mark in marks:
        nearest = min(range(len(logs)), key=lambda index: abs(logs[index] - math.log10(rate)))
        lines.append(Line(mark, [(logs[nearest], result.smoothed[nearest])]))
    ends = (format_number(result.points[0].learning_rate), f"rate {10 ** shown[-1][0]:.0e}")
    chart = draw_lines(
        lines, height=14, start=logs[0], ends=ends, title="X suggestion   s steepest   l lowest   (logarithmic rate)"
    )
    diverges = "it never diverges" if result.diverges_at is None else f"diverges at {result.diverges_at:.1e}"
    return [
        *chart,
        "",
        f"The loss begins to fall at {result.falls_at:.1e}, falls fastest at {result.steepest:.1e}, is lowest at "
        f"{result.lowest:.1e};",
        f"{diverges}.",
        *textwrap.wrap(f"Try --learning-rate {format_number(result.suggestion)}: {result.reason}.", 80),
    ]


def _to_json(result: "RangeResult") -> dict[str, Any]:
    return {
        "suggestion": result.suggestion,
        "reason": result.reason,
        "falls_at": result.falls_at,
        "steepest": result.steepest,
        "bottom": result.bottom,
        "lowest": result.lowest,
        "rises_at": result.rises_at,
        "diverges_at": result.diverges_at,
        "points": [
            {"learning_rate": point.learning_rate, "loss": point.loss, "smoothed": smoothed}
            for point, smoothed in zip(result.points, result.smoothed, strict=True)
        ],
    }


def _plot(result: "RangeResult", path: Path) -> None:
    from shakegpt.export.plots import plot_range_test

    plot_range_test(
        [point.learning_rate for point in result.points],
        [point.loss for point in result.points],
        result.smoothed,
        {"steepest": result.steepest, "lowest": result.lowest, "suggestion": result.suggestion},
        path,
    )
