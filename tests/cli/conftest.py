"""Commands in processes that a test ends itself."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.cli_results import BeginCli


@pytest.fixture
def begin_cli() -> Iterator[BeginCli]:
    """``begin_cli("train", ...)``: a command in a process of its own, left running; killed when the test ends."""
    processes: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "shakegpt", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        processes.append(process)
        return process

    yield begin
    for process in processes:
        process.kill()
        process.communicate()
