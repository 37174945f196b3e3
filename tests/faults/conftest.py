"""Processes to cut, kill and strand, made fresh in a tenth of a second."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.faults import fault_work
from tests.faults.fault_processes import Start, end_all, starting

PRELOADED = [
    "__main__",
    "tests.faults.fault_work",
    "shakegpt.cli.app",
    "shakegpt.training.setup",
    "rich.progress",
    "torch._dynamo",
]


@pytest.fixture(scope="session")
def server() -> ForkServerContext:
    """A process that has imported torch, computed nothing, and is forked for every fresh one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), *([path] if path else [])])
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        if path is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = path
    return context


@pytest.fixture
def start(server: ForkServerContext) -> Iterator[Start]:
    """``start(fault_work.command, home, "train", ...)``: begin it in a fresh process; none outlives the test."""
    with starting(server) as begin:
        yield begin


@pytest.fixture
def home(tmp_path: Path) -> str:
    """A store of the test's own."""
    return str(tmp_path / "store")


@pytest.fixture
def fast_disk() -> Iterator[Path]:
    """A folder in memory where there is one, for tests that write thousands of files."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A text of a few thousand characters, in a file."""
    path = tmp_path_factory.mktemp("text") / "corpus.txt"
    path.write_text(fault_work.TEXT)
    return str(path)


@pytest.fixture
def shakegpt(start: Start, home: str, tmp_path: Path) -> Callable[..., int]:
    """``shakegpt("train", ..., cut_at=...)``: run a command in a fresh process; returns its exit code."""

    def run(*arguments: str, **faults: Any) -> int:
        return end_all([start(fault_work.command, home, *arguments, output=str(tmp_path / "output"), **faults)])[0]

    return run


@pytest.fixture
def run_of(home: str) -> Callable[[str], Run]:
    """``run_of("macbeth")``: a run of the test's store."""
    return Store(Path(home)).run
