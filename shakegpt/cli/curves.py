"""A run's losses as a small chart in plain text, for pipes, logs and any terminal."""

from shakegpt.runs.downsampling import mean_losses
from shakegpt.runs.snapshot import Snapshot

_WIDTH, _HEIGHT = 60, 10
_TRAIN, _VALIDATION = ".", "o"


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
