"""One writer, any number of readers, and no second writer: locks, half-written files, modes, and untrusted text."""

import json
import os
import socket
import stat
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from shakegpt.cli.app import app
from shakegpt.errors import RunBusyError
from shakegpt.events import Sample, Saved, Started, Step, Warning
from shakegpt.runs.follower import Follower
from shakegpt.runs.lock import LockOwner
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.system.text import is_safe
from shakegpt.training.setup import TrainingRequest, build_trainer
from tests.faults import fault_work
from tests.faults.fault_processes import Start, end_all
from tests.faults.fault_work import Bench
from tests.processes import wait_for

FOREVER = "1000000"
BUSILY = ("--save-every", "2", "--eval-every", "5", "--keep", "1")


@pytest.fixture
def training(start: Start, home: str, corpus: str) -> Run:
    """A run that another process is training, saving and pruning as fast as it can."""
    arguments = ("train", "--preset", "tiny", "--corpus", corpus, "--run", "macbeth", "--steps", FOREVER, *BUSILY)
    process = start(fault_work.command, home, *arguments, output=os.devnull)
    run = Run(Path(home) / "runs" / "macbeth")
    wait_for(lambda: run.checkpoints())
    assert run.owner() == LockOwner(pid=process.pid, host=socket.gethostname())
    return run


# Two writers


def test_a_second_writer_fails_at_once_with_the_name_of_the_first(training: Run, home: str, corpus: str) -> None:
    owner = training.owner()
    for request in (
        TrainingRequest(resume="macbeth"),
        TrainingRequest(resume="macbeth", changes={"save_every": 7}),
        TrainingRequest(preset="nano", corpus=corpus, run_name="macbeth"),
    ):
        with pytest.raises(RunBusyError) as caught:  # at once: the first writer would go on for days
            build_trainer(Store(Path(home)), request)
        assert f"process {owner.pid} on {owner.host}" in str(caught.value)
        assert "shakegpt watch macbeth" in str(caught.value)
    with pytest.raises(RunBusyError, match=f"process {owner.pid}"):
        training.lock()
    with pytest.raises(RunBusyError):
        training.remove()


def test_of_two_started_together_one_trains(start: Start, home: str, corpus: str) -> None:
    arguments = ("train", "--preset", "tiny", "--corpus", corpus, "--run", "macbeth")
    codes = end_all([start(fault_work.command, home, *arguments, output=os.devnull) for _ in range(3)])
    assert sorted(codes) == [0, 1, 1]
    assert Run(Path(home) / "runs" / "macbeth").status() == "finished"


def test_a_run_is_free_once_its_process_is_gone(training: Run) -> None:
    os.kill(training.owner().pid, 9)
    wait_for(lambda: not training.is_locked())
    assert training.owner() is None
    with training.lock():
        assert training.owner() == LockOwner(pid=os.getpid(), host=socket.gethostname())


# Readers


def test_readers_beside_a_writer_never_wait_and_never_see_half(training: Run, home: str) -> None:
    store = Store(Path(home))
    read = set()
    while len(read) < 12:
        for reference in ("macbeth@last", "macbeth", "last"):
            read.add(store.open(reference).manifest.step)
        assert store.summary(training).status == "training"
        assert training.snapshot().started is not None
    assert training.is_locked()


def test_a_follower_sees_a_run_move_and_can_stop_it(training: Run) -> None:
    follower = Follower(training, interval=0.01)
    follower.start()
    try:
        wait_for(lambda: follower.latest.current_step > 10)
        follower.pause()
        wait_for(lambda: not (training.path / "request").exists())
        at = training.snapshot().current_step
        follower.save()
        wait_for(lambda: training.last() is not None and training.last().step >= at)
        follower.resume()
        wait_for(lambda: follower.latest.current_step > at + 3)
        follower.stop()
        wait_for(lambda: follower.latest.state == "stopped")
    finally:
        follower.close()
        follower.join()
    assert training.status() == "stopped"


def test_a_follower_notices_a_killed_writer(training: Run) -> None:
    follower = Follower(training, interval=0.01)
    follower.start()
    try:
        wait_for(lambda: follower.latest.current_step > 3)
        os.kill(training.owner().pid, 9)
        wait_for(lambda: follower.latest.state == "failed")
    finally:
        follower.close()
        follower.join()
    assert training.status() == "killed"


def test_leftovers_are_removed_by_the_next_writer_alone(tmp_path: Path) -> None:
    run = Bench(str(tmp_path)).run
    leftovers = [
        run.checkpoints_folder / ".step-00000009.123.tmp",
        run.checkpoints_folder / ".step-00000003.123.9.gone",
        run.path / ".request.123.tmp",
    ]
    for path in leftovers:
        path.mkdir()
        (path / "model.safetensors").write_bytes(b"half")
    assert run.checkpoints() == []
    assert all(path.exists() for path in leftovers)  # a reader leaves them: the writer may be at them
    run.remove_leftovers()
    assert not any(path.exists() for path in leftovers)


# Whose it is


def test_files_are_0600_and_folders_0700(start: Start, home: str, corpus: str) -> None:
    arguments = ("train", "--preset", "tiny", "--corpus", corpus, "--run", "macbeth")
    process = start(fault_work.command, home, *arguments, output=os.devnull, umask=0)
    assert end_all([process]) == [0]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in [Path(home), *Path(home).rglob("*")]}
    assert len(modes) > 10
    for path, mode in modes.items():
        assert mode == (0o700 if path.is_dir() else 0o600), path


# Untrusted text


EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\u202e\x9b1m"


@pytest.fixture
def evil(home: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose every word is a terminal's nightmare."""
    run = Bench(home).run
    path = run.path / "run.json"
    values = json.loads(path.read_text())
    values |= {"corpus": EVIL, "created": EVIL, "resumed_from": EVIL, "preset": EVIL, "corpus_sha256": EVIL}
    path.write_text(json.dumps(values))
    run = Run(run.path)
    run.log.append(Sample(step=1, prompt=EVIL, text=EVIL))
    run.log.append(Warning(step=1, kind="save", message=EVIL))
    (run.path / "lock").write_text(json.dumps({"pid": 1, "host": EVIL}))
    monkeypatch.setenv("SHAKEGPT_HOME", home)
    return run


COMMANDS = [
    ["runs", "list"],
    ["runs", "show", "bench"],
    ["runs", "list", "--json"],
    ["runs", "show", "bench", "--json"],
    ["generate", "--checkpoint", EVIL],
    ["generate", "--checkpoint", f"./{EVIL}"],
    ["generate", "--checkpoint", "bench", "--prompt", EVIL],
    ["train", "--run", EVIL],
    ["train", "--resume", EVIL],
    ["train", "--corpus", EVIL],
    ["train", "--preset", EVIL],
    ["evaluate", EVIL],
    ["stop", EVIL],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments).replace(EVIL, "EVIL"))
def test_escape_sequences_are_escaped(evil: Run, arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.output
    assert all(is_safe(character) for character in result.output)


def test_the_name_of_a_lock_owner_is_escaped(evil: Run) -> None:
    import fcntl

    with (evil.path / "lock").open("rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RunBusyError) as caught:
            evil.lock()
        assert all(is_safe(character) for character in str(caught.value))
        result = CliRunner().invoke(app, ["runs", "show", "bench"])
        assert all(is_safe(character) for character in result.output)


@pytest.mark.parametrize("style", ["live", "plain", "json"])
def test_events_are_escaped(style: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from shakegpt.cli import console
    from shakegpt.runs.snapshot import Snapshot

    plain = partial(console.PlainConsole, 1)
    shown = {"live": console.LiveConsole, "plain": plain, "json": console.JsonConsole}[style]()
    started = Started(
        step=0,
        run="macbeth",
        steps=9,
        parameters=1,
        vocab_size=1,
        corpus=EVIL,
        device=EVIL,
        precision="fp32",
        reason=EVIL,
        threads=1,
        batch_size=1,
        block_size=1,
        preset=EVIL,
        resumed_from=EVIL,
    )
    for event in (
        Sample(step=1, prompt=EVIL, text=EVIL),
        Warning(step=1, kind="save", message=EVIL),
        Saved(step=1, path=EVIL, best=True, val_loss=1.0),
        Step(
            step=1,
            loss=1.0,
            perplexity=1.0,
            learning_rate=1.0,
            grad_norm=1.0,
            tokens_per_second=1.0,
            seconds=1.0,
            tokens=1,
        ),
    ):
        shown.show(event, Snapshot(started=started))
    (shown if style == "json" else plain()).show(started, Snapshot())
    output = "".join(capfd.readouterr())
    assert "owned" in output
    assert all(is_safe(character) for character in output)
