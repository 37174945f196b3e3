"""The baseline: a process of its own that shakegpt has not tuned, and that ends with the process that started it."""

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from shakegpt.benchmark import transformers_baseline
from shakegpt.benchmark.transformers_baseline import TransformersBaseline, serve, start_baseline
from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.errors import ShakegptError

CONFIG = ModelConfig(vocab_size=9, n_layer=1, n_head=2, d_model=8, d_ff=16, block_size=8)
TRAINING = TrainingConfig(batch_size=2)
SETTINGS = {"model": asdict(CONFIG), "training": asdict(TRAINING), "device": "cpu", "threads": 2}
TASKS = ({"task": "train", "seconds": 0.0}, {"task": "generate", "seconds": 0.0})
# What the process may import of shakegpt: nothing that sets up the whole process.
PLAIN = {f"shakegpt{name}" for name in ("", ".benchmark", ".benchmark.timing", ".config", ".errors", ".version")}
# Stands for transformers where only the process matters.
STAND_IN = """
import torch
from types import SimpleNamespace
__version__ = "0"
logging = SimpleNamespace(set_verbosity_error=lambda: print("this is no answer"))
GPT2Config = dict
GPT2LMHeadModel = lambda config: torch.nn.Linear(1, 1)
"""


def lines(*requests: dict[str, object]) -> str:
    return "".join(json.dumps(request) + "\n" for request in requests)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/transformers.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'modules'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@contextmanager
def baseline_running(code: str) -> Iterator[TransformersBaseline]:
    """A baseline whose process runs some code instead."""
    with tempfile.TemporaryFile() as errors:
        command, pipe = [sys.executable, "-c", code], subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, bufsize=0) as process:
            yield TransformersBaseline(process, errors, SETTINGS)


def test_transformers_trains_and_generates_in_a_process_that_is_not_tuned() -> None:
    transformers = pytest.importorskip("transformers")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "shakegpt.benchmark.transformers_baseline"],
        input=lines(SETTINGS, *TASKS),
        capture_output=True,
        text=True,
        check=True,
    )
    version, train, generate = map(json.loads, done.stdout.splitlines())
    assert version == {"version": transformers.__version__}
    assert train["rate"] > 0
    assert generate["rate"] > 0
    loaded = set(re.findall(r"\| +(shakegpt\S*)$", done.stderr, re.MULTILINE))
    assert {"shakegpt", "shakegpt.benchmark.timing"} <= loaded <= PLAIN


def test_it_trains_on_all_threads_and_generates_on_one(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting:
        version = "0"

        def __init__(self, config: ModelConfig, training: TrainingConfig, device: torch.device) -> None:
            assert (config, training, device) == (CONFIG, TRAINING, torch.device("cpu"))

        def train(self) -> float:
            threads["train"] = torch.get_num_threads()
            return 1

        def generate(self) -> float:
            threads["generate"] = torch.get_num_threads()
            return 1

    threads: dict[str, int] = {}
    monkeypatch.setattr(transformers_baseline, "Transformers", Counting)
    answers = io.StringIO()
    serve(iter(lines(SETTINGS, *TASKS).splitlines()), answers)
    assert threads == {"train": 2, "generate": 1}
    assert [list(json.loads(line)) for line in answers.getvalue().splitlines()] == [["version"], ["rate"], ["rate"]]


def test_without_transformers_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    answers = io.StringIO()
    serve(iter([lines(SETTINGS)]), answers)
    assert "pip install 'shakegpt[bench]'" in json.loads(answers.getvalue())["error"]


def test_what_the_process_cannot_do_is_an_error_here() -> None:
    code = """print('{"error": "No transformers here."}')"""
    with pytest.raises(ShakegptError, match=r"^No transformers here\.$"), baseline_running(code):
        pass


def test_a_process_that_dies_is_an_error_of_one_sentence() -> None:
    with (
        pytest.raises(ShakegptError, match=r"has ended with exit code 1: MemoryError: too large\.$"),
        baseline_running("raise MemoryError('too large.')"),
    ):
        pass


@pytest.mark.usefixtures("stand_in")
def test_the_process_ends_with_its_standard_input() -> None:
    with start_baseline(CONFIG, TRAINING, device=torch.device("cpu"), threads=1) as found:
        assert found.version == "0"
        process = found._process
        assert process.stdin is not None
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(timeout=60) == 0


@pytest.mark.usefixtures("stand_in")
def test_the_process_ends_with_the_comparison() -> None:
    with start_baseline(CONFIG, TRAINING, device=torch.device("cpu"), threads=1) as found:
        assert found._process.poll() is None
    assert found._process.returncode is not None
