"""``shakegpt train``, ``watch``, ``stop``, and the full-screen app."""

import os
import sys
from dataclasses import fields
from errno import EIO
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.config import is_from_file
from shakegpt.cli.corpus import download_bar
from shakegpt.cli.options import (
    CHECKPOINT_HELP,
    Encoding,
    RunArgument,
    complete_checkpoints,
    complete_corpora,
    complete_presets,
    complete_runs,
)
from shakegpt.cli.output import note, reports_errors
from shakegpt.config import DEFAULT_PRESET, DeviceName, OnHangup, PrecisionName, TrainingConfig
from shakegpt.errors import UsageError
from shakegpt.events import Event, Step
from shakegpt.runs.snapshot import Snapshot

if TYPE_CHECKING:
    from shakegpt.export.tensorboard import TensorBoardLog
    from shakegpt.training.thread import TrainingThread

_WITHOUT_CURSOR = ("dumb", "unknown")
_MOST_WAITING = 10_000  # steps on their way to a reader that has stalled; metrics.jsonl has them all


@reports_errors
def train(
    context: typer.Context,
    preset: Annotated[
        str,
        typer.Option(help="The size of the model, and the training that suits it.", autocompletion=complete_presets),
    ] = DEFAULT_PRESET,
    corpus: Annotated[
        str | None,
        typer.Option(help="tiny-shakespeare (the default), demo, or a text file.", autocompletion=complete_corpora),
    ] = None,
    run: Annotated[str | None, typer.Option(help="What to call the run.", autocompletion=complete_runs)] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help=f"Train on from a checkpoint; of a run's name, its last. {CHECKPOINT_HELP}",
            autocompletion=complete_checkpoints,
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimizer steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Sequences per step, over all micro-batches.")] = None,
    accumulate: Annotated[int | None, typer.Option(help="Micro-batches the batch is split into.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    min_learning_rate: Annotated[float | None, typer.Option(help="Floor of the schedule.")] = None,
    warmup: Annotated[int | None, typer.Option(help="Steps of linear warm-up.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="AdamW's decay, on matrices only.")] = None,
    grad_clip: Annotated[float | None, typer.Option(help="Most that the gradient's norm may be; 0 is off.")] = None,
    dropout: Annotated[float | None, typer.Option(help="Share of activations zeroed in training.")] = None,
    eval_every: Annotated[int | None, typer.Option(help="Steps between full validation passes.")] = None,
    save_every: Annotated[int | None, typer.Option(help="Steps between periodic checkpoints.")] = None,
    keep: Annotated[int | None, typer.Option(help="Periodic checkpoints kept beside the best and the last.")] = None,
    seed: Annotated[int | None, typer.Option(help="Fixes weights, batches, dropout and samples.")] = None,
    device: Annotated[DeviceName | None, typer.Option(help="Where to train.")] = None,
    precision: Annotated[PrecisionName | None, typer.Option(help="Format of the matrix multiplications.")] = None,
    encoding: Encoding = "utf-8",
    on_hangup: Annotated[
        OnHangup, typer.Option(help="When the link drops: go on training, or save and end.")
    ] = "continue",
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write curves and samples for `tensorboard --logdir DIR`.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per event.")] = False,
) -> None:
    """Train a model without a screen: for tmux, cron and pipes."""
    from shakegpt.runs.store import Store
    from shakegpt.system.threads import configure_process
    from shakegpt.training.setup import SESSION_FIELDS, TrainingRequest, build_trainer
    from shakegpt.training.thread import TrainingThread

    options = {**locals()}
    changes = {name: options[name] for name in (*_training_options(), "dropout") if options.get(name) is not None}
    if resume is not None:  # config.toml has defaults for new runs; an old one was settled when it began
        changes = {
            name: value for name, value in changes.items() if name in SESSION_FIELDS or not is_from_file(context, name)
        }
        corpus = None if is_from_file(context, "corpus") else corpus
        run = None if is_from_file(context, "run") else run
    request = TrainingRequest(
        preset=preset, corpus=corpus, encoding=encoding, run_name=run, changes=changes, resume=resume
    )
    configure_process()
    ranks = int(os.environ.get("WORLD_SIZE", "1"))  # torchrun's word
    if ranks > 1:
        _join(device or "auto")
    store = Store.default()
    thread = TrainingThread(lambda: build_trainer(store, request, on_progress=download_bar()))
    curves = _write_curves(thread, tensorboard)
    code = _follow(thread, json=json, eval_every=eval_every or 250, on_hangup=on_hangup)
    if curves is not None:
        curves.close()
        if curves.trouble:
            note(f"warning: {curves.trouble}")
    if ranks > 1:
        from shakegpt.training.distributed import leave_group

        leave_group()
    raise typer.Exit(code)


def _join(device: DeviceName) -> None:
    """Join the processes that ``torchrun`` started; all but the first, which goes on, work here to the end."""
    from shakegpt.system.device import choose_device_plan
    from shakegpt.training.distributed import join_group, serve

    device_plan = choose_device_plan(device, "fp32")
    if join_group(device_plan.device) > 0:
        raise typer.Exit(serve(device_plan.threads))


def _write_curves(thread: "TrainingThread", folder: Path | None) -> "TensorBoardLog | None":
    """Let a training's events be written for TensorBoard too, where a folder for that is given."""
    if folder is None:
        return None
    from shakegpt.export.tensorboard import TensorBoardLog

    log = TensorBoardLog(folder.expanduser())

    def hear(event: Event | None, _: Snapshot) -> None:
        if event is not None:
            log.show(event)

    thread.subscribe(hear)
    return log


def _training_options() -> list[str]:
    return [field.name for field in fields(TrainingConfig)]


def _follow(thread: "TrainingThread", *, json: bool, eval_every: int, on_hangup: OnHangup) -> int:
    """Show a training until it ends, and return the exit code. The training never waits for the terminal."""
    from shakegpt.cli.console import choose_console
    from shakegpt.system.signals import ShutdownHandler

    console = choose_console(json=json, eval_every=eval_every)
    arrived: SimpleQueue[tuple[Event, Snapshot]] = SimpleQueue()

    def hear(event: Event | None, snapshot: Snapshot) -> None:
        stalled = isinstance(event, Step) and arrived.qsize() > _MOST_WAITING
        if event is not None and not stalled:
            arrived.put((event, snapshot))

    thread.subscribe(hear)
    endings = ShutdownHandler(
        stop=thread.stop,
        ended=thread.await_end,
        on_hangup=on_hangup,
        left_terminal=console.fall_silent,
        restore=console.restore,
    )
    endings.install()
    thread.start()
    speaking = True
    while True:
        event, snapshot = arrived.get()
        if speaking:
            try:
                console.show(event, snapshot)
            except OSError as error:  # nobody reads any more; the training goes on
                speaking = False
                if error.errno == EIO:
                    endings.hang_up()
        if event.event in ("finished", "failed"):
            break
    failure = thread.await_end()
    if not speaking:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    endings.settle()
    return failure or endings.exit_code or 0


@reports_errors
def watch(
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run; by default the newest.", autocompletion=complete_runs)
    ] = None,
) -> None:
    """Open the training screen on a run of another process."""
    from shakegpt.errors import ShakegptError
    from shakegpt.runs.store import Store

    store = Store.default()
    if run is not None:
        found = store.run(run)
    else:
        runs = store.runs()
        if not runs:
            raise ShakegptError("There is no run to watch; begin one with `shakegpt train`.")
        found = runs[0]
    open_full_screen(watch=found)


@reports_errors
def stop(run: RunArgument) -> None:
    """Ask the process that trains a run to save and stop."""
    from shakegpt.runs.store import Store

    found = Store.default().run(run)
    found.request("stop")
    owner = found.owner()
    note(f"Asked {owner} to save {run} and stop." if owner else f"{run} has ended.")


def open_full_screen(*, on_hangup: OnHangup = "continue", watch: Any = None) -> None:
    """Open the app, and end with its exit code."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The full-screen app needs a terminal; in a pipe or a script, use `shakegpt generate` or `shakegpt train`."
        )
    if (terminal := os.environ.get("TERM")) in _WITHOUT_CURSOR:
        raise UsageError(
            f"This terminal (TERM={terminal}) cannot move its cursor, as the full-screen app needs to; use "
            "`shakegpt generate` or `shakegpt train`, or set TERM to what the terminal is, such as xterm-256color."
        )
    from shakegpt.tui.terminal import open_app

    raise typer.Exit(open_app(on_hangup=on_hangup, watch=watch))
