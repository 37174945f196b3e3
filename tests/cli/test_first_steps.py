"""A new user's mistakes: each ends in one sentence that helps, and never in a traceback."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store

COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Mistake:
    """A mistake, and the error that it ends in."""

    arguments: str
    """After ``shakegpt``; ``{place}`` is an empty folder of the test's own."""
    message: str
    """A part of the sentence: what is wrong, or what to do."""
    code: int = 1
    prepare: Callable[[Path, Run], object] = field(default=lambda place, run: None)
    environment: dict[str, str] = field(default_factory=dict)


def write(name: str, data: bytes) -> Callable[[Path, Run], object]:
    return lambda place, run: (place / name).write_bytes(data)


def damage(place: Path, run: Run) -> None:
    for checkpoint in run.checkpoints():
        path = checkpoint.path / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-5] ^= 1
        path.write_bytes(data)


TRAIN = "train --preset nano --steps 2"
MISTAKES = {
    "a corpus to fetch and no network": Mistake(
        f"{TRAIN} --corpus tiny-shakespeare", "train on --corpus demo, or put the file in a folder and name it in"
    ),
    "a corpus that is not there": Mistake(
        f"{TRAIN} --corpus hamlet.txt", "the names known here are tiny-shakespeare, demo"
    ),
    "a folder for a corpus": Mistake(f"{TRAIN} --corpus {{place}}", "is a folder; give one text file"),
    "an empty corpus": Mistake(
        f"{TRAIN} --corpus {{place}}/a.txt", "is empty; give a text", prepare=write("a.txt", b"")
    ),
    "a corpus too short": Mistake(
        f"{TRAIN} --corpus {{place}}/a.txt",
        "give a text of at least 650 characters",
        prepare=write("a.txt", b"ab" * 50),
    ),
    "a corpus that is no text": Mistake(
        f"{TRAIN} --corpus {{place}}/a.bin", "name its encoding, such as", prepare=write("a.bin", b"\xfe\xfd" * 900)
    ),
    "no such encoding": Mistake(
        f"{TRAIN} --corpus {{place}}/a.txt --encoding klingon",
        "try utf-8, latin-1 or cp1252",
        2,
        prepare=write("a.txt", b"ab" * 900),
    ),
    "an unknown run": Mistake("generate --checkpoint othello", "There is no run othello; the runs here are macbeth"),
    "an unknown step": Mistake("generate --checkpoint macbeth@7", "has no checkpoint 7; it has best, last and"),
    "a path that is no checkpoint": Mistake("generate --checkpoint {place}", "it has no manifest.json"),
    "an unknown character": Mistake(
        "generate -c macbeth --prompt naïve", "has never seen 'ï' (U+00EF), character 3", 2
    ),
    "a typo in a command": Mistake("generte", "Did you mean 'generate'?", 2),
    "a typo in an option": Mistake("generate --tempreature 1", "--temperature", 2),
    "a word for a number": Mistake("generate --temperature warm", "a valid number", 2),
    "a number that makes no sense": Mistake(
        "generate --top-p 7", "Top-p must be a number above 0 and at most 1, not 7.0", 2
    ),
    "no steps at all": Mistake("train --steps 0", "must be a whole number of at least 1, not 0", 2),
    "an unknown preset": Mistake("train --preset sead", "the presets are mini, nano, baby, gpt2", 2),
    "a GPU that is not there": Mistake(
        f"{TRAIN} --corpus demo --device mps", "leave out --device, or give --device cpu"
    ),
    "a run that has finished": Mistake("train --resume macbeth", "give --steps a larger number to train on", 2),
    "another corpus for an old run": Mistake(
        "train --resume macbeth --steps 40 --corpus {place}/a.txt",
        "give the same text with --corpus, or begin a new run",
        prepare=write("a.txt", b"to be or not to be " * 99),
    ),
    "a name that is taken": Mistake(
        f"{TRAIN} --corpus demo --run macbeth", "go on with it by --resume macbeth, or choose"
    ),
    "a name that is none": Mistake(
        f"{TRAIN} --corpus demo --run ../x", "a name is 1 to 64 letters, digits, dots, dashes", 2
    ),
    "a damaged checkpoint": Mistake(
        "generate -c macbeth@20", "model.safetensors does not match its SHA-256", prepare=damage
    ),
    "a file for a home": Mistake(
        f"{TRAIN} --corpus demo",
        "name another place in $SHAKEGPT_HOME",
        prepare=write("home", b""),
        environment={"SHAKEGPT_HOME": "{place}/home"},
    ),
    "a home that cannot be written": Mistake(
        f"{TRAIN} --corpus demo",
        "name another place in $SHAKEGPT_HOME",
        environment={"SHAKEGPT_HOME": "/proc/shakegpt"},
    ),
    "stopping what has ended": Mistake("stop macbeth", "The run macbeth is not training: it is finished"),
    "watching in a pipe": Mistake("watch macbeth", "use `shakegpt generate` or `shakegpt train`", 2),
    "the app in a pipe": Mistake("", "use `shakegpt generate` or `shakegpt train`", 2),
    "removing without being asked": Mistake("runs remove macbeth", "to remove macbeth, give --yes", 2),
    "importing any folder": Mistake(
        "import {place}", "name a directory made by `shakegpt export` or `save_pretrained`"
    ),
    "exporting over something": Mistake(
        "export macbeth {place}",
        "is there already, and is not an empty folder; name a new one",
        2,
        prepare=write("x", b""),
    ),
    "a format there is not": Mistake("export macbeth {place}/new --format onnx", "is not one of 'hf', 'gguf'", 2),
    "a picture that is none": Mistake("runs show macbeth --plot {place}/a.pdf", "name it a.svg", 2),
    "a file for a TensorBoard folder": Mistake(
        f"{TRAIN} --corpus demo --tensorboard {{place}}/a", "cannot be made: File exists", prepare=write("a", b"")
    ),
    "a corpus name that is taken": Mistake(
        "corpus add {place}/a.txt --name demo", "choose one with --name", 2, prepare=write("a.txt", b"ab" * 900)
    ),
    "no argument where one is needed": Mistake(
        "runs show", "Missing argument 'RUN...'. See `shakegpt runs show --help`", 2
    ),
    "settings that cannot be used": Mistake(
        "runs list",
        "put it right with `shakegpt config edit`",
        2,
        prepare=lambda place, run: write_settings("[trian]\nsteps = 3"),
    ),
    "no editor for the settings": Mistake("config edit", "set $EDITOR", 2, environment={"EDITOR": "", "VISUAL": ""}),
}


def write_settings(text: str) -> None:
    from shakegpt.system.paths import config_file

    config_file().parent.mkdir(parents=True)
    config_file().write_text(text)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder of the test's own."""
    place = tmp_path / "place"
    place.mkdir()
    return place


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_in_one_sentence_that_helps(
    name: str, macbeth: Run, place: Path, invoke: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake = MISTAKES[name]
    mistake.prepare(place, macbeth)
    for variable, value in mistake.environment.items():
        monkeypatch.setenv(variable, value.format(place=place))
    if TRAIN in mistake.arguments:
        monkeypatch.chdir(place)
    done = invoke(*mistake.arguments.format(place=place).split())
    assert mistake.message in done.stderr
    assert done.exit_code == mistake.code
    assert done.stdout == ""
    assert_one_sentence(done.stderr)
    assert {run.name for run in Store(macbeth.path.parent.parent).runs()} == {"macbeth"}  # no run was begun


def assert_one_sentence(text: str) -> None:
    assert text.startswith("shakegpt: ")
    assert text.endswith((".\n", "?\n"))
    assert text.count("\n") == 1
    assert "Traceback" not in text


def test_a_run_in_training_is_neither_trained_again_nor_removed(macbeth: Run, invoke: Callable[..., Any]) -> None:
    with macbeth.lock():
        for arguments in (["train", "--resume", "macbeth@20"], ["runs", "remove", "macbeth", "--yes"]):
            done = invoke(*arguments)
            assert done.exit_code == 1
            assert f"process {os.getpid()}" in done.stderr
            assert "`shakegpt stop macbeth`" in done.stderr
            assert_one_sentence(done.stderr)
    assert macbeth.path.is_dir()


@pytest.mark.parametrize("buffering", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
def test_a_full_disk_for_the_results_is_an_error(store: Store, buffering: dict[str, str]) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | buffering
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "shakegpt", "runs", "list"],
            stdout=full,
            env=env,
            stderr=subprocess.PIPE,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert_one_sentence(done.stderr)


@pytest.mark.parametrize("terminal", ["dumb", "unknown"])
def test_a_terminal_without_a_cursor_is_an_error_that_names_what_to_use(terminal: str) -> None:
    process, screen = pty.fork()
    if process == 0:
        os.execve(sys.executable, [sys.executable, "-m", "shakegpt"], {**os.environ, "TERM": terminal})
    output = b""
    while True:
        try:
            chunk = os.read(screen, 4096)
        except OSError:  # how a pty reports that its last process has gone
            break
        if not chunk:
            break
        output += chunk
    os.close(screen)
    text = output.decode().replace("\r\n", "\n")
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 2
    assert f"TERM={terminal}" in text
    assert "use `shakegpt generate` or `shakegpt train`" in text
    assert "\x1b" not in text
    assert_one_sentence(text)


def test_help_is_not_an_error(invoke: Callable[..., Any]) -> None:
    for group in ("runs", "corpus", "config"):
        assert "Commands" in (done := invoke(group)).stdout + done.stderr
        assert "shakegpt:" not in done.stderr
