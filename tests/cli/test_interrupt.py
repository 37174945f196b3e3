"""Ctrl-C while modules are imported, the first moment of every command."""

import subprocess
import sys

import pytest

from shakegpt.runs.store import Store
from tests.processes import PATIENCE

# Runs a command that is sent SIGINT when it begins to import a module.
SCRIPT = """
import os, runpy, signal, sys

class Interrupt:
    module = sys.argv.pop(1)

    def find_spec(self, name, *_):
        if name == self.module:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
runpy.run_module("shakegpt", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("shakegpt.cli", ["--version"]),
        ("typer", ["runs", "list"]),
        ("shakegpt.cli.runs", ["train"]),
        ("shakegpt.runs.store", ["runs", "list"]),
        ("torch", ["generate"]),
        ("shakegpt.generation.stream", ["generate"]),
        ("torch", ["evaluate"]),
        ("torch", ["bench", "--quick"]),
    ],
)
def test_ctrl_c_during_imports_ends_quietly(module: str, arguments: list[str], store: Store) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, module, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
