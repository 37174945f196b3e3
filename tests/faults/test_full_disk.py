"""A disk that is really full: training goes on, says so, and saves again when there is room."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.faults import fault_work, small_disk
from tests.processes import PATIENCE

MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1"'


def on_small_disk(folder: Path, script: ModuleType) -> Any:
    """Run a script on a disk of one megabyte; return what it printed."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system lets no user mount a disk of their own, which a really full one takes")
    done = subprocess.run(
        [unshare, "-rm", "sh", "-c", MOUNT, "sh", str(folder), sys.executable, str(script.__file__)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_training_outlives_a_full_disk(tmp_path: Path) -> None:
    result = on_small_disk(tmp_path, fault_work)
    kinds = [kind for _, kind in result["reported"]]
    steps = [step for step, _ in result["reported"]]
    full, empty = kinds.index("save"), steps.index(next(step for step in steps if step >= 30))
    assert set(kinds[:full]) == {"saved"}
    assert set(kinds[full:empty]) == {"save"}
    assert set(kinds[empty:]) == {"saved"}
    assert (result["status"], result["last"]) == ("finished", 60)
    assert result["steps"] == list(range(1, 61))  # what the log could not take was kept until it could


def test_a_sweep_outlives_a_full_disk(tmp_path: Path) -> None:
    result = on_small_disk(tmp_path, small_disk)
    state, message = result["first"]["s-01"]
    assert state == "failed"
    assert "could not be saved" in message
    assert "No space left on device" in message
    assert result["first"]["s-02"] == ["finished", ""]
    assert result["second"] == {"s-01": ["finished", ""], "s-02": ["finished", ""]}
    assert result["steps"]["s-02"] == list(range(1, 9))  # nothing that finished is repeated
    assert result["steps"]["s-01"][-4:] == [5, 6, 7, 8]
    assert result["steps"]["s-01"].count(4) == 1  # it was resumed from its save
