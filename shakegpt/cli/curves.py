"""A run's curves in plain text: a small chart for pipes, logs and any terminal, and comma-separated values."""

import csv
import math
from collections.abc import Iterable
from typing import Any, TextIO

from shakegpt.events import Evaluation, Event, Started, Step
from shakegpt.runs.downsampling import mean_losses
from shakegpt.runs.snapshot import Snapshot

_WIDTH, _HEIGHT = 60, 10
_TRAIN, _VALIDATION = ".", "o"

_STEP_COLUMNS = ["step", "seconds", "tokens", "loss", "perplexity", "learning_rate", "grad_norm", "tokens_per_second"]
CSV_COLUMNS = [*_STEP_COLUMNS, "val_loss", "val_perplexity"]


def draw_chart(snapshot: Snapshot, *, width: int = _WIDTH, height: int = _HEIGHT) -> list[str]:
    """Return a chart of a run's losses against the step in ASCII, line by line; no lines without a finite loss."""
    train = list(zip(*mean_losses(snapshot.train, width), strict=True))
    validation = list(zip(*mean_losses(snapshot.validation, width), strict=True))
    losses = [loss for _, loss in train + validation]
    if not losses:
        return []
    low, high = min(losses), max(losses)
    last = max(step for step, _ in train + validation)
    rows = [[" "] * width for _ in range(height)]
    for points, mark in ((train, _TRAIN), (validation, _VALIDATION)):
        for step, loss in points:
            fraction_down = (high - loss) / (high - low) if high > low else 0.5
            rows[round(fraction_down * (height - 1))][min(width - 1, step * width // max(1, last))] = mark
    scale = {0: f"{high:.3f}", height - 1: f"{low:.3f}"}
    margin = max(len(text) for text in scale.values())
    lines = [f"{scale.get(number, ''):>{margin}} |{''.join(row)}".rstrip() for number, row in enumerate(rows)]
    end = f"step {last:,}"
    return [
        f"{'loss':>{margin}}  {_TRAIN} train loss" + (f"   {_VALIDATION} validation loss" if validation else ""),
        *lines,
        f"{'':>{margin}} +{'-' * width}",
        f"{'':>{margin}}  0{end:>{width - 1}}",
    ]


def write_csv(events: Iterable[Event], file: TextIO) -> None:
    """Write one row per step of a run; a cell without a finite number is empty.

    Of steps that were repeated, after a roll-back or by a resumed run, only the last attempt is written.
    """
    rows: dict[int, dict[str, Any]] = {}
    for event in events:
        match event:
            case Started():
                while rows and next(reversed(rows)) > event.step:
                    rows.popitem()
            case Step():
                while rows and next(reversed(rows)) >= event.step:
                    rows.popitem()
                values = {name: getattr(event, name) for name in _STEP_COLUMNS}
                rows[event.step] = _finite_values(values)
            case Evaluation():
                row = rows.setdefault(
                    event.step, {"step": event.step, "seconds": event.seconds, "tokens": event.tokens}
                )
                row.update(_finite_values({"val_loss": event.val_loss, "val_perplexity": event.perplexity}))
    writer = csv.DictWriter(file, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())


def _finite_values(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if math.isfinite(value)}
