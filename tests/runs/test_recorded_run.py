"""A run recorded by an earlier version: it loads, is listed, exports to the same bytes and resumes the same way."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from shakegpt.data.corpus import Corpus
from shakegpt.evaluation.loss import evaluate
from shakegpt.events import Evaluation, Event, Step
from shakegpt.runs.checkpoint import CheckpointData, encode_checkpoint, read_checkpoint
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.system.device import choose_device_plan
from shakegpt.system.files import sha256

DATA = Path(__file__).parent / "data"
RECORDED: dict[str, Any] = json.loads((DATA / "recorded.json").read_text())
STEPS = [35, 40, 50]
CUT = 35
Invoke = Callable[..., Any]
TrainNano = Callable[..., tuple[Run, list[Event]]]


@pytest.fixture
def store(private_surroundings: Path) -> Store:
    """A store with the recorded run, which the test may change."""
    shutil.copytree(DATA / "runs", private_surroundings / "runs")
    return Store(private_surroundings)


@pytest.fixture
def run(store: Store) -> Run:
    return store.run("recorded")


def losses(events: list[Event]) -> dict[tuple[str, int], float]:
    """Return the loss of each step and each evaluation after the cut."""
    return {
        (event.event, event.step): event.loss if isinstance(event, Step) else event.val_loss
        for event in events
        if isinstance(event, Step | Evaluation) and event.step > CUT
    }


def test_it_is_listed(store: Store, invoke: Invoke) -> None:
    (row,) = json.loads(invoke("runs", "list", "--json").stdout)["runs"]
    assert (row["name"], row["status"], row["step"], row["steps"]) == ("recorded", "finished", 50, 50)
    assert (row["checkpoints"], row["corpus"], row["best_val_loss"]) == (3, "demo", pytest.approx(3.23408, abs=1e-5))


def test_its_configuration_and_its_events_are_read(run: Run) -> None:
    assert (run.metadata.preset, run.metadata.training.steps, run.metadata.model.d_model) == ("seed", 50, 16)
    assert [event.step for event in run.log.events() if isinstance(event, Step)] == list(range(1, 51))
    assert len(run.metrics_path.read_text().splitlines()) == len(list(run.log.events()))


@pytest.mark.parametrize("step", STEPS)
def test_a_checkpoint_encodes_to_the_bytes_it_was_read_from(run: Run, step: int) -> None:
    folder = run.checkpoint_path(step)
    checkpoint = read_checkpoint(folder)
    encoded = encode_checkpoint(
        CheckpointData(
            config=checkpoint.config,
            vocabulary=checkpoint.vocabulary,
            weights=checkpoint.weights,
            step=step,
            val_loss=checkpoint.manifest.val_loss,
            seconds=checkpoint.manifest.seconds,
            training_state=checkpoint.read_training_state(),
        )
    )
    written = {**encoded.files, "manifest.json": encoded.manifest.to_json()}
    assert written == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_its_model_has_the_loss_that_was_recorded(store: Store, demo: Corpus) -> None:
    recorded = store.find("recorded@50").val_loss
    model = store.language_model("recorded@50").model
    assert evaluate(model, demo.validation).nats == pytest.approx(recorded, abs=1e-4)


@pytest.mark.parametrize("format_", ["hf", "gguf"])
def test_it_exports_to_the_same_bytes(store: Store, invoke: Invoke, tmp_path: Path, format_: str) -> None:
    if format_ == "gguf":
        pytest.importorskip("gguf")
        if version("gguf") != RECORDED["gguf"]:
            pytest.skip("another version of gguf may write other bytes")
    done = invoke("export", "recorded@50", str(tmp_path / "out"), "--format", format_)
    assert done.exit_code == 0, done.stderr
    exported = {
        path.name: sha256(path.read_bytes())
        for path in (tmp_path / "out").iterdir()
        if path.name != "README.md"  # the model card is prose, and may say more than it did
    }
    expected = {
        name: digest for name, digest in RECORDED["exports"].items() if (name == "model.gguf") == (format_ == "gguf")
    }
    assert exported == expected


def test_it_resumes_as_it_went_on_then(run: Run, train_nano: TrainNano, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = losses(list(run.log.events()))
    for step in STEPS:
        if step > CUT:
            shutil.rmtree(run.checkpoint_path(step))
    lines = run.metrics_path.read_text().splitlines(keepends=True)
    end = next(index for index, line in enumerate(lines) if json.loads(line)["event"] == "finished")
    run.metrics_path.write_text("".join(lines[: end + 1]))
    monkeypatch.setenv("OMP_NUM_THREADS", str(RECORDED["threads"]))

    resumed, events = train_nano(resume="recorded")

    assert resumed.path == run.path
    assert losses(events) == pytest.approx(expected, abs=1e-3)
    assert resumed.status() == "finished"
    here = {
        "cpu": choose_device_plan("cpu", "fp32").name,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
    }
    if any(RECORDED[name] != value for name, value in here.items()):
        pytest.skip(f"the losses agree; bytes are compared on the machine and the torch that recorded them, not {here}")
    before = read_checkpoint(DATA / "runs/recorded/checkpoints/step-00000050")
    after = read_checkpoint(resumed.checkpoint_path(50))
    assert after.manifest.files["model.safetensors"] == before.manifest.files["model.safetensors"]
    old, new = before.read_training_state(), after.read_training_state()
    assert replace(new.metadata, versions=old.metadata.versions) == old.metadata
    assert new.tensors.keys() == old.tensors.keys()
    assert all(torch.equal(new.tensors[name], tensor) for name, tensor in old.tensors.items())
