"""A sweep from the new-run form: a number field with several values, separated by commas."""

from collections.abc import Mapping
from itertools import product

from shakegpt.config import PRESETS
from shakegpt.runs.speed import training_seconds
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import SweepPlan, free_name, make_plan, save_plan
from shakegpt.training.setup import TrainingRequest
from shakegpt.training.sweep import begin_in_background
from shakegpt.tui.training.model_fields import TYPICAL_VOCAB_SIZE
from shakegpt.tui.training.run_form import (
    CHOICES,
    NUMBERS,
    Machine,
    rough_duration,
    split_values,
    training_request,
)


def varied_options(values: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the options of ``train`` that the form gives several values; none where it makes a single run."""
    options = {name: split_values(name, values[name]) for name in NUMBERS}
    return {name.replace("_", "-"): found for name, found in options.items() if len(found) > 1}


def describe_sweep(values: Mapping[str, str], machine: Machine) -> str:
    """Return how many runs the form makes and about how long they take; nothing for a single run, or a mistake."""
    varied = varied_options(values)
    if not varied:
        return ""
    preset = PRESETS[values["preset"]]
    model = preset.model_config(TYPICAL_VOCAB_SIZE)
    seconds: float | None = 0.0
    combinations = list(product(*varied.values()))
    for combination in combinations:
        own = dict(zip((name.replace("-", "_") for name in varied), combination, strict=True))
        try:
            training = preset.training_config(**training_request({**values, **own}).changes)
        except ValueError:
            return ""
        expected = training_seconds(machine.speeds, values["preset"], model, training)
        seconds = None if seconds is None or expected is None else seconds + expected[0]
    time = "time not known yet" if seconds is None else f"about {rough_duration(seconds)} here in all"
    return f"This makes {len(combinations)} runs, a sweep: {time}."


def begin_sweep(store: Store, values: Mapping[str, str], request: TrainingRequest) -> SweepPlan:
    """Plan the sweep that the form asks for, and train it in a process of its own, which the app need not outlive.

    Raises:
        ShakegptError: the name is taken, or the store cannot be written.
    """
    varied = varied_options(values)
    changed = {name: values[name].replace(",", "").strip() for name in NUMBERS if values[name].strip()}
    options = {name.replace("_", "-"): [text] for name, text in changed.items() if name.replace("_", "-") not in varied}
    options |= {name: [str(request.changes[name])] for name in CHOICES if name in request.changes}
    options |= {"preset": [values["preset"]], "corpus": [request.corpus or ""]}
    plan = make_plan(values["run"].strip() or free_name(store), varied, options)
    save_plan(store, plan)
    begin_in_background(store, plan)
    return plan
