"""The runs of the store as the checkpoint screen lists them: filtered, sorted, folded and marked; without widgets."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from shakegpt.errors import UsageError
from shakegpt.runs.run import RunMetadata
from shakegpt.runs.run_settings import SettingFilter
from shakegpt.tui import formatting
from shakegpt.tui.chart.colouring import Colouring, choose_colouring
from shakegpt.tui.checkpoints.listed_runs import ListedCheckpoint, ListedRun, SweepIdentity
from shakegpt.tui.checkpoints.sweep_groups import ListedSweep

SortKey = Literal["age", "name", "loss", "step", "size"]
SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)
_MOST_ROWS_UNFOLDED = 12
# Newest, lowest loss and first name come first; so do the longest and the largest.
_LARGEST_FIRST = frozenset({"age", "step", "size"})


@dataclass(frozen=True)
class Row:
    """A row of the list: a run, one of its checkpoints, or a sweep, whose run is then its best."""

    run: ListedRun
    checkpoint: ListedCheckpoint | None = None
    sweep: ListedSweep | None = None

    @property
    def key(self) -> str:
        """The name of the row, the same each time that the store is read."""
        if self.sweep is not None:
            return self.sweep.key
        return self.checkpoint.reference if self.checkpoint else self.run.name

    @property
    def best(self) -> ListedCheckpoint | None:
        """The checkpoint, or the best one of the run."""
        return self.checkpoint or self.run.best

    @property
    def last(self) -> ListedCheckpoint | None:
        """The checkpoint, or the last one of the run."""
        return self.checkpoint or self.run.last

    @property
    def sorted_as(self) -> ListedRun:
        """A run whose figures are those of the row."""
        sweep = self.sweep
        if sweep is None:
            return self.run
        return replace(self.run, name=sweep.name, bytes=sweep.bytes, created=sweep.created)

    @property
    def keys(self) -> list[str]:
        """Its own name, and those of the rows that it may be folded into."""
        above = [self.run.sweep.key] if self.run.sweep is not None else []
        return [self.key, self.run.name, *above]

    @property
    def path(self) -> str:
        """The folder of the checkpoint, of the run, or of the sweep's plan."""
        if self.sweep is not None and self.sweep.identity.path:
            return self.sweep.identity.path
        return str(self.checkpoint.info.path) if self.checkpoint else self.run.path


@dataclass
class RunList:
    """The runs, and how the user has filtered, sorted, folded and marked them."""

    runs: list[ListedRun] | None = None
    """``None`` until the store has been read."""
    filter_words: str = ""
    sort: SortKey = "age"
    reverse: bool = False
    marked: tuple[str, ...] = ()
    """The names of the runs whose curves are to be compared, in the order of their colours."""
    folded: frozenset[str] = frozenset()
    """The names of the runs whose checkpoints are hidden."""
    unfolded_sweeps: frozenset[str] = frozenset()
    """The names of the sweeps whose runs are on show."""
    colour_by: str | None = None
    """The setting that chooses the colours of marked runs; ``None`` where each has its own."""
    _swept: frozenset[str] = field(default_factory=frozenset)
    """The runs of sweeps that were listed before: the first time, their checkpoints are hidden."""

    def update(self, runs: list[ListedRun]) -> None:
        """Take over what was read from the store. A large store is at first shown folded but for the newest run."""
        if self.runs is None and sum(1 + len(run.checkpoints) for run in runs) > _MOST_ROWS_UNFOLDED:
            self.folded = frozenset(run.name for run in runs[1:])
        swept = frozenset(run.name for run in runs if run.sweep is not None)
        self.folded, self._swept = self.folded | (swept - self._swept), self._swept | swept
        self.runs = runs
        names = {run.name for run in runs}
        self.marked = tuple(name for name in self.marked if name in names)

    def rows(self) -> list[Row]:
        """Return the rows on show."""
        found = filter_runs(self.runs or [], self.filter_words)
        entries = [Row(run) for run in found if run.sweep is None]
        entries += [Row(sweep.best, sweep=sweep) for sweep in sweeps_of(found)]
        rows: list[Row] = []
        for entry in sort_rows(entries, self.sort, reverse=self.reverse):
            if entry.sweep is None:
                rows += self._rows_of(entry.run)
                continue
            rows.append(entry)
            if entry.sweep.name in self.unfolded_sweeps:
                key: SortKey = "name" if self.sort == "age" else self.sort
                for run in sort_runs(entry.sweep.runs, key, reverse=self.reverse):
                    rows += self._rows_of(run)
        return rows

    def _rows_of(self, run: ListedRun) -> list[Row]:
        hidden = run.is_built_in or run.name in self.folded
        return [Row(run)] if hidden else [Row(run), *(Row(run, checkpoint) for checkpoint in run.checkpoints)]

    def fold(self, row: Row) -> None:
        """Hide a run's checkpoints; where they are hidden, or there are none, the runs of its sweep."""
        run = row.run
        hidden = row.checkpoint is None and (run.name in self.folded or not run.checkpoints)
        if run.sweep is not None and (row.sweep is not None or hidden):
            self.unfolded_sweeps -= {run.sweep.name}
        else:
            self.folded |= {run.name}

    def unfold(self, row: Row) -> None:
        """Show a run's checkpoints, or the runs of a sweep."""
        if row.sweep is not None:
            self.unfolded_sweeps |= {row.sweep.name}
        else:
            self.folded -= {row.run.name}

    @property
    def colouring(self) -> Colouring:
        """The colours of the marked runs."""
        return choose_colouring(self.colour_by, self.marked_settings)

    @property
    def marked_settings(self) -> dict[str, RunMetadata | None]:
        """What the marked runs were asked to be, by their names."""
        by_name = {run.name: run.metadata for run in self.runs or ()}
        return {name: by_name.get(name) for name in self.marked}

    @property
    def title(self) -> str:
        """How many runs there are, and how much of the disk they take."""
        runs = [run for run in self.runs or () if not run.is_built_in]
        if not runs:
            return "Runs"
        size = formatting.size(sum(run.bytes for run in runs))
        return f"{formatting.count(len(runs))} run{'s' * (len(runs) != 1)} · {size}"

    def sort_by(self, key: SortKey) -> None:
        """Sort by a key, or reverse the order if it is the current one."""
        self.reverse = not self.reverse if key == self.sort else False
        self.sort = key

    def toggle_mark(self, name: str) -> None:
        """Mark a run, or remove its mark."""
        others = tuple(marked for marked in self.marked if marked != name)
        self.marked = (*self.marked, name) if len(others) == len(self.marked) else others

    def sweep_of(self, run: ListedRun) -> list[str]:
        """Return the names of all runs of the sweep that a run belongs to."""
        sweep = run.sweep
        return sorted(other.name for other in self.runs or () if sweep is not None and other.sweep == sweep)

    def toggle_marks(self, names: Sequence[str]) -> None:
        """Mark these runs too, or remove their marks where all of them have one."""
        others = tuple(marked for marked in self.marked if marked not in names)
        self.marked = others if len(self.marked) - len(others) == len(names) else (*others, *names)

    def rename(self, old: str, new: str) -> None:
        """Keep a renamed run folded and marked."""
        self.marked = tuple(new if name == old else name for name in self.marked)
        if old in self.folded:
            self.folded |= {new}


def sweeps_of(runs: Iterable[ListedRun]) -> list[ListedSweep]:
    """Return the sweeps that runs belong to, each with those of its runs."""
    members: dict[SweepIdentity, list[ListedRun]] = {}
    for run in runs:
        if run.sweep is not None:
            members.setdefault(run.sweep, []).append(run)
    return [ListedSweep(sweep, tuple(sorted(found, key=lambda run: run.name))) for sweep, found in members.items()]


def filter_runs(runs: Iterable[ListedRun], words: str) -> list[ListedRun]:
    """Return the runs that have every one of ``words`` in their name, status, corpus, preset, tags or note.

    A word such as ``learning_rate=2e-3`` asks for the runs with that setting.
    """
    return [run for run in runs if all(_matches(run, word) for word in words.split())]


def _matches(run: ListedRun, word: str) -> bool:
    if word.endswith("="):
        return True  # its value is still to be typed
    if run.metadata is not None and "=" in word:
        with suppress(UsageError):  # then it may be a part of a note
            return SettingFilter.parse(word).matches(run.metadata)
    texts = (run.name, run.title, run.status, run.corpus, run.preset, *run.tags, run.note)
    return word.casefold() in " ".join(texts).casefold()


def sort_runs(runs: Iterable[ListedRun], key: SortKey, *, reverse: bool = False) -> list[ListedRun]:
    """Return the runs in order; in either direction, those without a loss and the built-in model come last."""
    return [row.run for row in sort_rows(map(Row, runs), key, reverse=reverse)]


def sort_rows(rows: Iterable[Row], key: SortKey, *, reverse: bool = False) -> list[Row]:
    """Return rows of runs and sweeps in order, as ``sort_runs``; a sweep by what its row says."""
    by_name = sorted(rows, key=lambda row: row.sorted_as.name)  # the order of equals
    descending = (key in _LARGEST_FIRST) != reverse
    in_order = sorted(by_name, key=lambda row: _sort_value(row.sorted_as, key), reverse=descending)
    return sorted(in_order, key=lambda row: (row.run.is_built_in, key == "loss" and row.run.best_loss is None))


def _sort_value(run: ListedRun, key: SortKey) -> tuple[float, str]:
    match key:
        case "age":
            return (run.created or 0.0, "")
        case "name":
            return (0.0, run.name)
        case "loss":
            return (run.best_loss or 0.0, "")
        case "step":
            return (float(run.step), "")
        case "size":
            return (float(run.bytes), "")


def age(time_then: float | None, now: float | None = None) -> str:
    """Return how long ago a time was, in the largest unit, such as ``3h``."""
    if time_then is None:
        return formatting.NO_VALUE
    seconds = max(0.0, (time.time() if now is None else now) - time_then)
    for unit, length in (("y", 365 * 86_400), ("w", 7 * 86_400), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{seconds:.0f}s"
