"""A run's folder: its checkpoints, its log, its lock, and the requests of other processes."""

import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shakegpt.config import PRESETS
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CheckpointError, RunBusyError, ShakegptError
from shakegpt.events import Event, Failed, Finished, Step, Warning
from shakegpt.model.gpt import GPT
from shakegpt.runs.checkpoint import CheckpointData, write_checkpoint
from shakegpt.runs.manifest import CheckpointInfo, Manifest, best_checkpoint, read_checkpoint_info
from shakegpt.runs.run import Run, RunMetadata, check_run_name, create_run

NANO = PRESETS["nano"]
RECORD = RunMetadata(
    preset="nano", model=NANO.model_config(3), training=NANO.training_config(), corpus="demo", corpus_sha256="0" * 64,
    created="2026-01-01T00:00:00+00:00", versions={"torch": "2"},
)  # fmt: skip
STEP = Step(
    step=1, loss=2.0, perplexity=7.4, learning_rate=1e-3, grad_norm=1.0, tokens_per_second=1e4, seconds=1.0, tokens=9
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run that has just begun."""
    return create_run(tmp_path / "runs" / "lear", RECORD)


def save(run: Run, step: int, val_loss: float | None = None) -> Path:
    """Put down a checkpoint that is as small as one can be."""
    config = replace(RECORD.model, d_model=4, d_ff=1, block_size=1)
    weights = GPT(config, seed=0).state_dict()
    contents = CheckpointData(
        config=config, vocabulary=Vocabulary("abc"), weights=weights, step=step, val_loss=val_loss
    )
    write_checkpoint(run.checkpoint_path(step), contents)
    return run.checkpoint_path(step)


def info(step: int, val_loss: float | None) -> CheckpointInfo:
    manifest = Manifest(schema=1, step=step, val_loss=val_loss, seconds=0.0, parameters=1, files={})
    return CheckpointInfo(reference=f"lear@{step}", run="lear", path=Path("x"), manifest=manifest, created=0.0)


# Names and records


@pytest.mark.parametrize("name", ["lear", "King_Lear-2.1", "_", "-", "7", "x" * 64])
def test_a_valid_name(name: str) -> None:
    check_run_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "a b", "a\n", "é", "x" * 65, "a\x1b[31m", "lear@best"]
)
def test_an_invalid_name_is_refused(name: str) -> None:
    with pytest.raises(ShakegptError, match="cannot be called") as caught:
        check_run_name(name)
    assert str(caught.value).isprintable()


def test_a_run_reads_back_its_metadata(run: Run) -> None:
    assert Run(run.path).metadata == RECORD
    assert run.path.stat().st_mode & 0o077 == 0
    assert json.loads((run.path / "run.json").read_text())["corpus_sha256"] == "0" * 64
    with pytest.raises(FileExistsError):
        create_run(run.path, RECORD)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "not JSON", '{"preset": "nano", "preset": "nano"}'])
def test_damaged_metadata_is_an_error_that_names_the_file(run: Run, text: str) -> None:
    (run.path / "run.json").write_text(text)
    with pytest.raises(ShakegptError, match="The run lear is damaged"):
        _ = Run(run.path).metadata


# Checkpoints


def test_checkpoints_are_listed_by_step(run: Run) -> None:
    for step, loss in ((20, 2.5), (5, None), (100, 2.5), (7, 3.0)):
        save(run, step, loss)
    assert [found.step for found in run.checkpoints()] == [5, 7, 20, 100]
    assert [found.reference for found in run.checkpoints()] == ["lear@5", "lear@7", "lear@20", "lear@100"]
    best, last = run.best(), run.last()
    assert best is not None
    assert last is not None
    assert (best.step, last.step) == (20, 100)  # of equals, the earliest


def test_before_the_first_checkpoint_there_is_none(run: Run) -> None:
    assert (run.checkpoints(), run.best(), run.last()) == ([], None, None)


def test_where_none_was_evaluated_the_last_is_the_best(run: Run) -> None:
    save(run, 5)
    save(run, 6)
    best = run.best()
    assert best is not None
    assert best.step == 6


def test_what_is_not_a_checkpoint_is_skipped(run: Run, tmp_path: Path) -> None:
    whole = save(run, 5, 2.0)
    (run.checkpoints_folder / "notes.txt").write_text("mine")
    (run.checkpoints_folder / "step-00000006").mkdir()  # no manifest: it was being written
    shutil.copytree(whole, run.checkpoints_folder / "step-00000007")  # says 5 of itself
    shutil.copytree(whole, run.checkpoints_folder / ".step-00000008.1.tmp")
    (run.checkpoints_folder / "step-00000009").symlink_to(whole)
    (run.checkpoints_folder / "step-5").mkdir()
    assert [found.path for found in run.checkpoints()] == [whole]


def test_the_info_of_a_checkpoint_is_its_manifests(run: Run) -> None:
    path = save(run, 5, 2.0)
    described = read_checkpoint_info(path)
    assert (described.reference, described.run) == (str(path), None)
    assert described.bytes == (path / "model.safetensors").stat().st_size
    with pytest.raises(CheckpointError):
        read_checkpoint_info(run.path)


@settings(max_examples=25)
@given(
    st.lists(st.one_of(st.none(), st.sampled_from([1.0, 2.0, 3.0])), min_size=1, max_size=7),
    st.integers(1, 4),
)
def test_pruning_never_removes_the_best_or_the_last(
    tmp_path_factory: pytest.TempPathFactory, losses: list[float | None], keep: int
) -> None:
    """Pruned after every save, as training does: what is left is the best, the last, and the newest beside them."""
    run = create_run(tmp_path_factory.mktemp("runs") / "lear", RECORD)
    manifest = Manifest(schema=1, step=0, val_loss=None, seconds=0.0, parameters=1, files={})
    from shakegpt.runs.manifest import MODEL_FILE, FileEntry

    known: list[CheckpointInfo] = []
    for step, loss in enumerate(losses, start=1):
        said = replace(manifest, step=step, val_loss=loss, files={MODEL_FILE: FileEntry(size=0, sha256="")})
        run.checkpoint_path(step).mkdir()
        (run.checkpoint_path(step) / "manifest.json").write_bytes(said.to_json())
        known.append(info(step, loss))
        run.prune_checkpoints(keep)
        left = [found.step for found in run.checkpoints()]
        best = best_checkpoint(known)
        assert best is not None
        assert best.step in left
        assert left[-1] == step
        others = [number for number in left if number not in (best.step, step)]
        assert len(others) <= keep
        assert others == sorted(others)
        known = [found for found in known if found.step in left]
    assert not list(run.checkpoints_folder.glob(".*"))


def test_leftovers_of_a_killed_process_are_removed(run: Run) -> None:
    whole = save(run, 5)
    for name in (".step-00000006.99.tmp", ".step-00000003.99.1.gone"):
        (run.checkpoints_folder / name).mkdir()
    (run.path / ".request.99.tmp").write_text("stop")
    (run.path / "request").write_text("stop")
    (run.path / "notes.txt").write_text("mine")
    with run.lock():
        run.remove_leftovers()
    assert list(run.checkpoints_folder.iterdir()) == [whole]
    assert sorted(path.name for path in run.path.iterdir()) == ["checkpoints", "lock", "notes.txt", "run.json"]


# The log, and the status it gives


def test_events_are_one_line_each_and_read_back(run: Run) -> None:
    events: list[Event] = [STEP, replace(STEP, step=2), Warning(step=2, kind="save", message="“Full”\nagain")]
    for event in events:
        run.log.append(event)
    assert list(Run(run.path).log.events()) == events
    assert len(run.metrics_path.read_text().splitlines()) == 3
    assert run.snapshot().current_step == 2


def fork_of(run: Run, name: str, step: int, **changes: object) -> Run:
    """Put down a run that was forked from a step of another one, and has taken one step itself."""
    metadata = replace(RECORD, created="2026-01-02T00:00:00+00:00", resumed_from=f"{run.name}@{step}", **changes)  # type: ignore[arg-type]
    fork = create_run(run.path.with_name(name), metadata)
    fork.log.append(replace(STEP, step=step + 1, loss=1.5))
    return fork


def test_the_snapshot_of_a_fork_begins_with_the_steps_of_its_parents(run: Run) -> None:
    for step in range(1, 10):
        run.log.append(replace(STEP, step=step))
    grandchild = fork_of(fork_of(run, "goneril", 5), "regan", 6)
    assert [(point.step, point.loss) for point in grandchild.snapshot().train.points()] == [
        *((step, 2.0) for step in range(1, 6)),
        (6, 1.5),
        (7, 1.5),
    ]
    assert run.snapshot().current_step == 9


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("goneril", {"resumed_from": "cordelia@3"}),
        ("goneril", {"resumed_from": "goneril@3"}),
        ("goneril", {"resumed_from": "/nowhere/step-00000003"}),
        ("goneril", {"resumed_from": "lear@best"}),
        ("goneril", {"corpus_sha256": "1" * 64}),
        ("goneril", {"created": "2025-12-31T00:00:00+00:00"}),
    ],
    ids=["gone", "itself", "a path", "no step", "another text", "a younger run of that name"],
)
def test_a_fork_whose_parent_is_not_to_be_found_has_its_own_steps(run: Run, name: str, changes: dict[str, str]) -> None:
    run.log.append(STEP)
    fork = fork_of(run, name, 3)
    record = replace(fork.metadata, **changes)  # type: ignore[arg-type]
    (fork.path / "run.json").write_text(json.dumps(asdict(record)))
    assert [point.step for point in Run(fork.path).snapshot().train.points()] == [4]


def test_a_half_written_line_is_skipped_and_ended_before_the_next(run: Run) -> None:
    run.metrics_path.write_text(json.dumps(STEP.to_json()) + '\n{"event": "step", "st')
    run.log.append(replace(STEP, step=2))
    assert [event.step for event in run.log.events()] == [1, 2]


@pytest.mark.parametrize(
    "line", [b"\xff\xfe\n", b"null\n", b"[]\n", b"{}\n", b"[" * 99_999 + b"\n", b'{"event": "moon"}\n']
)
def test_a_line_that_is_no_event_is_skipped(run: Run, line: bytes) -> None:
    run.metrics_path.write_bytes(line)
    run.log.append(STEP)
    assert list(run.log.events()) == [STEP]


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (None, "killed"),
        (STEP, "killed"),
        (Finished(step=1, outcome="finished", best_val_loss=None, best_step=None, seconds=1.0), "finished"),
        (Finished(step=1, outcome="stopped", best_val_loss=None, best_step=None, seconds=1.0), "stopped"),
        (Failed(step=1, message="!"), "failed"),
    ],
)
def test_the_status_of_an_unlocked_run_is_its_last_event(run: Run, last: Event | None, status: str) -> None:
    if last is not None:
        run.log.append(last)
    assert run.status() == status
    with run.lock():
        assert run.status() == "training"
    assert run.status() == status


# One writer


def test_a_run_has_one_writer(run: Run) -> None:
    assert run.owner() is None
    with run.lock():
        owner = run.owner()
        assert owner is not None
        assert (owner.pid, owner.host, owner.here) == (os.getpid(), socket.gethostname(), True)
        with pytest.raises(RunBusyError, match=f"process {os.getpid()} on .*shakegpt stop lear"):
            run.lock()
        for attempt in (run.remove, lambda: run.rename("cordelia")):
            with pytest.raises(RunBusyError):
                attempt()
    assert not run.is_locked()
    run.lock().close()


def test_a_lock_ends_with_its_process(run: Run) -> None:
    code = f"""
        import os
        from pathlib import Path
        from shakegpt.runs.run import Run
        lock = Run(Path({str(run.path)!r})).lock()
        print(os.getpid(), flush=True)
        input()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    owner = run.owner()
    assert owner is not None
    assert owner.pid == pid
    assert run.status() == "training"
    process.kill()
    process.communicate()
    assert not run.is_locked()
    assert run.status() == "killed"


# What other processes ask


@pytest.mark.parametrize("what", ["pause", "resume", "save", "stop"])
def test_a_request_is_taken_once(run: Run, what: str) -> None:
    with run.lock():
        assert run.take_request() is None
        Run(run.path).request(what)  # type: ignore[arg-type]
        assert run.take_request() == what
        assert run.take_request() is None


def test_only_a_run_in_training_takes_requests(run: Run) -> None:
    with pytest.raises(ShakegptError, match="The run lear is not training: it is killed"):
        run.request("stop")


@pytest.mark.parametrize("data", [b"", b"explode", b"stop\n" * 999, b"\xff"])
def test_an_unknown_request_is_dropped(run: Run, data: bytes) -> None:
    with run.lock():
        (run.path / "request").write_bytes(data)
        assert run.take_request() is None
        assert run.take_request() is None


# The folder as a whole


def test_a_run_can_be_renamed_and_removed(run: Run) -> None:
    save(run, 5, 2.0)
    size = run.bytes()
    assert size >= sum(found.bytes for found in run.checkpoints())
    other = create_run(run.path.with_name("edgar"), RECORD)
    with pytest.raises(ShakegptError, match="There is a run edgar already"):
        run.rename("edgar")
    with pytest.raises(ShakegptError, match="cannot be called"):
        run.rename("../edgar")
    renamed = run.rename("cordelia")
    assert [found.reference for found in renamed.checkpoints()] == ["cordelia@5"]
    assert not run.path.exists()
    renamed.remove()
    assert [path.name for path in renamed.path.parent.iterdir()] == [other.name]
