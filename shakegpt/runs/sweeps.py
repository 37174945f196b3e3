"""Sweeps: several runs of one idea, planned in a file before the first begins, which nothing changes afterwards.

What has become of each run is never written here: the run itself says.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count, product
from pathlib import Path

from shakegpt.errors import ShakegptError, UsageError
from shakegpt.runs.run import Run, check_run_name, is_run, utc_timestamp
from shakegpt.runs.store import Store
from shakegpt.system.files import new_folder, read_bounded, write_synced
from shakegpt.system.json_records import parse_record
from shakegpt.system.paths import sweeps_folder
from shakegpt.system.text import escape_line, is_name

DEFAULT_NAME = "sweep"
MOST_RUNS = 1_000
_PLAN_FILE = "plan.json"
_RUN_NAME = re.compile(r"(.+)-\d{2,4}")
_MAX_PLAN_BYTES = 4 * 1024**2


@dataclass(frozen=True, kw_only=True)
class PlannedRun:
    """A run of a sweep: its name, and its own options of ``train``."""

    name: str
    settings: dict[str, str]
    """Those that differ within the sweep, as on the command line: ``{"learning-rate": "1e-3"}``."""


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What a sweep is, fixed before it begins (``plan.json``)."""

    name: str
    created: str
    """ISO 8601, UTC."""
    options: dict[str, list[str]]
    """Options of ``train`` that make all its runs what they are, each with its values; none for a switch."""
    session_options: dict[str, list[str]]
    """Options that a run is resumed with as well, such as ``{"save-patience": ["60"]}``."""
    runs: list[PlannedRun]

    def arguments(self, run: PlannedRun, *, resume: bool = False) -> list[str]:
        """Return the arguments of the command that trains a run, or that resumes it from its last checkpoint."""
        session = {name: [value.replace("{run}", run.name) for value in values]
                   for name, values in self.session_options.items()}  # fmt: skip
        if resume:
            return ["train", "--resume", run.name, *_arguments(session)]
        own = {name: [value] for name, value in run.settings.items()}
        return ["train", *_arguments(self.options | own | session), "--run", run.name]


def _arguments(options: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, values in options.items():
        if not values:
            yield f"--{name}"
        for value in values:
            yield f"--{name}"
            yield value


def make_plan(
    name: str,
    varied: Mapping[str, Sequence[str]],
    options: Mapping[str, Sequence[str]],
    session_options: Mapping[str, Sequence[str]] | None = None,
) -> SweepPlan:
    """Return the plan of a sweep over all combinations of values; the last option varies fastest.

    Raises:
        UsageError: no run can have the names that this gives, or there are too many.
    """
    combinations = list(product(*varied.values()))
    if len(combinations) > MOST_RUNS:
        raise UsageError(f"That makes {len(combinations):,} runs; a sweep has {MOST_RUNS:,} at most.")
    digits = max(2, len(str(len(combinations))))
    runs = [
        PlannedRun(name=f"{name}-{number:0{digits}}", settings=dict(zip(varied, values, strict=True)))
        for number, values in enumerate(combinations, start=1)
    ]
    check_run_name(runs[-1].name)
    return SweepPlan(
        name=name,
        created=utc_timestamp(),
        options={option: list(values) for option, values in options.items()},
        session_options={option: list(values) for option, values in (session_options or {}).items()},
        runs=runs,
    )


def sweep_folder(store: Store, name: str) -> Path:
    """Return the folder of a sweep's plan, lock and outputs."""
    check_run_name(name)
    return sweeps_folder(store.home) / name


def free_name(store: Store) -> str:
    """Return a name for a sweep that was given none."""
    names = (DEFAULT_NAME if number == 1 else f"{DEFAULT_NAME}-{number}" for number in count(1))
    return next(name for name in names if not sweep_folder(store, name).exists() and not named_like(store, name))


def save_plan(store: Store, plan: SweepPlan) -> None:
    """Write a new plan: whole or not at all.

    Raises:
        ShakegptError: there is a sweep or a run of that name, or the store cannot be written.
    """
    folder = sweep_folder(store, plan.name)
    for run in plan.runs:
        if (store.runs_folder / run.name).exists():
            raise ShakegptError(f"There is a run {run.name} already; give this sweep another name with --name.")
    text = json.dumps(asdict(plan), indent=2, ensure_ascii=False)
    try:
        with new_folder(folder) as partial:
            write_synced(partial / _PLAN_FILE, (text + "\n").encode())
    except FileExistsError:
        raise ShakegptError(
            f"There is a sweep {plan.name} already; go on with it by --resume {plan.name}, or choose another name with "
            "--name."
        ) from None
    except OSError as error:
        raise ShakegptError(f"The plan of the sweep cannot be written to {folder}: {error.strerror}.") from error


def load_plan(store: Store, name: str) -> SweepPlan:
    """Return the plan of a sweep.

    Raises:
        ShakegptError: there is no such sweep, or its plan is damaged.
    """
    path = sweep_folder(store, name) / _PLAN_FILE
    try:
        plan = parse_record(read_bounded(path, _MAX_PLAN_BYTES), SweepPlan)
    except FileNotFoundError:
        names = ", ".join(plan.name for plan in plans(store)[:8])
        known = f"the sweeps here are {names}" if names else "there are no sweeps yet: begin one with `shakegpt sweep`"
        raise ShakegptError(f"There is no sweep {name}; {known}.") from None
    except (OSError, ValueError) as error:
        raise ShakegptError(f"The plan {path} cannot be read: {escape_line(str(error))}.") from None
    if not plan.runs or not all(is_name(run.name) for run in plan.runs):
        raise ShakegptError(f"The plan {path} cannot be read: it has no runs, or one without a proper name.")
    return plan


def plans(store: Store) -> list[SweepPlan]:
    """Return every readable plan, newest first."""
    found = []
    with suppress(OSError):
        for folder in sweeps_folder(store.home).iterdir():
            if is_name(folder.name) and (folder / _PLAN_FILE).is_file():
                with suppress(ShakegptError):
                    found.append(load_plan(store, folder.name))
    return sorted(found, key=lambda plan: plan.created, reverse=True)


def sweep_name(run: str) -> str | None:
    """Return the name of the sweep that a run is named after, ``rates`` for ``rates-03``; ``None`` for another run."""
    match = _RUN_NAME.fullmatch(run)
    return None if match is None else match[1]


def named_like(store: Store, name: str) -> list[Run]:
    """Return the runs that are named like those of a sweep, ``NAME-01`` and so on, in that order."""
    with suppress(OSError):
        paths = [path for path in store.runs_folder.iterdir() if sweep_name(path.name) == name and is_run(path)]
        return [Run(path) for path in sorted(paths, key=lambda path: int(path.name.rpartition("-")[2]))]
    return []


def runs_of(store: Store, name: str) -> list[Run]:
    """Return the runs of a sweep that there are by now, or the one run of that name.

    The runs of ``sweep --print``, which has no plan here, are known by their names.

    Raises:
        ShakegptError: there is neither a run nor a sweep of that name, or no run of the sweep has begun.
    """
    check_run_name(name)
    if is_run(store.runs_folder / name):
        return [store.run(name)]
    if (sweep_folder(store, name) / _PLAN_FILE).exists():
        planned = [Run(store.runs_folder / run.name) for run in load_plan(store, name).runs]
        if begun := [run for run in planned if is_run(run.path)]:
            return begun
        raise ShakegptError(f"No run of the sweep {name} has begun; go on with it by `shakegpt sweep --resume {name}`.")
    return named_like(store, name) or [store.run(name)]
