"""The whole command ``shakegpt train``, in a process of its own: where its wall time goes, and its peak memory."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from shakegpt.config import PRESETS
from shakegpt.data.catalog import find_corpus
from shakegpt.errors import ShakegptError
from shakegpt.system.device import DevicePlan

_TINY_SHAKESPEARE_LENGTH = 1_115_394
_COMMAND = """
import re, resource, sys
from pathlib import Path
import torch
def peak():
    # Linux counts the process that started this one into ru_maxrss; VmHWM is this one's alone.
    if sys.platform == "linux":
        return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
sys.argv[0] = "shakegpt"
from shakegpt.cli import main
try:
    main()
except SystemExit as end:
    if end.code:
        raise
print(peak() - before, file=sys.stderr)
"""
_PARTS = {
    "started": "start",
    "step": "steps",
    "evaluation": "evaluation",
    "inspection": "evaluation",
    "sample": "samples",
    "saved": "saving",
    "finished": "end",
}
"""What led up to an event, by its kind."""


@dataclass(frozen=True)
class WholeCommand:
    """A training from the shell's point of view."""

    steps: int
    eval_every: int
    """Steps from one evaluation and sample to the next."""
    seconds: dict[str, float]
    """Wall time: to ``start``, in ``steps``, ``evaluation``, ``samples`` and ``saving``, and to the ``end`` of the
    process. Each is the time that training waited for it: what a GPU computes meanwhile is not counted twice."""
    peak_bytes_over_torch: int
    """The peak memory of the process above that of ``import torch``."""


def run_whole_command(
    device_plan: DevicePlan, preset: str, steps: int, *, characters: int = _TINY_SHAKESPEARE_LENGTH
) -> WholeCommand:
    """Train with a home and settings of its own.

    Args:
        device_plan: where to compute, and in which precision.
        preset: of the model and the training. Evaluations and saves come as often as it says, and in a training
            shorter than that, as often as in any short one.
        steps: to train.
        characters: of the text.

    Raises:
        ShakegptError: the training has failed.
    """
    with tempfile.TemporaryDirectory() as folder, open(Path(folder) / "errors", "w+", encoding="utf-8") as errors:
        text = Path(folder) / "corpus.txt"
        demo = find_corpus("demo").path.read_text(encoding="utf-8")
        text.write_text((demo * (characters // len(demo) + 1))[:characters], encoding="utf-8")
        options = {
            "preset": preset,
            "corpus": str(text),
            "steps": str(steps),
            "device": str(device_plan.device),
            "precision": device_plan.precision,
        }
        if preset in PRESETS and steps >= (interval := PRESETS[preset].training_config().eval_every):
            options["eval-every"] = str(interval)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SHAKEGPT_")}
        began = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-c", _COMMAND, "train", "--json", *(f"--{name}={options[name]}" for name in options)],
            env={**environment, "SHAKEGPT_HOME": f"{folder}/home", "XDG_CONFIG_HOME": f"{folder}/config"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process:
            assert process.stdout is not None
            seconds, said = _split(process.stdout, began)
        seconds["end"] += time.perf_counter() - began - sum(seconds.values())
        errors.seek(0)
        last_line = errors.read().strip().rpartition("\n")[2]
    if process.returncode != 0:
        reason = said.get("message", last_line).rstrip(".")
        raise ShakegptError(f"The training that is measured failed (exit code {process.returncode}; {reason}).")
    return WholeCommand(steps, said["eval_every"], seconds, int(last_line))


def _split(events: IO[str], began: float) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the seconds that led up to each part's events as they arrive, and the newest of the fields needed here."""
    seconds, said, last = dict.fromkeys(_PARTS.values(), 0.0), dict[str, Any](), began
    for line in events:
        event, now = json.loads(line), time.perf_counter()
        said |= {name: event[name] for name in ("eval_every", "message") if name in event}
        seconds[_PARTS.get(event["event"], "steps")] += now - last
        last = now
    return seconds, said
