"""Runs beside each other: what sets them apart, how well each kind did, and whether the difference is more than luck.

Runs that are equal but for their seeds are one group: several draws of the same experiment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Literal

from shakegpt.runs.run import Run, Status
from shakegpt.runs.run_settings import Setting, settings_of
from shakegpt.runs.significance import LEVEL, difference_p, pooled_spread
from shakegpt.runs.snapshot import Point, Snapshot

SEED = "seed"
_NOT_COMPARED = frozenset({SEED, "parameters"})
"""Settings that make no group of their own: the number of weights follows from the shape."""

Verdict = Literal["better", "no difference beyond seeds", "cannot tell"]


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """A run in a comparison."""

    name: str
    status: Status
    settings: dict[str, Setting]
    snapshot: Snapshot

    @property
    def seed(self) -> int:
        """What it was seeded with."""
        return int(self.settings[SEED] or 0)

    @property
    def best(self) -> float | None:
        """Its lowest validation loss, in nats per character."""
        return None if self.snapshot.best is None else self.snapshot.best.val_loss

    def reached(self, loss: float) -> Point | None:
        """Return its first evaluation that was at most a loss; ``None`` where it never was."""
        return next((point for point in self.snapshot.validation.points() if point.loss <= loss), None)

    @property
    def sample(self) -> str | None:
        """What it wrote at its best step, or else last: its own prompt and seed fix every draw."""
        step = self.snapshot.best.step if self.snapshot.best else None
        samples = self.snapshot.samples
        at_best = next((sample for sample in samples if sample.step == step), None)
        sample = at_best or (samples[-1] if samples else None)
        return None if sample is None else sample.prompt + sample.text


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs that are equal but for their seeds."""

    settings: dict[str, Setting]
    """Those that differ between the groups."""
    runs: list[ComparedRun]

    @cached_property
    def losses(self) -> list[float]:
        """The best loss of each seed; of finished runs only where there are any. A seed run twice counts once."""
        finished = [run for run in self.runs if run.status == "finished"]
        by_seed: dict[int, list[float]] = {}
        for run in finished or self.runs:
            if run.best is not None:
                by_seed.setdefault(run.seed, []).append(run.best)
        return [fmean(losses) for losses in by_seed.values()]

    @property
    def mean(self) -> float | None:
        """The mean of the best losses."""
        return fmean(self.losses) if self.losses else None

    @property
    def spread(self) -> float | None:
        """Their standard deviation over seeds; ``None`` with fewer than two."""
        return stdev(self.losses) if len(self.losses) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The best group beside another one."""

    group: int
    """The number of the other one."""
    difference: float
    """How much higher its mean is, in nats per character."""
    p_value: float | None
    """Of a t-test, times the number of contrasts (Bonferroni); ``None`` where no group has two seeds."""
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What there is to say of some runs; the groups are in the order of their means, the lowest first."""

    groups: list[Group]
    contrasts: list[Contrast]
    target: float | None
    """The loss for which the time is given."""

    @property
    def runs(self) -> list[ComparedRun]:
        """All runs, group by group."""
        return [run for group in self.groups for run in group.runs]

    @property
    def unfinished(self) -> list[ComparedRun]:
        """Runs that have not ended as they were meant to."""
        return [run for run in self.runs if run.status != "finished"]

    @property
    def common_seed(self) -> int | None:
        """The lowest seed that every group has; ``None`` where there is none."""
        shared = set.intersection(*({run.seed for run in group.runs} for group in self.groups))
        return min(shared, default=None)

    @property
    def verdict(self) -> str:
        """The answer in one sentence."""
        losses = [contrast for contrast in self.contrasts if contrast.verdict == "better"]
        if not self.contrasts:
            return "There is one kind of run here, so there is nothing to compare."
        if len(losses) == len(self.contrasts):
            return f"{self._name(0)} is best, beyond seeds."
        undecided = {contrast.verdict for contrast in self.contrasts if contrast.verdict != "better"}
        if undecided == {"cannot tell"}:
            return "Cannot tell: a difference is more than luck only beside the spread over several seeds."
        if losses:
            equal = [self._name(0), *(self._name(c.group) for c in self.contrasts if c.verdict != "better")]
            return f"No difference beyond seeds between {' and '.join(equal)}; the rest is worse."
        return "No difference beyond seeds."

    def _name(self, number: int) -> str:
        return describe(self.groups[number].settings) or self.groups[number].runs[0].name


def describe(settings: dict[str, Setting]) -> str:
    """Return settings in words: ``learning_rate 0.001, weight_decay 1``."""
    return ", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in settings.items())  # fmt: skip


def compare(runs: Sequence[Run], target: float | None = None) -> Comparison:
    """Compare runs.

    Args:
        runs: at least one.
        target: the loss whose time is wanted; by default the lowest that all runs have reached.
    """
    compared = [
        ComparedRun(name=run.name, status=run.status(), settings=_settings(run), snapshot=run.snapshot())
        for run in runs
    ]
    differing = [
        name
        for name in compared[0].settings
        if name not in _NOT_COMPARED and len({run.settings[name] for run in compared}) > 1
    ]
    groups: dict[tuple[Setting, ...], list[ComparedRun]] = {}
    for run in compared:
        groups.setdefault(tuple(run.settings[name] for name in differing), []).append(run)
    found = [
        Group(settings=dict(zip(differing, values, strict=True)), runs=sorted(members, key=lambda run: run.seed))
        for values, members in groups.items()
    ]
    found.sort(key=lambda group: (group.mean is None, group.mean or 0.0))
    if target is None:
        bests = [run.best for run in compared]
        target = max((best for best in bests if best is not None), default=None) if None not in bests else None
    return Comparison(groups=found, contrasts=_contrasts(found), target=target)


def _settings(run: Run) -> dict[str, Setting]:
    return settings_of(run.metadata)


def _contrasts(groups: list[Group]) -> list[Contrast]:
    contrasts = []
    spread = pooled_spread([group.losses for group in groups])
    for number, group in enumerate(groups[1:], start=1):
        if groups[0].mean is None or group.mean is None:
            continue
        p_value = None
        if spread is not None:
            p_value = min(1.0, (len(groups) - 1) * difference_p(groups[0].losses, group.losses, spread))
        verdict: Verdict = "cannot tell"
        if p_value is not None:
            verdict = "better" if p_value < LEVEL else "no difference beyond seeds"
        difference = group.mean - groups[0].mean
        contrasts.append(Contrast(group=number, difference=difference, p_value=p_value, verdict=verdict))
    return contrasts
