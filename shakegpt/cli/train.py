"""``shakegpt train``: a training without a screen, alone or as one of the processes that ``torchrun`` started."""

import os
import signal
from collections.abc import Sequence
from errno import EIO, EPIPE
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.command_line import is_typed
from shakegpt.cli.console import Console, choose_console
from shakegpt.cli.corpus import download_bar
from shakegpt.cli.help import EVALUATION_AND_SAVING, MACHINE, MODEL, OUTPUT
from shakegpt.cli.notify import Notify, chosen_ways
from shakegpt.cli.options import (
    Encoding,
    PresetOption,
    choices,
    chosen_changes,
    chosen_preset,
    complete_checkpoints,
    complete_runs,
    corpus_option,
    from_option,
    with_training_options,
)
from shakegpt.cli.output import print_note
from shakegpt.cli.writers import open_writers
from shakegpt.config import DEFAULT_PRESET, DeviceName, OnHangup, TrainingConfig
from shakegpt.errors import UsageError
from shakegpt.events import Event, Failed, Finished, Step, Warning
from shakegpt.runs.snapshot import Snapshot

if TYPE_CHECKING:
    from shakegpt.export.writers import WriterThread
    from shakegpt.training.thread import TrainingThread
    from shakegpt.training.trainer import Trainer

_MOST_WAITING = 10_000  # events for a reader that has stalled; beyond, steps are left out: metrics.jsonl has them all

_STOPPED = 128 + signal.SIGTERM  # asked by another process, as SIGTERM does: `train && export` must not go on


@with_training_options
def train(
    context: typer.Context,
    preset: PresetOption = DEFAULT_PRESET,
    corpus: Annotated[
        str | None,
        corpus_option("tiny-shakespeare, demo, another name that `shakegpt corpus list` shows, or a text file."),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to call the run.",
            show_default="default: the name of a play",
            autocompletion=complete_runs,
            rich_help_panel=MODEL,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="REF",
            help="Train on from a checkpoint: RUN (its last), RUN@best, RUN@500, last, or a path.",
            autocompletion=complete_checkpoints,
            rich_help_panel=MODEL,
        ),
    ] = None,
    begin_from: Annotated[
        str | None,
        from_option(
            "TRAIN",
            "Begin with the weights of a checkpoint, on another text, and train more gently: pretrained, RUN (its "
            "best), or as for --resume. The model has its shape.",
        ),
    ] = None,
    *,
    encoding: Encoding = "utf-8",
    save_patience: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="At the end, how long to try to save where the disk is full, say, before giving up with exit code 1.",
            rich_help_panel=EVALUATION_AND_SAVING,
        ),
    ] = 300.0,
    on_hangup: Annotated[
        OnHangup,
        typer.Option(
            metavar=choices(OnHangup),
            help="When the terminal goes away: go on training, or save and end.",
            rich_help_panel=MACHINE,
        ),
    ] = "continue",
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write curves and samples for `tensorboard --logdir DIR`.", rich_help_panel=OUTPUT
        ),
    ] = None,
    wandb: Annotated[
        bool,
        typer.Option("--wandb", help="Write them for Weights & Biases, to ./wandb, offline.", rich_help_panel=OUTPUT),
    ] = False,
    trackio: Annotated[
        bool, typer.Option("--trackio", help="Write them for trackio, on this machine.", rich_help_panel=OUTPUT)
    ] = False,
    notify: Notify = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per event.", rich_help_panel=OUTPUT)
    ] = False,
    **changes: Any,
) -> None:
    """Train a model without a screen: for tmux, cron and pipes.

    Exit codes: 0 finished, 1 failed or its output was lost, 2 wrong usage, 130 interrupted, 143 stopped before its
    last step (by a signal, or by `shakegpt stop`) and saved.
    """
    from shakegpt.runs.speed import expected_seconds
    from shakegpt.runs.store import Store
    from shakegpt.system.signals import end_process
    from shakegpt.system.threads import configure_process
    from shakegpt.training.setup import SESSION_FIELDS, TrainingRequest, build_trainer
    from shakegpt.training.thread import TrainingThread

    if resume is not None:
        _check_resume(context)
        begin_from = None
    changes = chosen_changes(context, changes, begin_from)
    if resume is not None:
        # The defaults of config.toml and the environment are for new runs.
        changes = {name: value for name, value in changes.items() if name in SESSION_FIELDS or is_typed(context, name)}
        corpus = corpus if is_typed(context, "corpus") else None
        run = run if is_typed(context, "run") else None
    request = TrainingRequest(
        preset=chosen_preset(context, preset, begin_from),
        corpus=corpus,
        encoding=encoding,
        run_name=run,
        changes=changes,
        resume=resume,
        begin_from=begin_from,
        save_patience=save_patience,
    )
    ways = chosen_ways(context, notify)
    configure_process()
    process_count = int(os.environ.get("WORLD_SIZE", "1"))  # torchrun sets it
    if process_count > 1:
        _join_processes(changes.get("device", "auto"))
    store = Store.default()

    def prepare() -> "Trainer":
        with download_bar() as on_progress:
            trainer = build_trainer(store, request, on_progress=on_progress)
        if not json:
            console.expected = expected_seconds(store, trainer.run, trainer.state.step)
        return trainer

    thread = TrainingThread(prepare)
    writers = open_writers(store, tensorboard=tensorboard, wandb=wandb, trackio=trackio)
    console = choose_console(json=json, eval_every=changes.get("eval_every", TrainingConfig.eval_every))
    code = _show_until_end(thread, console, on_hangup, writers, ways)
    if process_count > 1:
        from shakegpt.training.distributed import leave_group

        leave_group()
    if not all(writer.ended for writer in writers):
        end_process(code)  # at the end of the interpreter, what hangs would be waited for
    raise typer.Exit(code)


def _check_resume(context: typer.Context) -> None:
    """Raise ``UsageError`` where an option is on the command line that a resumed run has no use for."""
    if is_typed(context, "begin_from"):
        raise UsageError("A resumed run has weights of its own: give --resume or --from, not both.")
    if is_typed(context, "preset"):
        raise UsageError("A resumed run keeps its preset: leave out --preset, or begin a new run without --resume.")
    if is_typed(context, "encoding") and not is_typed(context, "corpus"):
        raise UsageError("A resumed run reads its own text as before: leave out --encoding, or give --corpus too.")


def _join_processes(device: DeviceName) -> None:
    """Join the processes that ``torchrun`` started. Only the first returns; the others train here to the end."""
    from shakegpt.system.device import choose_device_plan
    from shakegpt.training.distributed import follow, join_group

    device_plan = choose_device_plan(device, "fp32")
    if join_group(device_plan.device) > 0:
        raise typer.Exit(follow(device_plan))


def _show_until_end(
    thread: "TrainingThread",
    console: Console,
    on_hangup: OnHangup,
    writers: "list[WriterThread]",
    ways: Sequence[str],
) -> int:
    """Start a training, show it until it ends, and return the exit code. Training never waits for the terminal."""
    from shakegpt.runs.notifier import Notifier, Sender
    from shakegpt.system.signals import ShutdownHandler
    from shakegpt.system.terminal_notice import terminal_writer

    waiting: SimpleQueue[tuple[Event, Snapshot]] = SimpleQueue()

    def receive(event: Event | None, snapshot: Snapshot) -> None:
        stalled = isinstance(event, Step) and waiting.qsize() > _MOST_WAITING
        if event is not None and not stalled:
            waiting.put((event, snapshot))

    def await_end() -> int | None:
        failure = thread.await_end()
        for writer in writers:
            writer.finish()
        if notifier is not None:
            notifier.finish()
        return failure

    def warn(message: str) -> None:
        snapshot = thread.latest
        waiting.put((Warning(step=snapshot.current_step, kind="notify", message=message), snapshot))

    thread.subscribe(receive)
    notifier = None
    if ways:
        notifier = Notifier(Sender(ways, write=terminal_writer(), warn=warn), begin=thread.latest)
        thread.subscribe(notifier.receive)
        notifier.start()
    for writer in writers:
        writer.on_warning = lambda warning: waiting.put((warning, thread.latest))
        thread.subscribe(writer.receive)
        writer.start()
    shutdown = ShutdownHandler(
        stop=thread.stop,
        await_end=await_end,
        on_hangup=on_hangup,
        on_detach=console.detach,
        restore_terminal=console.restore_terminal,
    )
    shutdown.install()
    thread.start()
    output_error: OSError | None = None
    end: Event | None = None
    failure: int | None = None
    while end is None or not waiting.empty():  # what the writers lack is said after the training's end
        event, snapshot = waiting.get()
        if output_error is None:
            try:
                console.show(event, snapshot)
            except OSError as error:  # what shows the output has gone, or is full; the training goes on
                output_error = error
                if error.errno == EIO:
                    shutdown.hang_up()
                elif error.errno != EPIPE:
                    print_note(f"warning: standard output cannot be written ({error.strerror}); the training goes on.")
        if isinstance(event, Finished | Failed):
            end, failure = event, await_end()
    lost = output_error is not None and output_error.errno not in (EIO, EPIPE)
    if output_error is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    shutdown.finish()
    stopped = isinstance(end, Finished) and end.outcome == "stopped"
    return failure or shutdown.exit_code or (_STOPPED if stopped else int(lost))
