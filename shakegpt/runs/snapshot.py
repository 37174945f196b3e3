"""A run as of its newest event, which is what every screen and console shows.

A ``Snapshot`` is frozen and cumulative: it has everything up to a moment, and needs no other. Only the newest is worth
showing, so a slow screen drops snapshots and loses nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeVar

from shakegpt.events import Evaluation, Event, Failed, Finished, Inspection, Sample, Saved, Started, Step, Warning

AnyEvent = TypeVar("AnyEvent", bound=Event)
State = Literal["loading", "training", "paused", "finished", "stopped", "failed"]
ENDED: frozenset[State] = frozenset({"finished", "stopped", "failed"})


class Point(NamedTuple):
    """One value of a curve, with every axis it can be drawn against."""

    step: int
    seconds: float
    tokens: int
    loss: float
    learning_rate: float = 0.0


class Curve:
    """An append-only list of points, shared between threads: a reader sees a prefix that never changes.

    A resumed run repeats steps; ``until`` drops the points that are repeated.
    """

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self._points = list(points)
        self._length = len(self._points)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Point:
        if not -self._length <= index < self._length:
            raise IndexError(index)
        return self._points[index % self._length]

    def points(self, start: int = 0) -> list[Point]:
        """Return a copy of the points from ``start`` on."""
        return self._points[start : self._length]

    def plus(self, point: Point) -> "Curve":
        """Return the curve one point longer. O(1): the storage is shared, unless this curve was already continued."""
        if self._length != len(self._points):
            return Curve([*self.points(), point])
        longer = Curve.__new__(Curve)
        self._points.append(point)
        longer._points = self._points
        longer._length = self._length + 1
        return longer

    def until(self, step: int) -> "Curve":
        """Return the points up to and including ``step``."""
        if not self._length or self[-1].step <= step:
            return self
        return Curve(point for point in self.points() if point.step <= step)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A run at one moment. ``None`` where there was no such event yet."""

    state: State = "loading"
    started: Started | None = None
    step: Step | None = None
    evaluation: Evaluation | None = None
    best: Evaluation | None = None
    saved: Saved | None = None
    finished: Finished | None = None
    samples: tuple[Sample, ...] = ()
    inspections: tuple[Inspection, ...] = ()
    """What the heads did at each evaluation; none in the logs of earlier versions."""
    train: Curve = field(default_factory=Curve)
    """Loss and learning rate of every step."""
    validation: Curve = field(default_factory=Curve)
    """Loss of every evaluation."""
    warning: Warning | None = None
    """The newest warning; a successful save clears one about saving."""
    message: str = ""
    """Why a failed run failed."""

    @property
    def current_step(self) -> int:
        """The newest step."""
        if self.step is not None:
            return self.step.step
        return self.started.step if self.started else 0

    def until(self, step: int) -> "Snapshot":
        """Return the run without what came after a step."""
        return replace(
            self,
            step=_not_after(self.step, step),
            evaluation=_not_after(self.evaluation, step),
            best=_not_after(self.best, step),
            saved=_not_after(self.saved, step),
            train=self.train.until(step),
            validation=self.validation.until(step),
            samples=tuple(sample for sample in self.samples if sample.step <= step),
            inspections=tuple(inspection for inspection in self.inspections if inspection.step <= step),
        )

    def continued(self) -> "Snapshot":
        """Return the run as it is while it is being resumed: with its curves and samples, and no end."""
        return replace(self, state="loading", finished=None, message="", warning=None)

    @property
    def steps(self) -> int:
        """The step at which the run will end; 0 while unknown."""
        return self.started.steps if self.started else 0

    @property
    def next_evaluation(self) -> int | None:
        """The step of the next evaluation, which is the newest step while that is being evaluated.

        ``None`` where it is not known, or none is to come.
        """
        if self.state not in ("training", "paused") or self.started is None or self.started.eval_every is None:
            return None
        step = self.current_step
        evaluated = step == 0 or (len(self.validation) > 0 and self.validation[-1].step >= step)
        if not evaluated and (step % self.started.eval_every == 0 or step == self.steps):
            return step
        return (
            None
            if step >= self.steps
            else min(self.steps, (step // self.started.eval_every + 1) * self.started.eval_every)
        )

    @property
    def seconds_left(self) -> float | None:
        """The time that the remaining steps take at the current speed; ``None`` while it is unknown."""
        return self.seconds_until(self.steps)

    def seconds_until(self, step: int) -> float | None:
        """Return the time that the steps up to one take at the current speed; ``None`` while it is unknown."""
        if self.step is None or self.started is None or not self.step.tokens_per_second > 0:
            return None
        tokens_per_step = self.started.batch_size * self.started.block_size
        return (step - self.current_step) * tokens_per_step / self.step.tokens_per_second


def _not_after(event: AnyEvent | None, step: int) -> AnyEvent | None:
    return event if event is not None and event.step <= step else None


def advance(snapshot: Snapshot, event: Event) -> Snapshot:
    """Return the snapshot after an event."""
    match event:
        case Started():
            # Of a resumed run, the steps after the checkpoint will be taken again.
            story = snapshot.until(event.step)
            return replace(story, state="training", started=event, finished=None, message="")
        case Step():
            return replace(snapshot, step=event, train=_with_step(snapshot.train, event))
        case Evaluation():
            point = Point(event.step, event.seconds, event.tokens, event.val_loss)
            validation = snapshot.validation.until(event.step - 1).plus(point)
            best = event if event.best or snapshot.best is None else snapshot.best
            return replace(snapshot, evaluation=event, validation=validation, best=best)
        case Sample():
            earlier = tuple(sample for sample in snapshot.samples if sample.step < event.step)
            return replace(snapshot, samples=(*earlier, event))
        case Inspection():
            before = tuple(inspection for inspection in snapshot.inspections if inspection.step < event.step)
            return replace(snapshot, inspections=(*before, event))
        case Saved():
            resolved = snapshot.warning is not None and snapshot.warning.kind == "save"
            return replace(snapshot, saved=event, warning=None if resolved else snapshot.warning)
        case Warning():
            return replace(snapshot, warning=event)
        case Finished():
            return replace(snapshot, state=event.outcome, finished=event)
        case Failed():
            return replace(snapshot, state="failed", message=event.message)
        case _:
            return snapshot


def _with_step(train: Curve, step: Step) -> Curve:
    point = Point(step.step, step.seconds, step.tokens, step.loss, step.learning_rate)
    return train.until(step.step - 1).plus(point)  # going back to an earlier checkpoint repeats steps


def replay(events: Iterable[Event], begin: Snapshot | None = None) -> Snapshot:
    """Return the snapshot after many events, which ``begin`` was the state before.

    A long log is nearly all steps: of those that follow each other, only the last needs a snapshot of its own.
    """
    snapshot, last, train = begin or Snapshot(), None, Curve()
    for event in events:
        if isinstance(event, Step):
            train, last = _with_step(snapshot.train if last is None else train, event), event
            continue
        if last is not None:
            snapshot, last = replace(snapshot, step=last, train=train), None
        snapshot = advance(snapshot, event)
    return snapshot if last is None else replace(snapshot, step=last, train=train)
