"""A sweep at work, with a stand-in for ``train``: failures, kills, Ctrl-C, and going on with what is missing."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shakegpt.errors import RunBusyError, ShakegptError
from shakegpt.events import Event, Failed
from shakegpt.runs.lock import RunLock
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import SweepPlan, load_plan, make_plan, save_plan, sweep_folder
from shakegpt.training.sweep import SweepThread, make_slots, stop_sweep

FAKE_TRAIN = Path(__file__).with_name("fake_train.py")
MakeSweep = Callable[..., SweepThread]


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return tmp_path / "calls"


@pytest.fixture
def store(private_surroundings: Path) -> Store:
    return Store(private_surroundings)


@pytest.fixture
def plan(store: Store) -> SweepPlan:
    plan = make_plan("s", {"learning-rate": ["1e-3", "2e-3"], "seed": ["1", "2"]}, {"preset": ["nano"]})
    save_plan(store, plan)
    return plan


@pytest.fixture
def sweep(store: Store, calls: Path) -> MakeSweep:
    def make(plan: SweepPlan) -> SweepThread:
        slots = make_slots(runs=4, jobs=2, gpus=[], cores=2)
        return SweepThread(store, plan, slots, command=(sys.executable, str(FAKE_TRAIN)))

    return make


def states(thread: SweepThread) -> dict[str, str]:
    return {row.name: row.state for row in thread.rows}


def test_one_failure_and_one_kill_stop_no_other_and_a_resume_does_only_what_is_missing(
    plan: SweepPlan, sweep: MakeSweep, calls: Path, store: Store
) -> None:
    thread = sweep(plan)
    heard: list[tuple[str, Event | None]] = []

    def hear(name: str, event: Event | None) -> None:
        heard.append((name, event))
        if name == "s-04" and event is not None:
            thread.stop()  # by now the other three have had their turn, as two are trained at a time

    thread.subscribe(hear)
    thread.start()
    assert thread.await_end() is None
    assert states(thread) == {"s-01": "finished", "s-02": "failed", "s-03": "failed", "s-04": "stopped"}
    failures = {name: event.message for name, event in heard if isinstance(event, Failed)}
    assert failures == {"s-02": "There is no corpus nowhere.", "s-03": "Its process was killed (SIGKILL)."}
    assert heard[-1] == ("", None)
    assert "train --preset nano --learning-rate 1e-3 --seed 1 --run s-01" in calls.read_text().splitlines()

    calls_before = len(calls.read_text().splitlines())
    thread = sweep(load_plan(store, "s"))
    thread.start()
    assert thread.await_end() is None
    assert set(states(thread).values()) == {"finished"}
    assert sorted(calls.read_text().splitlines()[calls_before:]) == [
        "train --preset nano --learning-rate 1e-3 --seed 2 --run s-02",
        "train --resume s-03",
        "train --resume s-04",
    ]
    assert thread.rows[0].snapshot.best is not None  # the finished one is shown all the same


def test_a_run_that_another_process_trains_is_followed_and_not_begun(
    plan: SweepPlan, sweep: MakeSweep, calls: Path, store: Store
) -> None:
    first = sweep(make_plan("s", {"seed": ["1"]}, {"preset": ["nano"]}))
    first.start()
    first.await_end()
    run = store.run("s-01")
    lock = run.lock()  # the child of a sweep that was killed
    thread = sweep(plan)
    released: list[str] = []

    def hear(name: str, _: Event | None) -> None:
        if name == "s-04":
            thread.stop()
        if not released:
            released.append(states(thread)["s-01"])
            lock.close()

    thread.subscribe(hear)
    thread.start()
    thread.await_end()
    assert released == ["training"]
    assert states(thread)["s-01"] == "finished"
    assert calls.read_text().count(" s-01") == 1


def test_a_run_without_a_checkpoint_begins_again(plan: SweepPlan, sweep: MakeSweep, calls: Path, store: Store) -> None:
    first = sweep(make_plan("s", {"seed": ["1"]}, {"preset": ["nano"]}))
    first.start()
    first.await_end()
    run = store.run("s-01")
    for _, folder in run.checkpoint_folders():
        folder.rmdir()
    run.metrics_path.unlink()
    thread = sweep(make_plan("s", {"seed": ["1"]}, {"preset": ["nano"]}))
    thread.start()
    thread.await_end()
    assert states(thread) == {"s-01": "finished"}
    assert calls.read_text().splitlines() == ["train --preset nano --seed 1 --run s-01"] * 2


def test_one_process_at_a_time_trains_a_sweep(plan: SweepPlan, sweep: MakeSweep, store: Store) -> None:
    with RunLock(sweep_folder(store, "s") / "lock", "s"):
        thread = sweep(plan)
        thread.start()
        assert thread.await_end() == 1
    assert isinstance(thread.error, RunBusyError)
    assert "already being trained by process" in str(thread.error)


def test_a_program_that_cannot_be_started_fails_its_runs(plan: SweepPlan, store: Store, tmp_path: Path) -> None:
    thread = SweepThread(store, plan, make_slots(runs=4, jobs=1, gpus=[], cores=1), command=(str(tmp_path / "none"),))
    thread.start()
    thread.await_end()
    assert set(states(thread).values()) == {"failed"}
    assert "could not be started" in thread.rows[0].message


def test_a_child_tells_nobody_whatever_the_settings_say(plan: SweepPlan, store: Store) -> None:
    code = "import os; raise SystemExit('told by ' + repr(os.environ['SHAKEGPT_TRAIN_NOTIFY'].split()))"
    slots = make_slots(runs=4, jobs=4, gpus=[], cores=4)
    thread = SweepThread(store, plan, slots, command=(sys.executable, "-S", "-c", code))
    thread.start()
    thread.await_end()
    assert {row.message for row in thread.rows} == {"told by []"}


def test_a_run_that_could_not_say_why_it_failed_as_the_disk_takes_nothing(plan: SweepPlan, store: Store) -> None:
    for run in plan.runs:
        (sweep_folder(store, "s") / f"{run.name}.txt").mkdir()  # neither root can write there
    slots = make_slots(runs=4, jobs=4, gpus=[], cores=4)
    thread = SweepThread(store, plan, slots, command=(sys.executable, "-S", "-c", "raise SystemExit(1)"))
    thread.start()
    thread.await_end()
    assert {row.state for row in thread.rows} == {"failed"}
    assert thread.rows[0].message.endswith("sweeps/s cannot be written: Is a directory.")


@pytest.mark.parametrize(
    ("jobs", "gpus", "cores", "labels", "environments"),
    [
        (None, [], 8, ["2 threads"] * 4, [{"OMP_NUM_THREADS": "2"}] * 4),
        (None, [], 2, ["1 thread"] * 2, [{"OMP_NUM_THREADS": "1"}] * 2),
        (1, [], 2, ["2 threads"], [{"OMP_NUM_THREADS": "2"}]),
        (
            None,
            ["0", "3"],
            8,
            ["GPU 0", "GPU 3"],
            [
                {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "0"},
                {"OMP_NUM_THREADS": "4", "CUDA_VISIBLE_DEVICES": "3"},
            ],
        ),
        (3, ["0", "1"], 3, ["GPU 0", "GPU 1", "GPU 0"], None),
    ],
)
def test_a_gpu_for_each_run_or_the_cores_shared_out(
    jobs: int | None, gpus: list[str], cores: int, labels: list[str], environments: list[dict[str, str]] | None
) -> None:
    slots = make_slots(runs=4, jobs=jobs, gpus=gpus, cores=cores)
    assert [slot.label for slot in slots] == labels
    if environments is not None:
        assert [slot.environment for slot in slots] == environments


def test_stopping_a_sweep_tells_the_process_that_trains_it(
    store: Store, plan: SweepPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr("shakegpt.training.sweep.os.kill", lambda *arguments: told.append(arguments))
    with pytest.raises(ShakegptError, match="not in training"):
        stop_sweep(store, plan.name)
    lock = RunLock(sweep_folder(store, plan.name) / "lock", plan.name)
    try:
        stop_sweep(store, plan.name)
        assert told == [(os.getpid(), signal.SIGTERM)]
        monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
        with pytest.raises(ShakegptError, match="only be stopped there"):
            stop_sweep(store, plan.name)
    finally:
        lock.close()
