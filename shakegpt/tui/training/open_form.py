"""Opens the form of a new run, and starts what it asks for."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from textual.screen import Screen

from shakegpt.errors import ShakegptError
from shakegpt.runs.speed import measured_speeds
from shakegpt.runs.store import Store
from shakegpt.system.text import escape_line
from shakegpt.training.rate_finder import RateFinder
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.context import AppContext
from shakegpt.tui.messages import StartTraining
from shakegpt.tui.training.model_fields import read_start
from shakegpt.tui.training.new_run import NewRunScreen
from shakegpt.tui.training.run_form import Machine
from shakegpt.tui.training.sweep_form import begin_sweep, varied_options


def open_new_run_form(
    screen: Screen[Any], context: AppContext, *, begin_from: str = "", values: Mapping[str, str] | None = None
) -> None:
    """Ask what to train, and start it from ``screen``; say so where a run of this process is in training already.

    Args:
        screen: what the training is started from.
        context: has the fields as they were last time.
        begin_from: the checkpoint that the form begins with.
        values: fields to fill in that differ from last time.
    """
    training = context.own_training
    if training is not None:
        name = training.latest.started.run if training.latest.started else "A run"
        screen.notify(f"{name} is in training: X stops it, then n starts another.", markup=False)
        return
    form = NewRunScreen(
        {**context.preferences.new_run, **(values or {})},
        begin_from=begin_from,
        check_name=context.store.check_new_name,
        read_start=partial(read_start, context.store),
        read_machine=partial(read_machine, context.store),
        make_finder=partial(RateFinder, context.store),
    )

    def start(request: TrainingRequest | None) -> None:
        if request is not None:
            context.remember(new_run=form.values)
            if not varied_options(form.values):
                screen.post_message(StartTraining(request))
                return
            try:
                plan = begin_sweep(context.store, form.values, request)
            except ShakegptError as error:
                screen.notify(escape_line(str(error)), severity="error", markup=False)
                return
            screen.notify(
                f"{plan.name} has begun: a sweep of {len(plan.runs)} runs that go on without the app. They are on the "
                "runs screen (3), where W marks them and z draws their curves.",
                markup=False,
            )

    screen.app.push_screen(form, start)


def read_machine(store: Store) -> Machine:
    """Return what is known of this machine. Reads logs, and imports torch to ask for a GPU."""
    from shakegpt.system.device import default_device_type, numbered_gpus
    from shakegpt.system.processors import available_cores, has_apple_gpu, visible_gpus

    try:
        return Machine(
            default_device_type(),
            measured_speeds(store),
            numbered_gpus(),
            visible_gpus=tuple(visible_gpus()),
            cores=available_cores(),
            apple_gpu=has_apple_gpu(),
        )
    except ShakegptError:
        return Machine()
