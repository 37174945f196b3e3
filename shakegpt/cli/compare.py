"""``shakegpt runs compare``: runs beside each other, and whether the difference is more than luck."""

import shutil
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shakegpt.cli.console import format_duration
from shakegpt.cli.options import Json, complete_runs_and_sweeps
from shakegpt.cli.output import print_json
from shakegpt.system.text import count, escape_control_characters, escape_line

if TYPE_CHECKING:
    from shakegpt.runs.comparison import ComparedRun, Comparison, Group

_LEAST_COLUMN, _WIDEST = 26, 120
_SAMPLE_LINES = 10


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Runs, or sweeps for all their runs.", autocompletion=complete_runs_and_sweeps
        ),
    ],
    reach: Annotated[
        float | None,
        typer.Option(
            metavar="LOSS",
            min=0,
            help="Tell when each run reached this validation loss.",
            show_default="default: the lowest that all reached",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compare runs: settings, losses over seeds, time to a loss, samples.

    Runs that are equal but for their seeds are one group. A difference from the best group counts where a t-test finds
    it beyond the spread over seeds, which is pooled over all groups, with p < 0.05 after Bonferroni's correction. With
    one seed each, nobody can tell.
    """
    from shakegpt.runs.comparison import compare as compare_runs
    from shakegpt.runs.store import Store
    from shakegpt.runs.sweeps import runs_of

    store = Store.default()
    found = {run.name: run for name in runs for run in runs_of(store, name)}
    comparison = compare_runs(list(found.values()), reach)
    if json:
        print_json(_to_json(comparison))
    else:
        for line in describe_comparison(comparison, min(shutil.get_terminal_size().columns, _WIDEST)):
            print(line)


def _to_json(comparison: "Comparison") -> dict[str, Any]:
    contrasts = {contrast.group: contrast for contrast in comparison.contrasts}
    groups = []
    for number, group in enumerate(comparison.groups):
        contrast = contrasts.get(number)
        groups.append(
            {
                "settings": group.settings,
                "runs": [run.name for run in group.runs],
                "seeds": [run.seed for run in group.runs],
                "mean": group.mean,
                "spread": group.spread,
                "difference": contrast.difference if contrast else None,
                "p_value": contrast.p_value if contrast else None,
                "verdict": contrast.verdict if contrast else None,
            }
        )
    return {
        "test": "t-test, pooled spread, two-sided, Bonferroni",
        "reach": comparison.target,
        "verdict": comparison.verdict,
        "groups": groups,
        "runs": [_run_to_json(run, comparison.target) for run in comparison.runs],
    }


def _run_to_json(run: "ComparedRun", target: float | None) -> dict[str, Any]:
    reached = None if target is None else run.reached(target)
    best = run.snapshot.best
    return {
        "name": run.name,
        "status": run.status,
        "seed": run.seed,
        "step": run.snapshot.current_step,
        "best_val_loss": run.best,
        "best_step": best.step if best else None,
        "reached_step": reached.step if reached else None,
        "reached_seconds": reached.seconds if reached else None,
        "reached_characters": reached.tokens if reached else None,
        "sample": run.sample,
    }


def describe_comparison(comparison: "Comparison", width: int) -> list[str]:
    """Return a comparison for people, in lines of at most ``width`` columns apart from long settings."""
    lines = [*_group_table(comparison), "", *textwrap.wrap(comparison.verdict, width)]
    if comparison.contrasts:
        lines += ["  (t-test, spread over seeds pooled, Bonferroni; a difference counts from p < 0.05)"]
    if comparison.unfinished:
        names = ", ".join(
            f"{run.name} ({run.status} at {run.snapshot.current_step:,})" for run in comparison.unfinished
        )
        lines += textwrap.wrap(f"Not finished, so this may change: {names}.", width)
    lines += ["", *_run_table(comparison)]
    if samples := _samples(comparison, width):
        lines += ["", *samples]
    return lines


def _label(group: "Group") -> str:
    from shakegpt.runs.comparison import describe

    return escape_line(describe(group.settings)) or "these runs"


def _group_table(comparison: "Comparison") -> list[str]:
    contrasts = {contrast.group: contrast for contrast in comparison.contrasts}
    labels = [_label(group) for group in comparison.groups]
    column = max(len("SETTINGS"), *map(len, labels))
    lines = [f"{'SETTINGS':<{column}}  {'SEEDS':>5}  {'MEAN':>7}  {'SPREAD':>7}  {'BEHIND':>7}  {'P':>7}"]
    for number, (group, label) in enumerate(zip(comparison.groups, labels, strict=True)):
        contrast = contrasts.get(number)
        behind = "" if contrast is None else f"{contrast.difference:+.4f}"
        p_value = "" if contrast is None or contrast.p_value is None else f"{contrast.p_value:.2g}"
        verdict = "" if contrast is None else "worse" if contrast.verdict == "better" else contrast.verdict
        lines.append(
            f"{label:<{column}}  {len(group.losses):>5}  {_number(group.mean):>7}  {_number(group.spread):>7}  "
            f"{behind:>7}  {p_value:>7}  {verdict}".rstrip()
        )
    return lines


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _run_table(comparison: "Comparison") -> list[str]:
    target = comparison.target
    column = max(len(run.name) for run in comparison.runs)
    when = "" if target is None else f"  {f'TIME TO {target:.4f}':>15}  {'CHARACTERS':>11}"
    lines = [f"{'RUN':<{column}}  {'SEED':>6}  {'BEST':>7}  {'AT STEP':>7}{when}"]
    for run in comparison.runs:
        best = run.snapshot.best
        reached = None if target is None else run.reached(target)
        time = "" if target is None else f"  {'never':>15}  {'-':>11}"
        if reached is not None:
            time = f"  {format_duration(reached.seconds):>15}  {reached.tokens:>11,}"
        step = f"{best.step:,}" if best else "-"
        lines.append(f"{run.name:<{column}}  {run.seed:>6}  {_number(run.best):>7}  {step:>7}{time}")
    return lines


def _samples(comparison: "Comparison", width: int) -> list[str]:
    """Return what the groups wrote at a seed that all have, side by side, as many in a row as there is room for."""
    seed = comparison.common_seed
    if seed is None or len(comparison.groups) < 2:
        return []
    chosen = [next(run for run in group.runs if run.seed == seed) for group in comparison.groups]
    if not any(run.sample for run in chosen):
        return []
    per_row = max(1, min(len(chosen), (width + 2) // (_LEAST_COLUMN + 2)))
    column = (width + 2) // per_row - 2
    lines = [f"What {count(len(chosen), 'run')} of seed {seed} wrote at their best:"]
    for start in range(0, len(chosen), per_row):
        cells = [_cell(run, column) for run in chosen[start : start + per_row]]
        lines.append("")
        lines += ["  ".join(f"{part:<{column}}" for part in row).rstrip() for row in zip_longest(*cells, fillvalue="")]
    return lines


def _cell(run: "ComparedRun", width: int) -> list[str]:
    text = escape_control_characters(run.sample or "(no sample)").expandtabs(4).strip("\n")
    wrapped = [piece for line in text.split("\n") for piece in (textwrap.wrap(line, width) or [""])]
    return [run.name[:width], "-" * min(width, len(run.name)), *wrapped[:_SAMPLE_LINES]]
