"""The baseline: a process of its own that shakegpt has not tuned, and that ends with the process that started it."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from shakegpt.benchmark import transformers_baseline
from shakegpt.benchmark.transformers_baseline import Recipe, Transformers, recipe_for, serve, start_baseline
from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.errors import ShakegptError

CONFIG = ModelConfig(vocab_size=9, n_layer=1, n_head=2, d_model=8, d_ff=16, block_size=8)
TRAINING = TrainingConfig(batch_size=2)
CPU = torch.device("cpu")
# Stands for transformers where only the process matters.
STAND_IN = """
import os, torch
from types import SimpleNamespace
__version__ = "0"
logging = SimpleNamespace(set_verbosity_error=lambda: print("not a result"))
GPT2Config = dict
GPT2LMHeadModel = lambda config: torch.nn.Linear(1, 1)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a module in the place of transformers, for child processes too."""

    def put(code: str) -> None:
        (tmp_path / "transformers.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "transformers", raising=False)

    return put


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Any]]]:
    """Runs ``serve`` in this process on requests that are all there beforehand; gives what it sends."""
    monkeypatch.setattr(transformers_baseline.os, "dup2", lambda *_: None)
    ours, theirs = multiprocessing.Pipe()

    def run(*requests: tuple[str, int, float]) -> list[Any]:
        for request in requests:
            ours.send(request)
        sender = multiprocessing.Pipe(duplex=False)
        both = type("Both", (), {"recv": lambda _: _receive(theirs), "send": lambda _, value: sender[1].send(value)})
        serve(both(), CONFIG, TRAINING, CPU)
        sent = []
        while sender[0].poll():
            sent.append(sender[0].recv())
        return sent

    yield run
    ours.close()
    theirs.close()


def _receive(connection: Any) -> Any:
    if not connection.poll():
        raise EOFError
    return connection.recv()


def test_transformers_trains_and_generates() -> None:
    transformers = pytest.importorskip("transformers")
    with start_baseline(CONFIG, TRAINING, device=CPU, threads=2) as baseline:
        assert baseline.version == transformers.__version__
        assert baseline.rate("train", 0.0) > 0
        assert baseline.rate("generate", 0.0) > 0


def test_the_process_imports_nothing_that_tunes_it() -> None:
    code = "import sys, shakegpt.benchmark.transformers_baseline; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("shakegpt")}
    plain = {
        "",
        ".benchmark",
        ".benchmark.timing",
        ".benchmark.transformers_baseline",
        ".config",
        ".errors",
        ".version",
    }
    assert loaded == {f"shakegpt{name}" for name in plain}


def test_it_trains_on_all_threads_and_generates_on_one(
    monkeypatch: pytest.MonkeyPatch, answers: Callable[..., list[Any]]
) -> None:
    class Counting:
        version = "0"

        def __init__(self, *arguments: object) -> None:
            assert arguments == (CONFIG, TRAINING, CPU, Recipe())

        def train(self) -> float:
            threads["train"] = torch.get_num_threads()
            return 1

        def generate(self) -> float:
            threads["generate"] = torch.get_num_threads()
            return 1

    threads: dict[str, int] = {}
    monkeypatch.setattr(transformers_baseline, "Transformers", Counting)
    version, train, generate = answers(("train", 2, 0.0), ("generate", 1, 0.0))
    assert threads == {"train": 2, "generate": 1}
    assert version == "0"
    assert train > 0
    assert generate > 0


def test_without_transformers_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, answers: Callable[..., list[Any]]
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    (error,) = answers()
    assert isinstance(error, ShakegptError)
    assert "pip install 'shakegpt[bench]'" in str(error)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise MemoryError('too large')", r"^transformers failed: MemoryError: too large$"),
        ("import os; os._exit(3)", r"^The process that runs transformers has ended with exit code 3\.$"),
    ],
    ids=["error", "exit"],
)
def test_a_process_that_fails_is_an_error_of_one_sentence(
    stand_in: Callable[[str], None], code: str, message: str
) -> None:
    stand_in(code)
    with pytest.raises(ShakegptError, match=message), start_baseline(CONFIG, TRAINING, device=CPU, threads=1):
        pass


def test_the_process_ends_with_the_comparison(stand_in: Callable[[str], None]) -> None:
    stand_in(STAND_IN)
    with start_baseline(CONFIG, TRAINING, device=CPU, threads=1) as baseline:
        assert baseline.version == "0"
        process = baseline._process
        assert process.is_alive()
    assert process.exitcode == -signal.SIGKILL


def test_the_process_ends_when_the_pipe_is_closed(stand_in: Callable[[str], None]) -> None:
    """As it is by the end of the process that started it, however that ends."""
    stand_in(STAND_IN)
    with start_baseline(CONFIG, TRAINING, device=CPU, threads=1) as baseline:
        baseline._connection.close()
        baseline._process.join(60)
        assert baseline._process.exitcode == 0


@pytest.mark.parametrize(
    ("device", "capability", "recipe"),
    [
        ("cpu", None, Recipe()),
        ("mps", None, Recipe()),
        ("cuda", (9, 0), Recipe("bf16", tuned=True)),
        ("cuda", (7, 5), Recipe("fp32", tuned=True)),
    ],
)
def test_on_a_gpu_it_is_run_as_its_users_would(
    device: str, capability: tuple[int, int] | None, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert recipe_for(torch.device(device)) == recipe


def test_the_tuned_recipe_is_what_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU, where it works as well; compiling is left out, which takes a minute."""
    pytest.importorskip("transformers")
    compiled: list[torch.nn.Module] = []
    precisions: list[str] = []
    monkeypatch.setattr(torch, "compile", lambda model: compiled.append(model) or model)
    monkeypatch.setattr(torch, "set_float32_matmul_precision", precisions.append)
    baseline = Transformers(CONFIG, TRAINING, CPU, Recipe("bf16", tuned=True))
    seen: list[torch.dtype] = []
    head = baseline._model.lm_head
    head.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    before = head.weight.detach().clone()
    assert baseline.train() == TRAINING.batch_size * CONFIG.block_size
    assert (compiled, precisions, seen) == ([baseline._model], ["high"], [torch.bfloat16])
    assert baseline._optimizer.defaults["fused"]
    assert not torch.equal(head.weight, before)
