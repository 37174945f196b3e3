"""A sweep from the new-run form: a number field with several values, separated by commas."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path

from shakegpt.config import SHAPE_FIELDS
from shakegpt.runs.run import RunMetadata
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import SweepPlan, free_name, make_plan, save_plan
from shakegpt.training.setup import TrainingRequest
from shakegpt.training.sweep import START_SECONDS, begin_in_background, choose_slots
from shakegpt.tui.training.run_form import (
    CHOICES,
    FILE,
    NUMBERS,
    Machine,
    plan,
    rough_time,
    split_values,
    training_request,
)


def varied_options(values: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the options of ``train`` that the form gives several values; none where it makes a single run."""
    options = {name: split_values(name, values[name]) for name in NUMBERS}
    return {name.replace("_", "-"): found for name, found in options.items() if len(found) > 1}


def describe_sweep(values: Mapping[str, str], machine: Machine, start: RunMetadata | None = None) -> str:
    """Return how many runs the form makes and about how long they take; nothing for a single run, or a mistake.

    Args:
        values: the fields, as typed.
        machine: how fast it trains, and how many runs it trains at the same time.
        start: the checkpoint to begin from, if there is one.
    """
    varied = varied_options(values)
    if not varied:
        return ""
    names = [name.replace("-", "_") for name in varied]
    runs = [{**values, **dict(zip(names, combination, strict=True))} for combination in product(*varied.values())]
    slots = choose_slots(
        {values["device"]},
        runs=len(runs),
        jobs=None,
        gpus=machine.visible_gpus,
        cores=machine.cores,
        apple_gpu=machine.apple_gpu,
    )
    threads = None if slots[0].gpu else slots[0].threads
    times = []
    for run in runs:
        try:
            training_request(run)
        except ValueError:
            return ""
        times.append(plan(run, values["preset"], machine, start, threads=threads).seconds)
    known = [time for time in times if time is not None]
    together = f", {len(slots)} at a time" if len(slots) > 1 else ""
    if len(known) < len(times) or (values["begin_from"].strip() and start is None):
        return f"This makes {len(runs)} runs, a sweep{together}: time not known yet."
    seconds = sum(seconds + START_SECONDS for seconds, _ in known) / len(slots)
    time = rough_time(seconds, all(measured for _, measured in known))
    return f"This makes {len(runs)} runs, a sweep{together}: {time} here in all."


def begin_sweep(store: Store, values: Mapping[str, str], request: TrainingRequest) -> SweepPlan:
    """Plan the sweep that the form asks for, and train it in a process of its own, which the app need not outlive.

    Raises:
        ShakegptError: the name is taken, or the store cannot be written.
    """
    varied = varied_options(values)
    changed = {name: values[name].replace(",", "").strip() for name in NUMBERS if values[name].strip()}
    options = {name.replace("_", "-"): [text] for name, text in changed.items() if name.replace("_", "-") not in varied}
    kept = (*CHOICES, *SHAPE_FIELDS)
    options |= {name.replace("_", "-"): [str(request.changes[name])] for name in kept if name in request.changes}
    start = {"preset": [values["preset"]]} if request.begin_from is None else {"from": [request.begin_from]}
    corpus = request.corpus or ""
    options |= start | {"corpus": [str(Path(corpus).absolute()) if values["corpus"] == FILE else corpus]}
    planned = make_plan(values["run"].strip() or free_name(store), varied, options)
    save_plan(store, planned)
    begin_in_background(store, planned)
    return planned
