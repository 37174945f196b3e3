"""A sweep on a small disk that is full for a while. No torch here: only the runs of the sweep import it."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from shakegpt.events import Event, Failed, Step
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import load_plan, make_plan, save_plan
from shakegpt.training.sweep import SweepThread, make_slots

OPTIONS = {"steps": 8, "eval-every": 4, "n-layer": 1, "d-model": 16, "d-ff": 16, "block-size": 16}


def fill(path: Path, *, leave: int = 0) -> None:
    """Write a file that leaves so many bytes of the disk free."""
    disk = os.statvfs(path.parent)
    path.write_bytes(bytes(disk.f_bavail * disk.f_frsize - leave))


def bytes_on_disk(folder: Path) -> int:
    """Return how much of the disk a folder takes."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))


def sweep(folder: Path) -> None:
    """Train two runs, one after the other, and go on with what is missing; print what became of them as JSON.

    A run saves twice. While the first one trains there is room for one save, and once it has failed for more.
    """
    corpus, filler, store = folder / "corpus.txt", folder / "filler", Store(folder / "home")
    corpus.write_text("To be, or not to be: that is the question.\n" * 100)
    common = {"preset": "nano", "corpus": str(corpus), "device": "cpu", "precision": "fp32", **OPTIONS}
    options = {name: [str(value)] for name, value in common.items()}
    save_plan(store, make_plan("trial", {"seed": ["1"]}, options, {}))
    save_plan(store, make_plan("s", {"seed": ["1", "2"]}, options, {"save-patience": ["0.1"]}))

    def train(plan: str, hear: Callable[[str, Event | None], None] = lambda *_: None) -> dict[str, tuple[str, str]]:
        thread = SweepThread(store, load_plan(store, plan), make_slots(runs=2, jobs=1, gpus=[], cores=1))
        thread.subscribe(hear)
        thread.start()
        thread.await_end()
        return {row.name: (row.state, row.message) for row in thread.rows}

    def make_room(name: str, event: Event | None) -> None:
        if name == "s-01" and isinstance(event, Failed):
            filler.unlink()

    train("trial")
    (trial,) = store.runs()
    room = bytes_on_disk(trial.path) * 3 // 4
    shutil.rmtree(trial.path)
    fill(filler, leave=room)
    first = train("s", make_room)
    second = train("s")
    steps = {run.name: [event.step for event in run.log.events() if isinstance(event, Step)] for run in store.runs()}
    print(json.dumps({"first": first, "second": second, "steps": steps}))


if __name__ == "__main__":
    sweep(Path(sys.argv[1]))
