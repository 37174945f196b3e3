"""Fixtures of all tests: a home of their own, the two corpora, small models, and a run that was trained once."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from typer.testing import CliRunner, Result

from shakegpt.config import ModelConfig
from shakegpt.data.catalog import TINY_SHAKESPEARE, known_corpora
from shakegpt.data.corpus import Corpus
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.events import Event
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.system.paths import config_file
from shakegpt.training.setup import TrainingRequest, build_trainer

# No deadline, as other tests share the cores; and every run tries the same examples.
settings.register_profile("suite", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("suite")

# SIGHUP is ignored under nohup, and SIGINT in the background of a script, here and in every process started here; the
# tests of both need the defaults.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Small tensors gain nothing from a second thread, and lose much where the other core is busy with another test.
if "--benchmark-only" not in sys.argv:
    torch.set_num_threads(1)

COMMAND_SECONDS = 100
NANO_CHANGES = {
    "steps": 30,
    "batch_size": 8,
    "eval_every": 10,
    "save_every": 5,
    "keep": 2,
    "save_seconds": 0.0,
    "sample_length": 24,
    "seed": 7,
    "device": "cpu",
    "precision": "fp32",
}

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
TrainNano = Callable[..., tuple[Run, list[Event]]]
WriteConfig = Callable[[str | bytes], Path]


@pytest.fixture(autouse=True)
def private_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store, a cache and preferences of the test's own; returns the store's home. No download reaches the network."""
    for name in [name for name in os.environ if name.startswith("SHAKEGPT_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("SHAKEGPT_HOME", str(home))
    for folder in ("cache", "config", "data"):
        monkeypatch.setenv(f"XDG_{folder.upper()}_HOME", str(tmp_path / folder))
    for name in ("http_proxy", "https_proxy"):  # nothing listens there: a download is refused
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    monkeypatch.setenv("COLUMNS", "100")
    return home


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """Put torch's thread count back after a test: a command sets it for its whole process."""
    threads = torch.get_num_threads()
    yield
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@pytest.fixture
def write_config(private_surroundings: Path) -> WriteConfig:
    """``write_config("[train]...")``: write the ``config.toml`` of the test's own surroundings."""

    def write(text: str | bytes) -> Path:
        path = config_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


# Texts


@pytest.fixture(scope="session")
def demo() -> Corpus:
    """The text that ships with shakegpt."""
    return Corpus.load("demo")


@pytest.fixture(scope="session")
def tiny_shakespeare_path() -> Path:
    """The file of the real text; a test that needs it is skipped where it is not on this machine."""
    found = next(corpus for corpus in known_corpora() if corpus.name == TINY_SHAKESPEARE)
    if not found.on_disk:
        pytest.skip("Tiny Shakespeare is not on this machine: name its folder in SHAKEGPT_CORPUS_PATH to run this test")
    return found.path


@pytest.fixture(scope="session")
def tiny_shakespeare(tiny_shakespeare_path: Path) -> Corpus:
    """The real text."""
    return replace(Corpus.load(str(tiny_shakespeare_path)), name=TINY_SHAKESPEARE)


@pytest.fixture
def corpus_of() -> Callable[..., Corpus]:
    """``corpus_of("text")``: a corpus of a text made up by the test."""
    return lambda text, name="made-up": Corpus(name=name, text=text, sha256="0" * 64)


# Models


@pytest.fixture
def tiny_config() -> ModelConfig:
    """The shape of a model of two blocks that takes no time."""
    return ModelConfig(vocab_size=13, n_layer=2, n_head=3, d_model=12, d_ff=20, block_size=8, dropout=0.0)


@pytest.fixture
def tiny_model(tiny_config: ModelConfig) -> GPT:
    """An untrained tiny model with weights so large that its probabilities differ."""
    model = GPT(tiny_config, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6.0)
    return model.eval()


@pytest.fixture
def tiny_language_model(tiny_model: GPT) -> LanguageModel:
    """The tiny model with a vocabulary of thirteen characters."""
    return LanguageModel(model=tiny_model, vocabulary=Vocabulary("\n abcdefghij:"), name="tiny", step=0)


# Runs


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory, demo: Corpus) -> Path:
    """A store with one finished run, ``macbeth``: nano, thirty steps on the demo text. Read-only."""
    home = tmp_path_factory.mktemp("trained") / "home"
    request = TrainingRequest(preset="nano", corpus="demo", run_name="macbeth", changes=NANO_CHANGES)
    for _ in build_trainer(Store(home), request):
        pass
    return home


@pytest.fixture
def store(private_surroundings: Path, trained_home: Path) -> Store:
    """A copy of the trained store in the test's own home, which the test may change."""
    shutil.copytree(trained_home, private_surroundings)
    return Store(private_surroundings)


@pytest.fixture
def macbeth(store: Store) -> Run:
    """The finished run of the test's own store."""
    return store.run("macbeth")


@pytest.fixture
def train_nano(private_surroundings: Path) -> TrainNano:
    """``train_nano(steps=5)``: train nano on the demo text in the test's own store; returns the run and its events."""

    def train(
        *, run_name: str | None = None, resume: str | None = None, corpus: str | None = "demo", **changes: object
    ) -> tuple[Run, list[Event]]:
        request = TrainingRequest(
            preset="nano",
            corpus=None if resume else corpus,
            run_name=run_name,
            resume=resume,
            changes=changes if resume else NANO_CHANGES | {"steps": 5, "sample_length": 0} | changes,
        )
        trainer = build_trainer(Store(private_surroundings), request)
        return trainer.run, list(trainer)

    return train


# The command line


def command_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command: the test's own, and one thread of computing."""
    return {**os.environ, "OMP_NUM_THREADS": "1", **(more or {})}


@pytest.fixture
def run_cli() -> RunCli:
    """``run_cli("generate", "--length", "5")``: ``python -m shakegpt`` in a process of its own, run to its end."""

    def run(
        *arguments: str,
        stdin: str | bytes | None = None,
        env: Mapping[str, str] | None = None,
        python: Sequence[str] = (),
    ) -> "subprocess.CompletedProcess[str]":
        data = stdin.encode() if isinstance(stdin, str) else stdin
        done = subprocess.run(
            [sys.executable, *python, "-m", "shakegpt", *arguments],
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            env=command_environment(env),
            timeout=COMMAND_SECONDS,
            check=False,
        )
        return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def invoke() -> Callable[..., Result]:
    """``invoke("runs", "list")``: a command inside this process, for tests that need none of its own."""

    def run(*arguments: str, stdin: str | bytes | None = None, env: Mapping[str, str] | None = None) -> Result:
        from shakegpt.cli.app import app

        return CliRunner().invoke(app, list(arguments), input=stdin, env=env, prog_name="shakegpt")

    return run
