"""How a run was trained, and what it takes on the disk."""

from datetime import datetime
from typing import ClassVar

from shakegpt.runs.run import RunMetadata
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import count, escape_line
from shakegpt.tui import formatting
from shakegpt.tui.chart.colouring import Colouring, differing_settings
from shakegpt.tui.checkpoints.listed_runs import ListedRun
from shakegpt.tui.checkpoints.run_list import Row
from shakegpt.tui.checkpoints.sweep_groups import ListedSweep, mean_and_spread
from shakegpt.tui.widgets import diff_widget
from shakegpt.tui.widgets.diff_widget import DiffWidget

_LABEL_WIDTH = 11


class RunSettings(DiffWidget):
    """Labels and values, the ones that matter most first."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"settings--label"}
    DEFAULT_CSS: ClassVar[str] = """
    RunSettings {
        & > .settings--label { color: $foreground 75%; }
    }
    """

    def __init__(self) -> None:
        super().__init__(id="settings")
        self.border_title = "Settings"
        self._settings: dict[str, str] = {}

    def show(self, row: Row | None, snapshot: Snapshot | None) -> None:
        """Show the settings of a row's run; its log, where it has been read, adds where and how fast it trained."""
        self._settings = run_settings(row, snapshot) if row else {}
        self.redraw()

    def draw(self, width: int, height: int) -> list[diff_widget.Row]:  # noqa: ARG002
        """Return one line for each label; of a path that is too long its end, of anything else its beginning."""
        style = self.get_component_rich_style("settings--label")
        label_width = max(_LABEL_WIDTH, *(len(label) + 1 for label in self._settings), 0)
        rows: list[diff_widget.Row] = []
        for label, value in self._settings.items():
            shown = escape_line(value)
            room = max(1, width - label_width)
            if label == "Path" and len(shown) > room:
                shown = f"…{shown[1 - room :]}"
            elif len(shown) > room:
                shown = f"{shown[: room - 1]}…"
            rows.append([(f"{label:<{label_width}}", style), (shown, self.rich_style)])
        return rows


def sweep_settings(sweep: ListedSweep) -> dict[str, str]:
    """Return what there is to say of a sweep, by its label: how far it is, and how well each value did."""
    settings = {
        "Sweep": escape_line(sweep.name),
        "Runs": sweep.progress,
        "Best": f"{formatting.decimal(sweep.best.best_loss)}, {sweep.best.name}",
        "Mean": mean_and_spread(sweep.runs),
    }
    known = {run.name: run.metadata for run in sweep.runs if run.metadata is not None}
    for setting in differing_settings(list(known.values())):
        colouring = Colouring.by_setting(setting, known)
        for number, value in enumerate(colouring.labels):
            of_value = [run for run in sweep.runs if colouring.groups.get(run.name) == number]
            settings[f"{setting} {value}"] = f"{mean_and_spread(of_value)} of {len(of_value)}"
    return settings | {"On disk": formatting.size(sweep.bytes)}


def run_settings(row: Row, snapshot: Snapshot | None) -> dict[str, str]:
    """Return what there is to say of a run, of one of its checkpoints, or of a sweep, by its label."""
    if row.sweep is not None:
        return sweep_settings(row.sweep) | {"Path": row.path}
    run, checkpoint = row.run, row.checkpoint
    settings: dict[str, str] = {}
    if checkpoint is not None:
        loss = formatting.decimal(checkpoint.info.val_loss)
        size = formatting.size(checkpoint.info.bytes)
        settings["Checkpoint"] = f"step {formatting.count(checkpoint.info.step)}, {size}"
        settings["Validation"] = f"loss {loss}"
    if run.sweep is not None:
        settings["Sweep"] = f"{run.sweep.name}: {run.varied}" if run.varied else run.sweep.name
    if run.tags:
        settings["Tags"] = ", ".join(run.tags)
    if run.note:
        settings["Note"] = " ".join(run.note.split())
    settings["Model"] = f"{run.preset} · " * bool(run.preset) + f"{formatting.compact(run.parameters)} weights"
    settings["Text"] = run.corpus
    settings["Steps"] = formatting.count(run.steps)
    if run.step != run.steps:
        settings["Steps"] = f"{formatting.count(run.step)} of {formatting.count(run.steps)}"
    settings |= _progress(run, snapshot)
    saved = len(run.checkpoints)
    settings["On disk"] = f"{formatting.size(run.bytes)}, {saved} checkpoint{'s' * (saved != 1)}"
    settings["Path"] = row.path
    if run.metadata is not None:
        settings |= _training_settings(run.metadata)
    return settings


def _training_settings(metadata: RunMetadata) -> dict[str, str]:
    training, model = metadata.training, metadata.model
    rate, low = formatting.scientific(training.learning_rate), formatting.scientific(training.min_learning_rate)
    settings = {
        "Batch": f"{training.batch_size} × {model.block_size} characters",
        "Rate": f"{rate} down to {low}",
        "Decay": f"{training.weight_decay:g}, dropout {model.dropout:g}",
        "Seed": str(training.seed),
    }
    if metadata.begun_from is not None:
        settings["Begun from"] = f"{metadata.begun_from}, {count(metadata.new_characters or 0, 'new character')}"
    if metadata.resumed_from is not None:
        changes = ", ".join(f"{name} {change}" for name, change in (metadata.changes or {}).items())
        settings["Forked from"] = metadata.resumed_from + f" ({changes})" * bool(changes)
    return settings


def _progress(run: ListedRun, snapshot: Snapshot | None) -> dict[str, str]:
    """Return what has come of the training, and where and how fast it ran."""
    best = next((checkpoint.info for checkpoint in run.checkpoints if checkpoint.best), None)
    step = snapshot.step if snapshot else None
    progress: dict[str, str] = {}
    if best is not None:
        progress["Best"] = f"validation {formatting.decimal(best.val_loss)} at step {formatting.count(best.step)}"
    if run.created is not None:
        progress["Begun"] = f"{datetime.fromtimestamp(run.created):%Y-%m-%d %H:%M}"
    seconds = max(run.last.info.seconds if run.last else 0.0, step.seconds if step else 0.0)
    if seconds:
        progress["Trained"] = f"for {formatting.duration(seconds)}"
    if step is not None:
        progress["Speed"] = f"{formatting.count(step.tokens_per_second)} characters/s"
    if snapshot is not None and snapshot.started is not None:
        progress["Device"] = f"{snapshot.started.precision} on {snapshot.started.device}"
    return progress
