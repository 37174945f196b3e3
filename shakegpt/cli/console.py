"""Training without a screen: its events as JSON, as a live line on a terminal, or as plain lines in a log."""

import math
import os
import select
import sys
import textwrap

from shakegpt.cli.output import print_json, print_note
from shakegpt.config import current_preset
from shakegpt.events import Evaluation, Event, Failed, Finished, Inspection, Sample, Saved, Started, Step, Warning
from shakegpt.runs.overfitting import overfitting
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_control_characters

_LINES_PER_EVALUATION = 5


def choose_console(*, json: bool, eval_every: int) -> "Console":
    """Return a console for the events: JSON if asked for, a live display on a terminal, otherwise plain lines."""
    if json:
        return JsonConsole()
    if sys.stderr.isatty():
        return LiveConsole()
    return PlainConsole(max(1, eval_every // _LINES_PER_EVALUATION))


def format_duration(seconds: float) -> str:
    """Return a duration as ``2:05`` or ``1:02:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def describe(event: Event, snapshot: Snapshot) -> str:
    """Return an event in one line (a sample in a few, and a start that has something to explain in two)."""
    match event:
        case Started():
            resumed = f", resumed from {event.resumed_from}" if event.resumed_from else ""
            notes = [f"{note}\n" for note in (event.corpus_note, event.begun_note) if note]
            return (
                f"{''.join(notes)}{event.run}: {current_preset(event.preset)}, {event.parameters:,} weights "
                f"on {event.corpus}, {event.steps:,} steps of {event.batch_size} x {event.block_size} characters, "
                f"{event.device}, {event.precision} ({event.reason}){resumed}"
            )
        case Step():
            left = _time_left(snapshot, "  ")
            return (
                f"step {event.step:,} / {snapshot.steps:,}  train loss {event.loss:.4f}  "
                f"rate {event.learning_rate:.1e}  {event.tokens_per_second:,.0f} characters/s{left}"
            )
        case Evaluation():
            return (
                f"step {event.step:,}  train loss {event.train_loss:.4f}  validation loss {event.val_loss:.4f}  "
                f"{_both_losses(event)}"
                f"perplexity {event.perplexity:.2f}"
                + (f"  over {event.subset}" if event.subset else "")
                + ("  best so far" if event.best else "")
            )
        case Sample():
            return "\n".join(
                f"    {line}" for line in escape_control_characters(event.prompt + event.text).strip("\n").split("\n")
            )
        case Saved():
            return f"step {event.step:,}  saved {event.path}"
        case Warning():
            return f"warning: {event.message}"
        case Failed():
            return f"shakegpt: {event.message}"
        case _:
            return ""


def _both_losses(event: Evaluation) -> str:
    """Return the losses of the weights in training and of their average, of which the lower one counts."""
    if event.ema is None:
        return ""
    live, average = (math.nan if loss is None else loss for loss in (event.live_val_loss, event.ema_val_loss))
    return f"(live {live:.4f}, ema {average:.4f})  "


def _time_left(snapshot: Snapshot, separator: str) -> str:
    return "" if snapshot.seconds_left is None else f"{separator}{format_duration(snapshot.seconds_left)} left"


def describe_result(event: Finished, snapshot: Snapshot) -> str:
    """Return the result of a run in one line."""
    run = snapshot.started.run if snapshot.started else ""
    loss = event.best_val_loss
    best = "" if loss is None else f", best validation loss {loss:.4f} at {event.best_step:,}"
    early = f" ({event.reason})" if event.reason else ""
    return f"{run}: {event.outcome} at step {event.step:,}{early} after {format_duration(event.seconds)}{best}"


def describe_end(event: Finished, snapshot: Snapshot) -> str:
    """Return whether a run that has ended was overfitting, in a line if so, and what can be done with it, in one."""
    found = overfitting(snapshot)
    overfit = f"{found.sentence}\n" if found is not None else ""
    return overfit + _next_step(event, snapshot)


def _next_step(event: Finished, snapshot: Snapshot) -> str:
    run = snapshot.started.run if snapshot.started else ""
    if event.reason:
        return f"Go on all the same with `shakegpt train --resume {run} --early-stop 0`."
    if event.outcome == "stopped":
        return f"Go on with `shakegpt train --resume {run}`."
    return f"Hear it with `shakegpt generate --checkpoint {run}`, or look at it in the app: `shakegpt`."


class OverfittingNote:
    """Says once that a run overfits, as long as it does."""

    def __init__(self) -> None:
        self._said = False

    def newly(self, event: Event, snapshot: Snapshot) -> str:
        """Return a line that follows that of an evaluation; empty where there is nothing new to say."""
        if not isinstance(event, Evaluation):
            return ""
        found, said = overfitting(snapshot), self._said
        self._said = found is not None
        return f"\n{found.sentence}" if found and not said else ""


class Console:
    """Shows the events of a training without a screen."""

    expected: tuple[float, bool] | None = None
    """The seconds that the training will take, and whether they follow from the speed of the same shape here."""

    def show(self, event: Event, snapshot: Snapshot) -> None:
        """Show an event. Raises ``OSError`` when nothing reads the output any more."""
        raise NotImplementedError

    def _start(self, event: Started, snapshot: Snapshot) -> str:
        """Return what there is to say before the first step."""
        if self.expected is None:
            return describe(event, snapshot)
        seconds, measured = self.expected
        basis = "the speed last measured here" if measured else "the speed of a smaller model here"
        return f"{describe(event, snapshot)}\nExpected to take {format_duration(max(1.0, seconds))}, from {basis}."

    def detach(self) -> None:
        """Stop drawing what only a terminal shows: it has gone."""

    def restore_terminal(self) -> None:
        """Undo what changed the terminal before the process ends at once. Never blocks."""


class JsonConsole(Console):
    """One JSON object per event."""

    def show(self, event: Event, snapshot: Snapshot) -> None:  # noqa: ARG002
        """Print an event."""
        print_json(event.to_json())


class PlainConsole(Console):
    """One line per event that deserves one, for logs and pipes."""

    def __init__(self, step_interval: int) -> None:
        self._step_interval = step_interval
        self._overfitting = OverfittingNote()

    def show(self, event: Event, snapshot: Snapshot) -> None:
        """Print an event."""
        if isinstance(event, Finished):
            print(describe_result(event, snapshot), flush=True)
            print_note(describe_end(event, snapshot))
        elif isinstance(event, Started):
            print_note(self._start(event, snapshot))
        elif isinstance(event, Inspection):
            pass  # for pictures: a line of numbers says nothing
        elif not isinstance(event, Step) or event.step % self._step_interval == 0:
            print_note(describe(event, snapshot) + self._overfitting.newly(event, snapshot))


class LiveConsole(Console):
    """A progress line at the bottom of a terminal, with the milestones scrolling above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            TextColumn("{task.fields[step]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[metrics]}"),
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, step="loading", metrics="")
        self._detached = False
        self._overfitting = OverfittingNote()

    def detach(self) -> None:
        """Stop drawing: the terminal has gone."""
        self._detached = True
        self._progress.stop()

    def restore_terminal(self) -> None:
        """Show the cursor again, which the progress line hides, if the terminal accepts it without blocking."""
        if not self._detached and select.select([], [2], [], 0)[1]:
            os.write(2, b"\r\n\x1b[?25h")

    def show(self, event: Event, snapshot: Snapshot) -> None:
        """Show an event."""
        if self._detached and not isinstance(event, Finished | Failed):
            return
        match event:
            case Started():
                self._print(self._start(event, snapshot))
                self._progress.start()
                self._progress.update(self._task, total=event.steps, completed=event.step)
            case Step():
                left = _time_left(snapshot, " · ")
                self._progress.update(
                    self._task,
                    completed=event.step,
                    step=f"step {event.step:,} / {snapshot.steps:,}",
                    metrics=f"train loss {event.loss:.3f} · {event.tokens_per_second:,.0f} characters/s{left}",
                )
            case Finished():
                self._progress.stop()
                print(describe_result(event, snapshot), flush=True)
                self._print(describe_end(event, snapshot))
            case Failed():
                self._progress.stop()
                self._print(describe(event, snapshot))
            case Saved() | Inspection():
                pass  # evaluations are the milestones; lines about saves would hide them
            case _:
                self._print(describe(event, snapshot) + self._overfitting.newly(event, snapshot))

    def _print(self, text: str) -> None:
        width = max(self._console.width, 20)
        for line in escape_control_characters(text).split("\n"):
            wrapped = textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
            self._console.print(wrapped, style=None, soft_wrap=True)
