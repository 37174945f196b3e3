"""A disk that is really full: training goes on, says so, and saves again when there is room."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import fault_work

MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1"'


def test_training_outlives_a_full_disk(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this system lets no user mount a disk of their own, which a really full one takes")
    script = Path(fault_work.__file__)
    done = subprocess.run(
        [unshare, "-rm", "sh", "-c", MOUNT, "sh", str(tmp_path), sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    kinds = [kind for _, kind in result["reported"]]
    steps = [step for step, _ in result["reported"]]
    full, empty = kinds.index("save"), steps.index(next(step for step in steps if step >= 30))
    assert set(kinds[:full]) == {"saved"}
    assert set(kinds[full:empty]) == {"save"}
    assert set(kinds[empty:]) == {"saved"}
    assert (result["status"], result["last"]) == ("finished", 60)
    assert result["steps"] == list(range(1, 61))  # what the log could not take was kept until it could
