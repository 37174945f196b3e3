"""``shakegpt sweep``: several runs of one idea, over the devices there are."""

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from errno import EIO, EPIPE
from queue import SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.command_line import is_typed
from shakegpt.cli.console import format_duration
from shakegpt.cli.help import OUTPUT, SWEEP
from shakegpt.cli.notify import check_notify, chosen_ways
from shakegpt.cli.options import complete_sweeps
from shakegpt.cli.output import print_note
from shakegpt.cli.sweep_console import SweepConsole, choose_console
from shakegpt.cli.sweep_options import (
    TRAIN_OPTIONS,
    ParsedRun,
    SweepOptions,
    parse_run,
    split_options,
    with_options_of_train,
)
from shakegpt.config import OnHangup, TrainingConfig
from shakegpt.errors import UsageError
from shakegpt.events import Event, Warning
from shakegpt.system.text import count

if TYPE_CHECKING:
    from shakegpt.runs.store import Store
    from shakegpt.runs.sweeps import SweepPlan
    from shakegpt.training.sweep import Slot, SweepThread

_NOTIFY = "notify"


@with_options_of_train
def sweep(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What to call the sweep; its runs are NAME-01, NAME-02 and so on.",
            show_default="default: sweep",
            rich_help_panel=SWEEP,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Train each combination with so many seeds: --seed (1337 if it is not given) and those after it.",
            rich_help_panel=SWEEP,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="How many runs to train at the same time.",
            show_default="default: one for each GPU, else one for each core",
            rich_help_panel=SWEEP,
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Go on with a sweep: train what is missing, resume what was cut, and repeat nothing that finished.",
            autocompletion=complete_sweeps,
            rich_help_panel=SWEEP,
        ),
    ] = None,
    print_commands: Annotated[
        bool,
        typer.Option(
            "--print",
            envvar="SHAKEGPT_SWEEP_PRINT",
            help="Train nothing; print the command of each run, one a line, for GNU parallel or a SLURM array.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object per event, with its run.", rich_help_panel=OUTPUT),
    ] = False,
    **options: Any,
) -> None:
    """Train every combination of the values that options of train have, several runs at a time.

    Several values are separated by commas. Each run is one of its own in the store, trained by a process of its own on
    its part of the machine; one that fails stops no other. Ctrl-C saves all. Where this process is killed, its runs go
    on, and --resume finds them.

    Exit codes: 0 all finished, 1 a run failed or its output was lost, 2 wrong usage, 130 interrupted, 143 stopped.
    """
    from shakegpt.runs.store import Store
    from shakegpt.runs.sweeps import load_plan, save_plan

    store = Store.default()
    on_hangup: OnHangup = options.get("on_hangup") or "continue"
    options[_NOTIFY] = chosen_ways(context, options[_NOTIFY])
    split = split_options(options, context)
    if resume is not None:
        _check_resume(context)
        plan = load_plan(store, resume)
    else:
        plan = _plan(store, split, name, seeds)
    ways = check_notify(split.of_the_session.get(_NOTIFY) or plan.session_options.get(_NOTIFY, []))
    parsed = [parse_run(plan.arguments(run)) for run in plan.runs]  # an invalid value is an error before all else
    if print_commands:
        for run in plan.runs:
            print(shlex.join(["shakegpt", *plan.arguments(run)]))
        return
    slots = _choose_slots(parsed, jobs)
    if resume is None:
        save_plan(store, plan)
    print_note(_announce(store, plan, slots, parsed))

    from shakegpt.training.sweep import SweepThread

    session_options = {name: values for name, values in plan.session_options.items() if name != _NOTIFY}
    thread = SweepThread(store, replace(plan, session_options=session_options), slots)
    console = choose_console(lambda: thread.rows, json=json)
    raise typer.Exit(_show_until_end(thread, console, on_hangup, ways))


def _check_resume(context: typer.Context) -> None:
    for parameter in ("name", "seeds", "print_commands", *TRAIN_OPTIONS):
        if is_typed(context, parameter) and parameter not in ("on_hangup", _NOTIFY):
            option = {"print_commands": "print"}.get(parameter, parameter).replace("_", "-")
            raise UsageError(f"A resumed sweep is the one that was planned: leave out --{option}.")


def _plan(store: "Store", split: SweepOptions, name: str | None, seeds: int | None) -> "SweepPlan":
    from shakegpt.runs.sweeps import free_name, make_plan

    varied, common = dict(split.varied), dict(split.of_the_runs)
    if seeds is not None:
        if "seed" in varied:
            raise UsageError("The seeds were given twice, by --seed and by --seeds; give them once.")
        first = common.pop("seed", [str(TrainingConfig.seed)])[0]
        if not first.isdecimal():
            raise UsageError(f"The seed must be a whole number of at least 0, not {first!r}.")
        varied["seed"] = [str(int(first) + number) for number in range(seeds)]
    elif "seed" in varied:
        varied["seed"] = varied.pop("seed")  # last, so that runs that differ only in it stand together
    if not varied:
        raise UsageError(
            "There is nothing to sweep over: give an option several values, such as --learning-rate 1e-3,2e-3, or "
            "--seeds 3."
        )
    return make_plan(name or free_name(store), varied, common, split.of_the_session)


def _choose_slots(runs: list[ParsedRun], jobs: int | None) -> "list[Slot]":
    from shakegpt.system.processors import available_cores, has_apple_gpu, visible_gpus
    from shakegpt.training.sweep import choose_slots

    devices = {run.training.device for run in runs}
    return choose_slots(
        devices,
        runs=len(runs),
        jobs=jobs,
        gpus=[] if devices == {"cpu"} else visible_gpus(),
        cores=available_cores(),
        apple_gpu=has_apple_gpu(),
    )


def _announce(store: "Store", plan: "SweepPlan", slots: "list[Slot]", parsed: list[ParsedRun]) -> str:
    """Return how many runs there are to train, how many at a time, and about how long that takes."""
    from shakegpt.runs.run import Run, is_run
    from shakegpt.runs.speed import measured_speeds, training_seconds
    from shakegpt.training.sweep import START_SECONDS

    speeds, threads = measured_speeds(store), None if slots[0].gpu else slots[0].threads
    times = []
    for planned, asked in zip(plan.runs, parsed, strict=True):
        run, step = Run(store.runs_folder / planned.name), 0
        if is_run(run.path):
            if run.status() == "finished":
                continue
            step = max((taken for taken, _ in run.checkpoint_folders()), default=0)
        time = training_seconds(speeds, asked.preset, asked.model, asked.training, step=step, threads=threads)
        times.append(None if time is None or asked.fine_tunes else time[0] + START_SECONDS)
    if not times:
        return f"All {count(len(plan.runs), 'run')} of {plan.name} are finished."
    together = min(len(times), len(slots))
    known = [time for time in times if time is not None]
    duration = f"about {format_duration(sum(known) / together)}" if len(known) == len(times) else "time not known yet"
    of_all = "" if len(times) == len(plan.runs) else f" of {len(plan.runs)}"
    where = ", ".join(dict.fromkeys(slot.label for slot in slots))
    return (
        f"{plan.name}: {len(times)}{of_all} run{'s' * (len(plan.runs) > 1)} to train, {together} at a time "
        f"({where} each); {duration}."
    )


def _show_until_end(thread: "SweepThread", console: SweepConsole, on_hangup: OnHangup, ways: Sequence[str]) -> int:
    """Start a sweep, show it until it ends, and return the exit code."""
    from shakegpt.runs.notifier import Sender
    from shakegpt.system.signals import ShutdownHandler
    from shakegpt.system.terminal_notice import terminal_writer
    from shakegpt.training.sweep_notifier import SweepNotifier

    waiting: SimpleQueue[tuple[str, Event | None]] = SimpleQueue()
    thread.subscribe(lambda name, event: waiting.put((name, event)))
    notifier: SweepNotifier | None = None

    def warn(message: str) -> None:
        waiting.put((thread.sweep_name, Warning(step=0, kind="notify", message=message)))

    def await_end() -> int | None:
        failure = thread.await_end()
        if notifier is not None:
            notifier.finish()
        return failure

    if ways:
        notifier = SweepNotifier(thread, Sender(ways, write=terminal_writer(), warn=warn))
        thread.subscribe(notifier.receive)
        notifier.start()
    shutdown = ShutdownHandler(
        stop=thread.stop,
        await_end=await_end,
        on_hangup=on_hangup,
        on_detach=console.detach,
        restore_terminal=console.restore_terminal,
    )
    shutdown.install()
    console.start()
    thread.start()
    output_error: OSError | None = None
    failure: int | None = None
    ended = False
    while not ended or not waiting.empty():  # what the notifier has to warn of is said after the end
        name, event = waiting.get()
        if output_error is None:
            try:
                if name:
                    console.show(name, event)
                else:
                    console.finish()
            except OSError as error:  # what shows the output has gone, or is full; the sweep goes on
                output_error = error
                if error.errno == EIO:
                    shutdown.hang_up()
        if not name:
            ended, failure = True, await_end()
    states = {row.state for row in thread.rows}
    if output_error is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    elif thread.error is not None:
        print_note(f"shakegpt: {thread.error}")
    elif states == {"finished"}:
        print_note(f"Compare them with `shakegpt runs compare {thread.sweep_name}`.")
    else:
        print_note(f"Go on with `shakegpt sweep --resume {thread.sweep_name}`.")
    shutdown.finish()
    lost = output_error is not None and output_error.errno not in (EIO, EPIPE)
    if shutdown.exit_code or failure:
        return shutdown.exit_code or failure or 1
    return int("failed" in states or lost) or (143 if "stopped" in states else 0)
