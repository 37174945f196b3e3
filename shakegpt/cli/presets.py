"""``shakegpt presets``: the sizes of model there are, and the training that each one comes with."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from shakegpt.cli.console import format_duration
from shakegpt.cli.help import format_number
from shakegpt.cli.options import Json
from shakegpt.cli.output import print_json
from shakegpt.config import PRESETS, current_preset
from shakegpt.events import Finished

if TYPE_CHECKING:
    from shakegpt.runs.store import Store

_TINY_SHAKESPEARE_CHARACTERS = 65
"""Distinct characters of the default text, for which the weights are counted."""
_LEAST_SHARE = 0.05


def presets(json: Json = False) -> None:
    """List the presets: size, shape, training, and how long it takes here.

    The time is worked out from the newest run of a preset that has ended on this machine.
    """
    from shakegpt.runs.store import Store

    store = Store.default()
    rows = [_describe(name, store) for name in PRESETS]
    if json:
        print_json({"presets": rows})
        return
    print(f"{'PRESET':<7} {'WEIGHTS':>7}  {'BLOCKS':>6} {'HEADS':>5} {'WIDTH':>5} {'CONTEXT':>7} "
          f"{'STEPS':>6} {'BATCH':>5}  {'RATE':<6} TIME HERE")  # fmt: skip
    for row in rows:
        model, training, seconds = row["model"], row["training"], row["seconds"]
        print(
            f"{row['name']:<7} {row['parameters'] / 1e6:>5.1f} M  {model['n_layer']:>6} {model['n_head']:>5} "
            f"{model['d_model']:>5} {model['block_size']:>7} {training['steps']:>6,} {training['batch_size']:>5}  "
            f"{format_number(training['learning_rate']):<6} {'-' if seconds is None else format_duration(seconds)}"
        )


def _describe(name: str, store: "Store") -> dict[str, Any]:
    model = PRESETS[name].model_config(_TINY_SHAKESPEARE_CHARACTERS)
    training = PRESETS[name].training_config()
    return {
        "name": name,
        "summary": PRESETS[name].summary,
        "parameters": model.parameters,
        "model": asdict(model),
        "training": asdict(training),
        "seconds": _seconds_here(name, store),
    }


def _seconds_here(name: str, store: "Store") -> float | None:
    """Return how long a preset's training takes at the speed of its newest run that has ended.

    A run of a few steps, most of which were evaluations, says little.
    """
    preset = PRESETS[name]
    training, block_size = preset.training_config(), preset.model_config(1).block_size
    for run in store.runs():
        record, last = run.metadata, run.log.last()
        if current_preset(record.preset) != name or not isinstance(last, Finished):
            continue
        if last.step >= training.steps * _LEAST_SHARE and last.seconds > 0:
            characters = last.step * record.training.batch_size * record.model.block_size
            return training.steps * training.batch_size * block_size * last.seconds / characters
    return None
