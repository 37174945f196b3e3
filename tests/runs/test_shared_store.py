"""A store that others write and we may only read, as on a network file system."""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shakegpt.errors import ShakegptError
from shakegpt.runs.follower import Follower
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store


@pytest.fixture
def read_only(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to open anything below the store for writing: root, as tests often run, may do everything."""
    really_open, really_access = os.open, os.access
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def below(path: object) -> bool:
        return isinstance(path, str | Path) and Path(path).is_relative_to(store.home)

    def open_(path: str, flags: int, *rest: int, **more: int) -> int:
        if below(path) and flags & writing:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really_open(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(
        os, "access", lambda path, mode: not (below(path) and mode & os.W_OK) and really_access(path, mode)
    )


@pytest.fixture
def training(macbeth: Run) -> Iterator[Run]:
    """A run that another process trains."""
    with macbeth.lock():
        yield macbeth


def test_runs_are_found_and_read(store: Store, macbeth: Run, read_only: None) -> None:
    assert [store.summary(run).status for run in store.runs()] == ["finished"]
    assert macbeth.snapshot().current_step == 30
    assert store.language_model("macbeth").step == store.find("macbeth").step


def test_a_run_in_training_is_watched_without_commands(training: Run, read_only: None) -> None:
    follower = Follower(training)
    assert training.status() == "training"
    assert follower.read_only
    assert follower.poll()
    assert follower.latest.current_step == 30
    with pytest.raises(ShakegptError, match=r"cannot be asked to stop: its folder cannot be written \(Permission"):
        follower.stop()


def test_a_run_of_ones_own_takes_commands(training: Run) -> None:
    follower = Follower(training)
    assert not follower.read_only
    follower.stop()
    assert training.take_request() == "stop"


@pytest.mark.parametrize("change", ["rename", "remove", "lock"])
def test_a_change_is_one_clear_error(macbeth: Run, read_only: None, change: str) -> None:
    changes = {"rename": lambda: macbeth.rename("hamlet"), "remove": macbeth.remove, "lock": macbeth.lock}
    with pytest.raises(ShakegptError, match=r"The run macbeth cannot be written: .* \(Permission denied\)"):
        changes[change]()


def test_a_new_run_is_sent_elsewhere(store: Store, macbeth: Run, read_only: None) -> None:
    with pytest.raises(ShakegptError, match=r"cannot be written .*SHAKEGPT_HOME"):
        store.create(macbeth.metadata)


@pytest.mark.parametrize(("number", "locked"), [(errno.EAGAIN, True), (errno.ENOLCK, False), (errno.EOPNOTSUPP, False)])
def test_where_the_file_system_has_no_locks_no_run_is_in_training(
    macbeth: Run, number: int, locked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fail)
    assert macbeth.is_locked() is locked


@pytest.mark.usefixtures("read_only")
def test_it_says_that_nothing_can_be_changed(store: Store) -> None:
    assert not Store(store.home).writable
    assert not Store(store.home / "not" / "there").writable


def test_a_store_of_ones_own_can_be_changed_before_it_is_there(tmp_path: Path) -> None:
    assert Store(tmp_path / "not" / "there").writable
