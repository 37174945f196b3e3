"""A training without a screen: its events as JSON, as a live line on a terminal, or as plain lines in a log."""

import os
import select
import sys

from shakegpt.cli.output import note, say, say_json
from shakegpt.events import Evaluation, Event, Failed, Finished, Sample, Saved, Started, Step, Warning
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.text import escape_control_characters

_LINES_PER_EVALUATION = 5


def choose_console(*, json: bool, eval_every: int) -> "Console":
    """Return what shows the events: JSON where asked for, a live display on a terminal, else plain lines."""
    if json:
        return JsonConsole()
    if sys.stderr.isatty():
        return LiveConsole()
    return PlainConsole(max(1, eval_every // _LINES_PER_EVALUATION))


def clock(seconds: float) -> str:
    """Return a duration as ``2:05`` or ``1:02:05``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def describe(event: Event, snapshot: Snapshot) -> str:
    """Return an event in one line (a sample: in a few)."""
    match event:
        case Started():
            resumed = f", going on from {event.resumed_from}" if event.resumed_from else ""
            return (
                f"{event.run}: {event.preset}, {event.parameters:,} weights on {event.corpus}, {event.steps} steps of "
                f"{event.batch_size} x {event.block_size} characters, {event.device}, {event.precision} "
                f"({event.reason}){resumed}"
            )
        case Step():
            left = "" if snapshot.seconds_left is None else f"  {clock(snapshot.seconds_left)} left"
            return (
                f"step {event.step}/{snapshot.steps}  loss {event.loss:.4f}  perplexity {event.perplexity:.2f}  "
                f"learning rate {event.learning_rate:.2e}  {event.tokens_per_second:,.0f} tokens/s{left}"
            )
        case Evaluation():
            return (
                f"step {event.step}  train {event.train_loss:.4f}  validation {event.val_loss:.4f}  "
                f"perplexity {event.perplexity:.2f}  {event.bits_per_character:.3f} bits/character"
                + ("  best so far" if event.best else "")
            )
        case Sample():
            return "\n".join(
                f"    {line}" for line in escape_control_characters(event.prompt + event.text).strip("\n").split("\n")
            )
        case Saved():
            return f"step {event.step}  saved {event.path}"
        case Warning():
            return f"warning: {event.message}"
        case Failed():
            return f"shakegpt: {event.message}"
        case _:
            return ""


def last_words(event: Finished, snapshot: Snapshot) -> str:
    """Return the result of a run in one line."""
    run = snapshot.started.run if snapshot.started else ""
    loss = event.best_val_loss
    best = "" if loss is None else f", best validation loss {loss:.4f} at {event.best_step}"
    how = "finished" if event.outcome == "finished" else f"stopped; go on with --resume {run}"
    return f"{run}: step {event.step} after {clock(event.seconds)}{best}; {how}"


class Console:
    """What shows a training's events without a screen."""

    def show(self, event: Event, snapshot: Snapshot) -> None:
        """Show an event. Raises ``OSError`` where nobody reads any more."""
        raise NotImplementedError

    def fall_silent(self) -> None:
        """The terminal is gone: what was for it alone can rest."""

    def restore(self) -> None:
        """Put the terminal in order before the process ends at once; never blocks."""


class JsonConsole(Console):
    """One JSON object per event."""

    def show(self, event: Event, snapshot: Snapshot) -> None:  # noqa: ARG002
        """Print an event."""
        say_json(event.to_json())


class PlainConsole(Console):
    """One line per event worth one, for logs and pipes.

    Args:
        every: steps between two lines about steps.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def show(self, event: Event, snapshot: Snapshot) -> None:
        """Print an event."""
        if isinstance(event, Finished):
            say(last_words(event, snapshot))
        elif not isinstance(event, Step) or event.step % self._every == 0:
            note(describe(event, snapshot))


class LiveConsole(Console):
    """A progress line that stays at the bottom of a terminal, with the milestones scrolling above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            TextColumn("{task.fields[at]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, at="loading", figures="")
        self._silent = False

    def fall_silent(self) -> None:
        """Stop drawing: nobody is there to see it."""
        self._silent = True
        self._progress.stop()

    def restore(self) -> None:
        """Show the cursor again, which the progress line hides, where the terminal takes it at once."""
        if not self._silent and select.select([], [2], [], 0)[1]:
            os.write(2, b"\r\n\x1b[?25h")

    def show(self, event: Event, snapshot: Snapshot) -> None:
        """Show an event."""
        if self._silent and not isinstance(event, Finished | Failed):
            return
        match event:
            case Started():
                self._print(describe(event, snapshot))
                self._progress.start()
                self._progress.update(self._task, total=event.steps, completed=event.step)
            case Step():
                left = "" if snapshot.seconds_left is None else f" · {clock(snapshot.seconds_left)} left"
                self._progress.update(
                    self._task,
                    completed=event.step,
                    at=f"{event.step}/{snapshot.steps}",
                    figures=f"loss {event.loss:.3f} · ppl {event.perplexity:.1f} · lr {event.learning_rate:.1e} · "
                    f"{event.tokens_per_second:,.0f} tok/s{left}",
                )
            case Finished():
                self._progress.stop()
                say(last_words(event, snapshot))
            case Failed():
                self._progress.stop()
                self._print(describe(event, snapshot))
            case Saved():
                pass  # the milestones are the evaluations; a line for each save would drown them
            case _:
                self._print(describe(event, snapshot))

    def _print(self, text: str) -> None:
        self._console.print(escape_control_characters(text), style=None, soft_wrap=True)
