"""A sweep on a small disk that is full for a while. No torch here: only the runs of the sweep import it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from shakegpt.events import Event, Failed, Saved, Step
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import load_plan, make_plan, save_plan
from shakegpt.training.sweep import SweepThread, make_slots

OPTIONS = {"steps": 8, "eval-every": 4, "n-layer": 1, "d-model": 16, "d-ff": 16, "block-size": 16}


def fill(path: Path) -> None:
    """Write a file until the disk takes no further byte."""
    with open(path, "wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def sweep(folder: Path) -> None:
    """Train two runs, one after the other, and go on with what is missing; print what became of them as JSON.

    The disk is full from the first save of the first run to its failure.
    """
    corpus, filler, store = folder / "corpus.txt", folder / "filler", Store(folder / "home")
    corpus.write_text("To be, or not to be: that is the question.\n" * 100)
    common = {"preset": "nano", "corpus": str(corpus), "device": "cpu", "precision": "fp32", **OPTIONS}
    options = {name: [str(value)] for name, value in common.items()}
    save_plan(store, make_plan("s", {"seed": ["1", "2"]}, options, {"save-patience": ["0.1"]}))

    def train(hear: Callable[[str, Event | None], None]) -> dict[str, tuple[str, str]]:
        thread = SweepThread(store, load_plan(store, "s"), make_slots(runs=2, jobs=1, gpus=[], cores=1))
        thread.subscribe(hear)
        thread.start()
        thread.await_end()
        return {row.name: (row.state, row.message) for row in thread.rows}

    def fill_and_empty(name: str, event: Event | None) -> None:
        if name == "s-01" and isinstance(event, Saved) and not filler.exists():
            fill(filler)
        elif name == "s-01" and isinstance(event, Failed):
            filler.unlink()

    first = train(fill_and_empty)
    second = train(lambda *_: None)
    steps = {run.name: [event.step for event in run.log.events() if isinstance(event, Step)] for run in store.runs()}
    print(json.dumps({"first": first, "second": second, "steps": steps}))


if __name__ == "__main__":
    sweep(Path(sys.argv[1]))
