"""A store with runs that were never trained."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shakegpt.config import PRESETS
from shakegpt.events import Event
from shakegpt.runs.run import Run, RunMetadata
from shakegpt.runs.store import Store

Events = Callable[..., list[Event]]
NOW = 1_795_384_800.0


def put_checkpoint(run: Run, step: int, val_loss: float | None) -> None:
    """A checkpoint as lists see it: its manifest, and files of no account."""
    folder = run.checkpoint_path(step)
    folder.mkdir(mode=0o700)
    (folder / "model.safetensors").write_bytes(b"weights")
    entry = {"size": 230_000, "sha256": "0" * 64}
    manifest = {
        "schema": 1,
        "step": step,
        "val_loss": val_loss,
        "seconds": step * 0.02,
        "parameters": run.metadata.model.parameters,
        "files": {"model.safetensors": entry},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    os.utime(folder / "manifest.json", (NOW - 3_600, NOW - 3_600))


@pytest.fixture
def store(home: Path, events: Events) -> Store:
    """Three runs: ``hamlet`` finished lately, ``macbeth`` cut short, ``lear`` begun longest ago and never saved."""
    store = Store(home)
    for name, preset, corpus, day, upto, steps in (
        ("lear", "mini", "tiny-shakespeare", 1, 0, ()),
        ("macbeth", "nano", "demo", 10, 240, (100, 200)),
        ("hamlet", "nano", "sonnets", 20, 500, (100, 300, 500)),
    ):
        record = RunMetadata(
            preset=preset,
            model=PRESETS[preset].model_config(65),
            training=PRESETS[preset].training_config(steps=500),
            corpus=corpus,
            corpus_sha256="0" * 64,
            created=f"2026-11-{day:02}T20:00:00+00:00",
            versions={},
        )
        run = store.create(record, name)
        for event in events(upto=upto, run=name):
            run.log.append(event)
        run.log.close()
        for step in steps:
            put_checkpoint(run, step, {100: 2.4, 200: 2.1, 300: 1.9, 500: 1.95}[step])
    return store
