"""A training on a thread of its own: what it publishes, and its commands. Nothing here waits for a clock."""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from shakegpt.errors import ShakegptError, UsageError
from shakegpt.events import Event, Failed, Finished, Sample, Saved, Started, Step
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import Snapshot
from shakegpt.runs.store import Store
from shakegpt.training.setup import TrainingRequest, build_trainer
from shakegpt.training.thread import TrainingThread
from tests.processes import PATIENCE

STARTED = Started(
    step=0, run="lear", steps=3, parameters=1, vocab_size=2, corpus="demo", device="cpu", precision="fp32", reason="",
    threads=1, batch_size=1, block_size=1, preset="nano",
)  # fmt: skip


def step(number: int) -> Step:
    return Step(
        step=number, loss=2.0, perplexity=7.4, learning_rate=1e-3, grad_norm=1.0, tokens_per_second=1.0, seconds=1.0,
        tokens=1,
    )  # fmt: skip


class NoRequests:
    """A run that no other process asks for anything."""

    def take_request(self) -> None:
        return None

    def snapshot(self) -> Snapshot:
        return Snapshot()


class ScriptedTrainer:
    """A trainer that takes a step whenever the test lets it, and writes down the commands it gets."""

    run: Run | NoRequests = NoRequests()

    def __init__(self, steps: int = 10**6, *, freely: bool = False, error: Exception | None = None) -> None:
        self._steps, self._freely, self._error = steps, freely, error
        self._turns = threading.Semaphore(0)
        self._stopped = threading.Event()
        self.step = 0
        self.commands: list[str] = []
        self._save_pending = False

    def let(self, turns: int = 1) -> None:
        self._turns.release(turns)

    def __iter__(self) -> Iterator[Event]:
        yield STARTED
        while self.step < self._steps and not self._stopped.is_set():
            if not self._freely:
                assert self._turns.acquire(timeout=PATIENCE)
            if self._error is not None:
                raise self._error
            self.step += 1
            self._save_pending = False
            yield step(self.step)
        yield Finished(step=self.step, outcome="stopped", best_val_loss=None, best_step=None, seconds=1.0)

    def stop(self) -> None:
        self.commands.append("stop")
        self._stopped.set()
        self.let(99)

    def save(self) -> None:
        self.commands.append("save")
        self._save_pending = True

    def save_pending(self) -> bool:
        return self._save_pending

    def copy_model(self) -> LanguageModel:
        return cast(LanguageModel, f"as of step {self.step}")


class Watcher:
    """Records all that a thread publishes, and waits for a certain thing."""

    def __init__(self, thread: TrainingThread) -> None:
        self.published: list[tuple[Event | None, Snapshot]] = []
        self._changed = threading.Condition()
        self.unsubscribe = thread.subscribe(self._on_change)

    def _on_change(self, event: Event | None, snapshot: Snapshot) -> None:
        with self._changed:
            self.published.append((event, snapshot))
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[Event | None, Snapshot], bool]) -> Snapshot:
        with self._changed:
            assert self._changed.wait_for(lambda: any(condition(*one) for one in self.published), PATIENCE)
            return next(snapshot for event, snapshot in self.published if condition(event, snapshot))

    def wait_for_step(self, number: int) -> Snapshot:
        return self.wait_for(lambda event, _: isinstance(event, Step) and event.step >= number)


@pytest.fixture
def begin() -> Iterator[Callable[..., tuple[TrainingThread, Watcher]]]:
    """``begin(trainer)``: a started thread and who watches it; stopped when the test ends, whatever happened."""
    threads: list[TrainingThread] = []

    def begin(prepare: object, *, start: bool = True) -> tuple[TrainingThread, Watcher]:
        thread = TrainingThread(prepare if callable(prepare) else lambda: prepare)  # type: ignore[arg-type, return-value]
        threads.append(thread)
        watcher = Watcher(thread)
        if start:
            thread.start()
        return thread, watcher

    yield begin
    for thread in threads:
        thread.stop()
        if thread.is_alive():
            thread.join(PATIENCE)
        assert not thread.is_alive()


Begin = Callable[..., tuple[TrainingThread, Watcher]]


def test_the_latest_snapshot_adds_up_all_events(begin: Begin) -> None:
    thread, watcher = begin(ScriptedTrainer(3, freely=True))
    thread.join(PATIENCE)
    assert [event.event for event, _ in watcher.published if event] == ["started", "step", "step", "step", "finished"]
    assert thread.latest is watcher.published[-1][1]
    assert len(thread.latest.train) == 3
    assert (thread.latest.state, thread.alive) == ("stopped", False)
    assert not thread.daemon  # a process that ends waits for the run to be saved


def test_before_it_begins_the_run_is_loading(begin: Begin) -> None:
    gate = threading.Event()

    def prepare() -> ScriptedTrainer:
        assert gate.wait(PATIENCE)
        return ScriptedTrainer(1, freely=True)

    thread, _ = begin(prepare)
    assert (thread.latest.state, thread.alive) == ("loading", True)
    gate.set()
    thread.join(PATIENCE)
    assert thread.latest.current_step == 1


def test_a_signal_before_the_thread_is_started_waits_for_nothing(begin: Begin) -> None:
    thread, _ = begin(ScriptedTrainer(), start=False)
    thread.stop()
    assert thread.await_end() is None


def test_pause_waits_before_the_next_step_and_resume_continues(begin: Begin) -> None:
    trainer = ScriptedTrainer()
    thread, watcher = begin(trainer)
    thread.pause()
    trainer.let(5)
    paused = watcher.wait_for(lambda _, snapshot: snapshot.state == "paused")
    assert trainer.step == paused.current_step <= 1
    thread.resume()
    assert watcher.wait_for_step(5).state == "training"


def test_stop_ends_a_paused_run_too(begin: Begin) -> None:
    trainer = ScriptedTrainer(freely=True)
    thread, watcher = begin(trainer)
    thread.pause()
    watcher.wait_for(lambda _, snapshot: snapshot.state == "paused")
    thread.stop()
    thread.join(PATIENCE)
    assert thread.latest.state == "stopped"
    assert trainer.commands == ["stop"]


def test_a_stop_before_the_trainer_is_ready_counts(begin: Begin) -> None:
    trainer = ScriptedTrainer()
    thread, _ = begin(trainer, start=False)
    thread.stop()
    thread.start()
    thread.join(PATIENCE)
    assert (trainer.commands, trainer.step) == (["stop"], 0)


def test_save_is_passed_on_once(begin: Begin) -> None:
    trainer = ScriptedTrainer()
    thread, watcher = begin(trainer)
    thread.save()
    trainer.let(3)
    watcher.wait_for_step(3)
    assert trainer.commands == ["save"]


def test_save_in_a_pause_lets_one_step_go_by(begin: Begin) -> None:
    trainer = ScriptedTrainer()
    thread, watcher = begin(trainer, start=False)
    thread.pause()
    thread.start()
    assert watcher.wait_for(lambda _, snapshot: snapshot.state == "paused").current_step == 0
    trainer.let(5)
    thread.save()
    watcher.wait_for_step(1)
    thread.stop()
    thread.join(PATIENCE)
    assert trainer.commands == ["save", "stop"]


def test_the_live_model_comes_between_steps(begin: Begin) -> None:
    trainer = ScriptedTrainer()
    thread, _ = begin(trainer)
    future = thread.copy_model()
    trainer.let(3)
    assert str(future.result(PATIENCE)).startswith("as of step ")
    thread.pause()
    trainer.let(1)
    assert str(thread.copy_model().result(PATIENCE)).startswith("as of step ")


def test_a_model_asked_for_too_late_is_refused(begin: Begin) -> None:
    class Silent(ScriptedTrainer):
        """Ends before its first event."""

        def __iter__(self) -> Iterator[Event]:
            return iter(())

    thread, _ = begin(Silent(), start=False)
    waiting, given_up = thread.copy_model(), thread.copy_model()
    given_up.cancel()
    thread.start()
    thread.join(PATIENCE)
    with pytest.raises(ShakegptError, match="last checkpoint"):
        waiting.result(0)
    with pytest.raises(ShakegptError, match="last checkpoint"):
        thread.copy_model().result(0)
    assert (thread.latest.state, thread.latest.message) == ("failed", "The training ended without saying how.")


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (ShakegptError("Memory does not suffice."), "Memory does not suffice.", 1),
        (UsageError("There is no preset 'x'."), "There is no preset 'x'.", 2),
        (RuntimeError("boom"), "The training ended unexpectedly (RuntimeError: boom); its checkpoints are whole.", 1),
    ],
)
@pytest.mark.parametrize("when", ["preparing", "training"])
def test_what_goes_wrong_is_the_last_event(begin: Begin, error: Exception, message: str, code: int, when: str) -> None:
    def fail() -> ScriptedTrainer:
        raise error

    thread, watcher = begin(fail if when == "preparing" else ScriptedTrainer(error=error, freely=True))
    thread.join(PATIENCE)
    last = watcher.published[-1][0]
    assert isinstance(last, Failed)
    assert last.message == thread.latest.message == message
    assert (thread.latest.state, thread.exit_code, thread.alive) == ("failed", code, False)


def test_a_subscriber_that_fails_ends_nothing(begin: Begin) -> None:
    thread, watcher = begin(ScriptedTrainer(3, freely=True), start=False)

    def broken(*_: object) -> None:
        raise RuntimeError("the screen is gone")

    thread.subscribe(broken)
    others = Watcher(thread)
    watcher.unsubscribe()
    watcher.unsubscribe()  # twice is once
    thread.start()
    thread.join(PATIENCE)
    assert thread.latest.state == "stopped"
    assert watcher.published == []
    assert len(others.published) == 5


@pytest.mark.parametrize("what", ["pause", "stop", "save"])
def test_requests_of_another_process_are_carried_out(begin: Begin, macbeth: Run, what: str) -> None:
    trainer = ScriptedTrainer()
    trainer.run = macbeth
    with macbeth.lock():
        thread, watcher = begin(trainer)
        watcher.wait_for(lambda event, _: event is not None)
        macbeth.request(what)  # type: ignore[arg-type]
        trainer.let(2)
        if what == "pause":
            watcher.wait_for(lambda _, snapshot: snapshot.state == "paused")
            macbeth.request("resume")
        trainer.let(2)
        watcher.wait_for_step(1 if what == "stop" else 3)
        thread.stop()
        thread.join(PATIENCE)
    assert ("save" in trainer.commands) == (what == "save")


def test_a_real_training_runs_stops_and_is_saved(begin: Begin, private_surroundings: Path) -> None:
    store = Store(private_surroundings)
    changes = {"steps": 10**6, "sample_length": 8, "device": "cpu", "precision": "fp32", "eval_every": 10**6}
    request = TrainingRequest(preset="nano", corpus="demo", run_name="lear", changes=changes)
    thread, watcher = begin(lambda: build_trainer(store, request))
    watcher.wait_for_step(2)
    language_model = thread.copy_model().result(PATIENCE)
    assert "lear (live)" in language_model.name
    thread.stop()
    thread.join(PATIENCE)
    run = store.run("lear")
    last = run.last()
    assert last is not None
    assert last.step == thread.latest.current_step
    assert (thread.latest.state, run.status()) == ("stopped", "stopped")
    kinds = {type(event) for event, _ in watcher.published}
    assert {Started, Sample, Step, Saved, Finished} <= kinds


@pytest.mark.parametrize("kind", [Started, Step, Saved])
def test_a_save_in_a_pause_is_made_in_the_pause_wherever_that_is(
    begin: Begin, private_surroundings: Path, kind: type[Event]
) -> None:
    changes = {"steps": 10**6, "sample_length": 8, "device": "cpu", "precision": "fp32", "save_every": 2}
    request = TrainingRequest(preset="nano", corpus="demo", run_name="lear", changes=changes)
    thread, watcher = begin(lambda: build_trainer(Store(private_surroundings), request), start=False)
    thread.subscribe(lambda event, _: thread.pause() if isinstance(event, kind) else None)
    thread.start()
    paused = watcher.wait_for(lambda _, snapshot: snapshot.state == "paused")
    before = [event for event, _ in watcher.published if isinstance(event, Saved)]
    thread.save()
    saved = watcher.wait_for(lambda event, _: isinstance(event, Saved) and event not in before)
    assert saved.state == "paused"
    assert saved.current_step <= paused.current_step + 1


@pytest.mark.parametrize("changes", [{}, {"steps": 32}], ids=["the same run", "a fork"])
def test_a_resumed_run_begins_with_the_whole_story_up_to_its_checkpoint(
    macbeth: Run, store: Store, begin: Begin, changes: dict[str, int]
) -> None:
    for info in macbeth.checkpoints():
        if info.step > 20:
            shutil.rmtree(info.path)
    before = macbeth.snapshot()
    request = TrainingRequest(resume="macbeth@20", changes=changes)
    _, watcher = begin(lambda: build_trainer(store, request))
    snapshot = watcher.wait_for(lambda event, _: isinstance(event, Started))
    assert [point.step for point in snapshot.train.points()] == list(range(1, 21))
    assert snapshot.train.points() == before.train.points()[:20]
    assert [point.step for point in snapshot.validation.points()] == [10, 20]
    assert [sample.step for sample in snapshot.samples] == [0, 10, 20]
    assert snapshot.state == "training"
