"""A sweep at work: its runs are trained by child processes, a few at a time, and followed through their logs.

A child is a ``shakegpt train`` like any other, in a session of its own: it survives this process, which finds it again
by the lock of its run. Nothing here imports torch.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from shakegpt.errors import RunBusyError, ShakegptError, describe_failure, error_reason
from shakegpt.events import Event, Failed
from shakegpt.runs.follower import LogTail
from shakegpt.runs.lock import LockOwner, RunLock, lock_owner
from shakegpt.runs.run import Run, is_run
from shakegpt.runs.snapshot import Snapshot, replay
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import PlannedRun, SweepPlan, sweep_folder
from shakegpt.system.files import FILE_MODE, read_bounded
from shakegpt.system.paths import HOME_VARIABLE
from shakegpt.system.processors import CUDA_VARIABLE, THREADS_VARIABLE
from shakegpt.system.text import count, escape_line

SweepState = Literal["waiting", "loading", "training", "finished", "stopped", "failed"]
Subscriber = Callable[[str, Event | None], None]
"""Called on the sweep's thread with a run's name and what happened to it, ``None`` where only its state changed."""

START_SECONDS = 3.0
"""What the process of a run takes to import torch and read a text, about."""
_LOCK_FILE = "lock"
_NO_NOTIFY = {"SHAKEGPT_TRAIN_NOTIFY": "\n"}
"""A child tells nobody, whatever ``config.toml`` says: this process tells of all runs, and owns the terminal."""
_POLL_SECONDS = 0.25
_MAX_OUTPUT_BYTES = 64 * 1024**2


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place where one run at a time is trained."""

    label: str
    """For people: ``GPU 0``, ``2 threads``."""
    environment: dict[str, str]
    """Variables of the child process."""
    threads: int
    gpu: bool = False


def make_slots(*, runs: int, jobs: int | None, gpus: Sequence[str], cores: int, shared_gpu: bool = False) -> list[Slot]:
    """Return a slot for each run that is trained at the same time: a GPU each, or the cores shared out.

    Args:
        runs: how many there are to train.
        jobs: how many at the same time; by default one for each GPU, else one for each core.
        gpus: the names of the GPUs, for ``CUDA_VISIBLE_DEVICES``; more jobs than GPUs share them.
        cores: how many threads may compute.
        shared_gpu: whether there is one GPU that needs no name, such as Apple's.
    """
    number = max(1, min(runs, jobs or len(gpus) or (1 if shared_gpu else cores)))
    threads = max(1, cores // number)
    slots = []
    for index in range(number):
        environment = {THREADS_VARIABLE: str(threads)}
        label = "GPU" if shared_gpu else count(threads, "thread")
        if gpus:
            gpu = gpus[index % len(gpus)]
            environment[CUDA_VARIABLE] = gpu
            label = f"GPU {gpu}"
        slots.append(Slot(label=label, environment=environment, threads=threads, gpu=bool(gpus) or shared_gpu))
    return slots


def choose_slots(
    devices: Set[str], *, runs: int, jobs: int | None, gpus: Sequence[str], cores: int, apple_gpu: bool
) -> list[Slot]:
    """Return where to train runs that ask for some devices, such as ``auto`` and ``cpu``.

    Args:
        devices: what the runs ask for.
        runs: how many there are to train.
        jobs: how many at the same time, where the user says so.
        gpus: the names of the GPUs here, for ``CUDA_VISIBLE_DEVICES``.
        cores: how many threads may compute.
        apple_gpu: whether this is a Mac whose GPU trains.
    """
    numbered = any(":" in device for device in devices)  # the runs name their GPU, which must not be hidden from them
    on_cpu = devices == {"cpu"}
    return make_slots(
        runs=runs,
        jobs=jobs,
        gpus=[] if on_cpu or numbered else gpus,
        cores=cores,
        shared_gpu=numbered or (not on_cpu and apple_gpu),
    )


@dataclass(frozen=True, kw_only=True)
class SweepRow:
    """One run of a sweep at one moment."""

    name: str
    settings: Mapping[str, str]
    state: SweepState = "waiting"
    snapshot: Snapshot = field(default_factory=Snapshot)
    device: str = ""
    """Where it is trained; empty while it waits."""
    message: str = ""
    """Why it failed."""


class _Job:
    """A run in training: by a child process of ours, or by one that an earlier sweep left behind."""

    def __init__(self, planned: PlannedRun, run: Run, slot: Slot) -> None:
        self.planned, self.run, self.slot = planned, run, slot
        self.process: subprocess.Popen[bytes] | None = None
        self.output: Path | None = None
        self._tail = LogTail(run.metrics_path)

    def read(self, snapshot: Snapshot) -> tuple[Snapshot, list[Event]]:
        """Return the run as of its newest event, and the events since the last read."""
        restarted, events = self._tail.read()
        return replay(events, Snapshot() if restarted else snapshot), events

    def read_all(self, snapshot: Snapshot) -> Snapshot:
        """Return the run as of its newest event, however long its log is."""
        while True:
            snapshot, events = self.read(snapshot)
            if not events:
                return snapshot

    @property
    def alive(self) -> bool:
        return self.process.poll() is None if self.process is not None else self.run.is_locked()

    def ask_to_stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)  # it saves; before its first step there is nothing to save
        else:
            with suppress(ShakegptError, OSError):
                self.run.request("stop")

    def outcome(self, snapshot: Snapshot) -> tuple[SweepState, str]:
        """Return how the run has ended, and why where it failed."""
        code = self.process.returncode if self.process is not None else None
        if snapshot.state in ("finished", "stopped"):
            return ("finished" if snapshot.state == "finished" else "stopped"), ""
        if code == -signal.SIGTERM:  # stopped before it had begun
            return "stopped", ""
        if snapshot.state == "failed":
            return "failed", snapshot.message
        if code is not None and code < 0:
            return "failed", f"Its process was killed ({signal.Signals(-code).name})."
        return "failed", self._last_output() or "Its process ended without saying how."

    def _last_output(self) -> str:
        """Return the last line that the process printed, or why it could print nothing."""
        if self.output is None:
            return ""
        with suppress(OSError, ValueError):
            if text := read_bounded(self.output, _MAX_OUTPUT_BYTES).decode(errors="replace").strip():
                return escape_line(text.splitlines()[-1].removeprefix("shakegpt: "))
        try:
            with open(self.output, "ab", buffering=0) as file:
                file.write(b"\n")
        except OSError as error:
            return escape_line(f"Its process ended, and {self.output.parent} cannot be written: {error.strerror}.")
        return ""


class SweepThread(threading.Thread):
    """Trains the runs of a sweep that are not finished, and publishes how they stand.

    The thread is no daemon: a process that ends waits until the runs are saved.

    Args:
        store: where the runs are.
        plan: the sweep, which has been saved.
        slots: where to train; as many runs at a time.
        command: the program whose ``train`` trains a run.
    """

    def __init__(
        self,
        store: Store,
        plan: SweepPlan,
        slots: Sequence[Slot],
        *,
        command: Sequence[str] = (sys.executable, "-m", "shakegpt"),
    ) -> None:
        super().__init__(name="shakegpt-sweep", daemon=False)
        self._store, self._plan, self._command = store, plan, list(command)
        self._slots = list(slots)
        self._jobs: list[_Job] = []
        self._rows = {run.name: SweepRow(name=run.name, settings=run.settings) for run in plan.runs}
        self._subscribers: list[Subscriber] = []
        self._stop_requested = threading.Event()
        self._wake = threading.Event()
        self.error: Exception | None = None
        """What ended the sweep before its time."""

    @property
    def rows(self) -> list[SweepRow]:
        """The runs as they are now, in the order of the plan."""
        return list(self._rows.values())

    @property
    def sweep_name(self) -> str:
        """The name of the sweep."""
        return self._plan.name

    def row(self, name: str) -> SweepRow:
        """Return one run as it is now."""
        return self._rows[name]

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have a function called after each event of each run."""
        self._subscribers.append(subscriber)

    def stop(self) -> None:
        """Begin no more runs, and have those in training save and stop."""
        self._stop_requested.set()
        self._wake.set()

    def await_end(self) -> int | None:
        """Wait until every run is saved; return the exit code where the sweep itself failed."""
        if self.is_alive():
            self.join()
        return None if self.error is None else getattr(self.error, "exit_code", 1)

    # On the thread

    def run(self) -> None:
        """Train the runs to their ends."""
        try:
            with ExitStack() as stack:
                stack.enter_context(self._lock())
                waiting = self._find_work()
                asked = False
                while self._jobs or (waiting and not self._stop_requested.is_set()):
                    if self._stop_requested.is_set() and not asked:
                        asked = True
                        for job in self._jobs:
                            job.ask_to_stop()
                    while waiting and self._slots and not self._stop_requested.is_set():
                        self._begin(waiting.pop(0))
                    for job in list(self._jobs):
                        self._follow(job)
                    if self._jobs:
                        self._wake.wait(_POLL_SECONDS)
                        self._wake.clear()
        except Exception as error:
            self.error = error if isinstance(error, ShakegptError) else ShakegptError(describe_failure(error))
        finally:
            self._publish("", None)

    def _lock(self) -> RunLock:
        path = sweep_folder(self._store, self._plan.name) / _LOCK_FILE
        try:
            return RunLock(path, self._plan.name)
        except RunBusyError:
            owner = lock_owner(path) or "another process"
            raise RunBusyError(f"The sweep {self._plan.name} is already being trained by {owner}.") from None

    def _find_work(self) -> list[PlannedRun]:
        """Return the runs to train, and take up those that another process trains already."""
        waiting = []
        for planned in self._plan.runs:
            run = self._run(planned)
            status = run.status() if is_run(run.path) else None
            if status == "training":
                slot = self._slots.pop(0) if self._slots else Slot(label="", environment={}, threads=1)
                job = _Job(planned, run, slot)
                self._jobs.append(job)
                self._update(planned, state="training", snapshot=job.read_all(Snapshot()), device=slot.label)
                continue
            if status is not None:
                snapshot = run.snapshot()
                self._update(planned, snapshot=snapshot, state="finished" if status == "finished" else "waiting")
            if status != "finished":
                waiting.append(planned)
        return waiting

    def _run(self, planned: PlannedRun) -> Run:
        return Run(self._store.runs_folder / planned.name)

    def _begin(self, planned: PlannedRun) -> None:
        run, slot = self._run(planned), self._slots.pop(0)
        begun = is_run(run.path)
        if begun and not run.checkpoint_folders():  # killed before its first save: there is nothing to resume
            try:
                run.remove()
            except (ShakegptError, OSError) as error:
                self._slots.insert(0, slot)
                self._fail(planned, error_reason(error))
                return
            begun = False
        job = _Job(planned, run, slot)
        snapshot = job.read_all(Snapshot()) if begun else Snapshot()
        arguments = [*self._command, *self._plan.arguments(planned, resume=begun)]
        environment = {**os.environ, HOME_VARIABLE: str(self._store.home), **_NO_NOTIFY, **slot.environment}
        job.output, descriptor = self._open_output(planned)
        try:
            job.process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=descriptor,
                env=environment,
                start_new_session=True,  # so that a Ctrl-C or a dropped link reaches only us
            )
        except OSError as error:
            self._slots.append(slot)
            self._fail(planned, f"Its process could not be started: {error.strerror}.")
            return
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        self._jobs.append(job)
        self._update(planned, state="loading", snapshot=snapshot.continued(), device=slot.label, message="")
        self._publish(planned.name, None)

    def _open_output(self, planned: PlannedRun) -> tuple[Path, int]:
        """Open the file for what a child says beside its log; a full disk is no reason not to train."""
        path = sweep_folder(self._store, self._plan.name) / f"{planned.name}.txt"
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
        except OSError:
            return path, subprocess.DEVNULL

    def _follow(self, job: _Job) -> None:
        """Publish what a run's log says now, and its end once its process has ended."""
        alive = job.alive  # asked first, so that the last events are read after it
        row = self._rows[job.planned.name]
        snapshot, events = job.read(row.snapshot)
        if events:
            self._update(job.planned, snapshot=snapshot, state="training" if alive else row.state)
            for event in events:
                self._publish(job.planned.name, event)
        if alive or events:
            return
        self._jobs.remove(job)
        self._slots.insert(0, job.slot)
        state, message = job.outcome(snapshot)
        if state == "failed" and snapshot.state != "failed":  # the log does not say it
            self._fail(job.planned, message)
            return
        self._update(job.planned, state=state, message=message)
        self._publish(job.planned.name, None)

    def _fail(self, planned: PlannedRun, message: str) -> None:
        snapshot = self._rows[planned.name].snapshot
        self._update(planned, state="failed", message=message)
        self._publish(planned.name, Failed(step=snapshot.current_step, message=message))

    def _update(self, planned: PlannedRun, **changes: object) -> None:
        self._rows[planned.name] = replace(self._rows[planned.name], **changes)  # type: ignore[arg-type]

    def _publish(self, name: str, event: Event | None) -> None:
        for subscriber in self._subscribers:
            subscriber(name, event)


def sweep_owner(store: Store, name: str) -> LockOwner | None:
    """Return the process that trains a sweep, if one does."""
    return lock_owner(sweep_folder(store, name) / _LOCK_FILE)


def stop_sweep(store: Store, name: str) -> None:
    """Have the process that trains a sweep save its runs and end. Raises ``ShakegptError`` where that cannot be."""
    owner = sweep_owner(store, name)
    if owner is None:
        raise ShakegptError(f"The sweep {name} is not in training.")
    if not owner.here or owner.pid <= 0:
        raise ShakegptError(f"The sweep {name} is trained by {owner}: it can only be stopped there.")
    try:
        os.kill(owner.pid, signal.SIGTERM)
    except OSError as error:
        raise ShakegptError(f"The sweep {name} cannot be stopped: {error.strerror}.") from error


def begin_in_background(store: Store, plan: SweepPlan) -> None:
    """Train a planned sweep in a process of its own, which outlives this one. Raises ``ShakegptError`` if it cannot."""
    try:
        subprocess.Popen(
            [sys.executable, "-m", "shakegpt", "sweep", "--resume", plan.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, HOME_VARIABLE: str(store.home)},
            start_new_session=True,
        )
    except OSError as error:
        raise ShakegptError(f"The sweep could not be started: {error.strerror}.") from error
