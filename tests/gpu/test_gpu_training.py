"""Whole trainings on a CUDA GPU: commands, cuts, memory. Run with ``pytest tests/gpu -c tests/gpu/pytest.ini``.

Each runs on the CPU as well, so that the tests themselves are known to work; among the other tests, which hold
the same of a CPU, only with ``-m slow``.
"""

import gc
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from shakegpt.config import SamplingConfig
from shakegpt.events import Evaluation, Finished, Saved, Step, Warning
from shakegpt.generation.stream import Stream
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.checkpoint import read_checkpoint
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.training.gradients import Gradients
from shakegpt.training.saver import Saver
from shakegpt.training.setup import TrainingRequest, build_trainer
from shakegpt.training.trainer import Trainer

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
on_gpu = pytest.param("cuda", marks=needs_gpu)
on_both = pytest.mark.parametrize("device", [pytest.param("cpu", marks=pytest.mark.slow), on_gpu])
pytestmark = pytest.mark.gpu

STEPS = 40
IN_A_NEW_PROCESS = """
import sys
from pathlib import Path
from shakegpt.events import Step
from shakegpt.runs.store import Store
from shakegpt.training.setup import TrainingRequest, build_trainer
_, home, device, stop_at, resume = sys.argv
changes = {"steps": 40, "dropout": 0.1, "sample_length": 0, "eval_every": 20, "device": device, "precision": "fp32"}
request = TrainingRequest(preset="nano", corpus="demo", run_name="lear", changes=changes)
if resume:
    request = TrainingRequest(resume="lear", changes={"device": device, "precision": "fp32"})
trainer = build_trainer(Store(Path(home)), request)
for event in trainer:
    if isinstance(event, Step) and event.step == int(stop_at):
        trainer.stop()
print(trainer.state.step)
"""

Prepare = Callable[..., Trainer]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """``prepare("cuda")``: a training of nano on the demo text, with dropout, in a store of the test's own."""

    def build(device: str, *, resume: str | None = None, run: str | None = None, **changes: Any) -> Trainer:
        whole = {"steps": STEPS, "batch_size": 8, "dropout": 0.1, "sample_length": 0, "precision": "fp32"}
        if resume is not None:
            whole = {"precision": "fp32"}
        request = TrainingRequest(
            preset=None if resume else "nano",
            corpus=None if resume else "demo",
            run_name=run,
            resume=resume,
            changes=whole | {"device": device} | changes,
        )
        return build_trainer(Store(tmp_path), request)

    return build


def weights_of(trainer: Trainer) -> Tensor:
    return trainer.state.parameters.weights.cpu()


def end_of(trainer: Trainer) -> Tensor:
    assert not [event for event in trainer if isinstance(event, Warning)]  # such as that no step could be recorded
    assert trainer.state.step == trainer.run.metadata.training.steps
    return weights_of(trainer)


def long_training(device: str) -> dict[str, int]:
    """A training that neither evaluates nor saves before its end, and has many chunks on a GPU, of up to 512 steps."""
    steps = 4000 if device == "cuda" else 200
    return {"steps": steps, "eval_every": steps, "save_every": steps}


@on_both
@pytest.mark.parametrize("save_at", [11, 15])
def test_a_save_and_a_stop_amid_steps_change_nothing(device: str, prepare: Prepare, save_at: int) -> None:
    whole = long_training(device)
    uncut = end_of(prepare(device, run="uncut", **whole))
    cut = prepare(device, run="cut", **whole)
    saved: list[int] = []
    for event in cut:
        if isinstance(event, Saved):
            saved.append(event.step)
        elif isinstance(event, Step) and saved:
            cut.stop()
        elif isinstance(event, Step) and event.step >= save_at:
            cut.save()
    assert len(saved) == 2
    assert save_at <= saved[0] < saved[1] < whole["steps"]
    resumed = prepare(device, resume="cut")
    assert resumed.run.name == "cut"
    assert torch.equal(end_of(resumed), uncut)


@on_both
def test_a_copy_of_the_model_amid_steps_is_that_of_its_step(device: str, prepare: Prepare) -> None:
    whole = long_training(device)
    trainer = prepare(device, run="copied", **whole)
    copies: list[LanguageModel] = []
    for event in trainer:
        if isinstance(event, Step) and event.step >= 12:
            copies.append(trainer.copy_model())
            trainer.stop()
    step = copies[0].step
    assert step is not None
    assert 12 <= step < whole["steps"]
    again = prepare(device, run="again", **whole | {"save_every": step})
    for event in again:
        if isinstance(event, Saved):
            again.stop()
    weights = read_checkpoint(again.run.checkpoint_path(step)).weights
    assert all(torch.equal(weights[name], weight) for name, weight in copies[0].model.state_dict().items())


@on_both
def test_checkpoints_written_while_steps_go_on_are_those_of_steps_that_wait(
    device: str, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(name: str, *, in_background: bool) -> dict[str, bytes]:
        def make_saver(run: Run, **options: Any) -> Saver:
            return Saver(run, **options | {"in_background": in_background})

        monkeypatch.setattr("shakegpt.training.trainer.Saver", make_saver)
        trainer = prepare(device, run=name, save_every=7, eval_every=20, keep=STEPS)
        end_of(trainer)
        folder = trainer.run.checkpoints_folder
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.safetensors")}

    beside = train("beside", in_background=True)
    assert len(beside) == 2 * len({7, 14, 20, 21, 28, 35, 40})
    assert beside == train("waiting", in_background=False)


@on_both
def test_steps_cut_in_two_processes_are_those_of_one(device: str, tmp_path: Path) -> None:
    def run(home: str, stop_at: int, resume: str = "") -> int:
        done = subprocess.run(
            [sys.executable, "-c", IN_A_NEW_PROCESS, str(tmp_path / home), device, str(stop_at), resume],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    assert run("whole", STEPS) == STEPS
    assert 20 <= run("cut", 20) <= STEPS
    assert run("cut", STEPS, "resume") == STEPS
    whole, cut = (Store(tmp_path / home).run("lear").last() for home in ("whole", "cut"))
    assert whole is not None
    assert cut is not None
    for name in ("model.safetensors", "training.safetensors"):
        assert (whole.path / name).read_bytes() == (cut.path / name).read_bytes()


def held(device: str) -> int:
    """Return the memory of a GPU that is taken; on a CPU, the tensors that there are."""
    gc.collect()
    if device == "cuda":
        return torch.cuda.memory_allocated()
    return sum(issubclass(type(found), Tensor) for found in gc.get_objects())


@on_both
def test_evaluations_and_samples_keep_no_memory(device: str, prepare: Prepare) -> None:
    trainer = prepare(device, run="evaluated", steps=41, eval_every=1, save_every=41, save_seconds=0.0, sample_length=8)
    memory = [held(device) for event in trainer if isinstance(event, Evaluation)]
    assert len(memory) == 41
    assert max(memory[5:]) <= max(memory[2:5])


@on_both
def test_generation_beside_a_training_changes_nothing(device: str, prepare: Prepare) -> None:
    alone = end_of(prepare(device, run="alone"))
    trainer = prepare(device, run="together")
    language_model = trainer.copy_model()
    language_model.model.to(device)
    with generating(language_model) as texts:
        together = end_of(trainer)
    assert torch.equal(together, alone)
    assert texts
    assert set(texts) == {texts[0]}
    assert texts[0] == text_of(language_model)


def text_of(language_model: LanguageModel) -> str:
    return "".join(character.text for character in Stream(language_model, "\n", SamplingConfig(length=40)))


@contextmanager
def generating(language_model: LanguageModel) -> Iterator[list[str]]:
    """Generate the same text again and again on another thread."""
    texts: list[str] = []
    stopping = threading.Event()

    def generate() -> None:
        while not stopping.is_set() or not texts:
            texts.append(text_of(language_model))

    thread = threading.Thread(target=generate)
    thread.start()
    try:
        yield texts
    finally:
        stopping.set()
        thread.join()


@on_both
def test_when_memory_runs_out_the_batch_is_split(
    device: str, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU, whose memory nothing limits, it is said to run out."""
    trainer = prepare(device, run="hungry", steps=8, batch_size=2048 if device == "cuda" else 16, eval_every=8)
    if device == "cuda":
        gc.collect()
        torch.cuda.empty_cache()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 400_000_000) / total)
    else:
        compute = Gradients.compute

        def starve(self: Gradients, *arguments: Any, accumulate: int, **options: Any) -> Tensor:
            if accumulate < 4:
                raise torch.OutOfMemoryError("out of memory")
            return compute(self, *arguments, accumulate=accumulate, **options)

        monkeypatch.setattr(Gradients, "compute", starve)
    try:
        events = list(trainer)
    finally:
        if device == "cuda":
            torch.cuda.set_per_process_memory_fraction(1.0)
    warnings = [event for event in events if isinstance(event, Warning)]
    assert warnings
    assert {warning.kind for warning in warnings} == {"memory"}
    assert trainer.state.accumulate >= 2
    assert isinstance(events[-1], Finished)
    assert trainer.state.step == 8
