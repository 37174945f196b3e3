"""Fixed runs, and an app that remembers nothing from one test to the next."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shakegpt.events import Evaluation, Event, Failed, Finished, Sample, Saved, Started, Step, perplexity
from shakegpt.events import Warning as WarningEvent
from shakegpt.runs.snapshot import ENDED, Snapshot, replay

SIZES = [(80, 24), (120, 40), (200, 60)]
VERSES = [
    "Thhoo  sea e\nnt,aoe ihs  t\n  dn oeh ra; nluseo",
    "ROUENO:\nAnd the wor that he so the mare,\nWhith my hath and the sore.",
    "ROMEO:\nO, speak again, bright angel, for thou art\nAs glorious to this night, being o'er my head.",
]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store and preferences of the test's own, and a screen that is drawn the same everywhere."""
    home = tmp_path / "home"
    monkeypatch.setenv("SHAKEGPT_HOME", str(home))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "LC_ALL", "LC_CTYPE", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    return home


def run_events(steps: int = 500, upto: int | None = None, *, eval_every: int = 50, run: str = "macbeth") -> list[Event]:
    """Return a plausible run's events: a smooth loss with a fixed ripple, no clock and no training."""
    upto = steps if upto is None else upto
    events: list[Event] = [
        Started(
            step=0,
            run=run,
            steps=steps,
            parameters=54_464,
            vocab_size=65,
            corpus="demo",
            device="cpu",
            precision="fp32",
            reason="no GPU was found",
            threads=2,
            batch_size=16,
            block_size=64,
            preset="nano",
            eval_every=eval_every,
        )
    ]
    best: float | None = None
    for step in range(1, upto + 1):
        loss = 1.7 + 2.5 * math.exp(-step / 80) + 0.06 * math.sin(step * 1.7) * math.cos(step * 0.31)
        events.append(
            Step(
                step=step,
                loss=loss,
                perplexity=perplexity(loss),
                learning_rate=3e-3 * min(1.0, step / 20) * (0.55 + 0.45 * math.cos(math.pi * step / steps)),
                grad_norm=0.4 + 0.1 * math.sin(step),
                tokens_per_second=51_200.0,
                seconds=step * 0.02,
                tokens=step * 1024,
            )
        )
        if step % eval_every == 0:
            value = 1.78 + 2.4 * math.exp(-step / 85)
            is_best = best is None or value < best
            best = value if best is None else min(best, value)
            events.append(
                Evaluation(
                    step=step,
                    train_loss=loss,
                    val_loss=value,
                    perplexity=perplexity(value),
                    bits_per_character=value / math.log(2),
                    best=is_best,
                    seconds=step * 0.02,
                    tokens=step * 1024,
                )
            )
            verse = VERSES[min(len(VERSES) - 1, step * len(VERSES) // (steps + 1))]
            events.append(Sample(step=step, prompt="\n", text=verse))
        if step % 100 == 0:
            events.append(Saved(step=step, path=f"runs/{run}/checkpoints/step-{step:08}", best=True, val_loss=best))
    if upto == steps:
        events.append(
            Finished(step=steps, outcome="finished", best_val_loss=best, best_step=steps, seconds=steps * 0.02)
        )
    return events


def snapshot_of(state: str) -> Snapshot:
    """Return a fixed snapshot: loading, fresh (no step yet), training, paused, saving, finished, stopped, failed..."""
    half = run_events(upto=240)
    match state:
        case "loading":
            return Snapshot()
        case "fresh":
            return replay(half[:1])
        case "training":
            return replay(half)
        case "paused":
            return replace(replay(half), state=state)
        case "finished":
            return replay(run_events())
        case "stopped":
            finished = Finished(step=240, outcome="stopped", best_val_loss=1.93, best_step=200, seconds=4.8)
            return replay([*half, finished])
        case "failed":
            return replay(
                [*half, Failed(step=240, message="The GPU ran out of memory, even with one sequence at a time.")]
            )
        case "disk full":
            warning = WarningEvent(step=240, kind="save", message="The disk is full: trying again in 8 s.")
            return replay([*half, warning])
        case "diverged":
            warning = WarningEvent(
                step=240, kind="rollback", message="The loss was not finite: went back to step 200 at half the rate."
            )
            return replay([*half, warning])
    raise ValueError(f"no such state: {state}")


class FakeTraining:
    """A ``TrainingSource`` without a thread: publishes the snapshots it is given, and records its commands."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.latest = snapshot
        self.commands: list[str] = []
        self.owned = True
        self.read_only = False
        self._callbacks: list[Callable[[Event | None, Snapshot], None]] = []

    @property
    def alive(self) -> bool:
        return self.latest.state not in ENDED

    def subscribe(self, callback: Callable[[Event | None, Snapshot], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def move(self, snapshot: Snapshot, event: Event | None = None) -> None:
        """Let the run move on, as the training thread would tell it."""
        self.latest = snapshot
        for callback in list(self._callbacks):
            callback(event, snapshot)

    def pause(self) -> None:
        self.commands.append("pause")

    def resume(self) -> None:
        self.commands.append("resume")

    def save(self) -> None:
        self.commands.append("save")

    def stop(self) -> None:
        self.commands.append("stop")

    def copy_model(self) -> None:
        """Return no model: the screens under test ask for none."""

    def close(self) -> None:
        """Note nothing: closing tells a training nothing."""

    def join(self) -> None:
        self.commands.append("join")

    def await_end(self) -> int | None:
        return 1 if self.latest.state == "failed" else None


@pytest.fixture
def fake_training() -> Callable[[str], FakeTraining]:
    """``fake_training("paused")``: a training in that state."""
    return lambda state: FakeTraining(snapshot_of(state))


@pytest.fixture
def snapshots() -> Callable[[str], Snapshot]:
    """``snapshots("training")``: a fixed snapshot in that state."""
    return snapshot_of


@pytest.fixture
def events() -> Callable[..., list[Event]]:
    """``events(steps=500, upto=240)``: a fixed run's events."""
    return run_events


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    """Each of the three terminal sizes that screens are drawn at."""
    return request.param
