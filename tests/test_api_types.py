"""Scripts of a user, written from the docstrings: mypy passes the one that is right, and finds what is misspelt."""

import subprocess
import sys
from pathlib import Path

import pytest

from shakegpt.runs.store import Store

pytest.importorskip("mypy")

ROOT = Path(__file__).parent.parent
CLIENT = """
from collections.abc import Iterator
from pathlib import Path

import shakegpt
from shakegpt.events import Evaluation, Saved

SETTINGS: shakegpt.SamplingOptions = {"temperature": 0.9, "top_k": 20, "top_p": 0.95, "length": 30, "stop": ["JULIET:"]}


def train_a_little(text: Path) -> shakegpt.Model:
    options: shakegpt.TrainingOptions = {"steps": 4, "eval_every": 2, "dropout": 0.1, "device": "cpu"}
    losses: list[float] = []
    with shakegpt.train(preset="nano", corpus=text, run="mine", **options) as training:
        for event in training:
            if isinstance(event, Evaluation):
                losses.append(event.val_loss)
            elif isinstance(event, Saved):
                print(event.path, event.best)
    assert len(losses) == 2
    return training.model()


def speech(model: shakegpt.Model) -> Iterator[str]:
    for character in model.stream(**SETTINGS):
        yield character.upper()


Path("play.txt").write_text("To be, or not to be: that is the question.\\n" * 60)
model = train_a_little(Path("play.txt"))
one: str = model.generate("To be", length=20, seed=1)
several: list[str] = model.generate("To be", samples=2, length=20, seed=1)
loss: shakegpt.Loss = model.evaluate(text="To be, or not to be")
assert several[0] == one
print("".join(speech(model)), loss.nats, loss.perplexity, loss.bits_per_character, loss.characters)
print(model.evaluate("play.txt", split="train").nats < 10, model.config.d_model + 1, model.name.title())
try:
    shakegpt.load("othello")
except shakegpt.ShakegptError as error:
    print(str(error))
"""
CONFIGURATION = """
[mypy]
strict = true
# as mypy treats what is installed
[mypy-shakegpt.*]
ignore_errors = true
[mypy-torch.*,numpy.*,pydantic.*]
follow_imports = skip
"""
MISSPELT = [
    'shakegpt.load("pretrained").generate("O", lenght=3)',
    'shakegpt.load("pretrained").generate("O", samples=2, tempreature=3)',
    'shakegpt.load("pretrained").stream("O", topk=3)',
    'shakegpt.train(preset="nano", stpes=3)',
    'shakegpt.train(preset="nano", device="gpu")',
    'shakegpt.load("pretrained").evaluate(file="play.txt")',
    'shakegpt.load("pretrained").generate("O", length="3")',
    'shakegpt.load("pretrained").generate("O", samples=2).title()',
]


def run_mypy(folder: Path, script: str) -> "subprocess.CompletedProcess[str]":
    """Check a script as a user's own. Libraries such as torch are not followed, which would take a minute."""
    (folder / "client.py").write_text(script)
    (folder / "mypy.ini").write_text(CONFIGURATION)
    (folder / "site").mkdir()
    (folder / "site" / "shakegpt").symlink_to(ROOT / "shakegpt")  # the package alone, with its py.typed
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(folder / "cache"), "client.py"],
        cwd=folder,
        env={"MYPYPATH": str(folder / "site"), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_script_written_from_the_docstrings_passes_mypy_and_runs(private_surroundings: Path, tmp_path: Path) -> None:
    checked = run_mypy(tmp_path, CLIENT)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = subprocess.run(
        [sys.executable, "client.py"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "There is no run othello" in done.stdout
    assert [run.name for run in Store(private_surroundings).runs()] == ["mine"]


def test_mypy_finds_what_is_misspelt(tmp_path: Path) -> None:
    checked = run_mypy(tmp_path, "\n".join(["import shakegpt", *MISSPELT]))
    errors = [line for line in checked.stdout.splitlines() if line.startswith("client.py:") and " error: " in line]
    assert checked.returncode == 1, checked.stderr
    assert {int(line.split(":")[1]) for line in errors} == set(range(2, 2 + len(MISSPELT))), checked.stdout
