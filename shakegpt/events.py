"""The events of a training: what the trainer reports to everything that shows or records a run.

The console, the app, ``shakegpt watch``, ``--json`` and ``metrics.jsonl`` all read these events. Losses are mean
cross-entropy in nats per character; times are seconds; rates are characters (tokens) per second.
"""

import math
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Outcome = Literal["finished", "stopped"]


def perplexity(loss: float) -> float:
    """Return ``exp(loss)``; infinity instead of an overflow."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf


def bits_per_character(loss: float) -> float:
    """Return a loss in nats as bits per character."""
    return loss / math.log(2)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened after an optimizer step of a run (0 before the first)."""

    event: ClassVar[str]
    step: int

    def to_json(self) -> dict[str, Any]:
        """Return the event as a JSON object. NaN and infinity, which JSON lacks, become ``null``."""
        values = {"event": self.event, **asdict(self)}
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in values.items()
        }


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """Training begins or resumes after ``step``."""

    event: ClassVar[str] = "started"
    run: str
    steps: int
    parameters: int
    vocab_size: int
    corpus: str
    device: str
    precision: str
    reason: str
    """Why this device and precision."""
    threads: int
    batch_size: int
    block_size: int
    preset: str
    resumed_from: str | None = None
    """The checkpoint that training resumes from, such as ``macbeth@500``."""
    corpus_note: str | None = None
    """Why the run trains on this text, where that is not the one expected."""
    eval_every: int | None = None
    """Steps between evaluations; ``None`` in the logs of earlier versions."""
    begun_from: str | None = None
    """The checkpoint whose weights training began from, on another text than its own."""
    new_characters: int | None = None
    """How many characters of the vocabulary that checkpoint did not know."""
    gpu: str | None = None
    """What the driver calls the GPU that it trains on, such as ``GPU-8f2a…``; ``None`` on other devices."""

    @property
    def begun_note(self) -> str:
        """What became of the checkpoint that training began from, in a sentence; empty where there was none."""
        if self.begun_from is None:
            return ""
        new = self.new_characters or 0
        return f"Begun from {self.begun_from}: {self.vocab_size - new} characters keep their weights, {new} are new."


@dataclass(frozen=True, kw_only=True)
class Step(Event):
    """One optimizer step was taken."""

    event: ClassVar[str] = "step"
    loss: float
    perplexity: float
    learning_rate: float
    grad_norm: float
    tokens_per_second: float
    seconds: float
    """Training time so far, over all sessions of the run."""
    tokens: int
    """Characters trained on so far."""


@dataclass(frozen=True, kw_only=True)
class Evaluation(Event):
    """A pass over the validation split."""

    event: ClassVar[str] = "evaluation"
    train_loss: float
    """Mean loss of the training steps since the last evaluation."""
    val_loss: float
    """Where the run averages its weights, the lower of the two; ``perplexity`` and what follows are of that one."""
    perplexity: float
    bits_per_character: float
    best: bool
    """Whether no earlier evaluation of the run was lower."""
    seconds: float
    tokens: int
    windows: int | None = None
    """How many windows were evaluated, where that is a fixed subset of the split."""
    all_windows: int | None = None
    """How many windows the split has, where only a subset was evaluated."""
    ema: bool | None = None
    """Whether ``val_loss`` is that of the averaged weights; ``None`` in a run that keeps no average, as below."""
    ema_val_loss: float | None = None
    """Loss of the averaged weights."""
    live_val_loss: float | None = None
    """Loss of the weights in training."""

    @property
    def subset(self) -> str:
        """What was evaluated, in words, where that is not the whole split: ``2,048 of 40,690 windows``."""
        return "" if self.windows is None else f"{self.windows:,} of {self.all_windows:,} windows"


@dataclass(frozen=True, kw_only=True)
class Inspection(Event):
    """What the attention heads do now, measured on a fixed piece of the validation text."""

    event: ClassVar[str] = "inspection"
    previous_character: tuple[tuple[float, ...], ...]
    """For each block and each of its heads, the share of its attention that goes to the character before."""
    characters: int
    """How many characters it was measured on."""


@dataclass(frozen=True, kw_only=True)
class Sample(Event):
    """A text generated now, from the run's fixed prompt and seed."""

    event: ClassVar[str] = "sample"
    prompt: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Saved(Event):
    """A checkpoint was saved."""

    event: ClassVar[str] = "saved"
    path: str
    best: bool
    val_loss: float | None
    """The newest validation loss at the time."""
    ema: bool | None = None
    """Whether the checkpoint's weights are the averaged ones; ``None`` in a run that keeps no average."""


@dataclass(frozen=True, kw_only=True)
class Warning(Event):  # noqa: A001  (the contract's name; this module never needs the built-in)
    """A problem that the user should know of; training continues."""

    event: ClassVar[str] = "warning"
    kind: Literal[
        "resume",
        "save",
        "non-finite",
        "rollback",
        "memory",
        "overflow",
        "damaged",
        "compile",  # in logs of earlier versions
        "writer",
        "ranks",
        "recording",
        "notify",
    ]
    message: str


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The run reached its last step, or was asked to stop; either way it is saved."""

    event: ClassVar[str] = "finished"
    outcome: Outcome
    best_val_loss: float | None
    best_step: int | None
    seconds: float
    reason: str | None = None
    """Why the run ended before its last step by itself; ``None`` where it did not."""


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """The run cannot continue."""

    event: ClassVar[str] = "failed"
    message: str


EVENTS: dict[str, type[Event]] = {
    kind.event: kind for kind in (Started, Step, Evaluation, Inspection, Sample, Saved, Warning, Finished, Failed)
}


def event_from_json(values: dict[str, Any]) -> Event | None:
    """Return the event of a JSON object, or ``None`` for one that this version does not know.

    Unknown fields are ignored, so that an older shakegpt reads a newer one's log; ``null`` in place of a number is read
    as NaN; a missing field, or one of the wrong type, gives ``None``.
    """
    kind = EVENTS.get(str(values.get("event")))
    if kind is None:
        return None
    known = {
        name: math.nan if is_number and values[name] is None else values[name]
        for name, is_number in _fields_of(kind.event)
        if name in values
    }
    try:
        return _validator(kind.event).validate_python(known)
    except ValueError:
        return None


@cache
def _fields_of(name: str) -> tuple[tuple[str, bool], ...]:
    """Return the name of each field of an event, and whether ``null`` stands there for NaN."""
    return tuple((field.name, field.type is float) for field in fields(EVENTS[name]))


@cache
def _validator(name: str) -> "TypeAdapter[Event]":
    from pydantic import TypeAdapter  # a slow import, which only readers of logs need

    return TypeAdapter(EVENTS[name])
