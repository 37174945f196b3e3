"""Completion as a shell asks for it: through the environment, in a process that imports neither torch nor Textual."""

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shakegpt.config import PRESETS
from shakegpt.runs.store import Store
from tests.processes import PATIENCE

WriteConfig = Callable[[str | bytes], Path]

# As the console script does, and then: which heavy packages came along?
SCRIPT = """
import atexit, json, sys
sys.argv = ["shakegpt"]
heavy = {"torch", "textual", "numpy"}
atexit.register(lambda: print("HEAVY", json.dumps(sorted(heavy & set(sys.modules)))))
from shakegpt.cli import main
main()
"""

# The same for each environment in the arguments, in a fork of one process: what all import is imported once.
FORKS = """
import json, os, sys
import shakegpt.cli.app
for asked in json.loads(sys.argv[1]):
    if os.fork() == 0:
        os.environ.update(asked)
        break
    os.wait()
else:
    os._exit(0)
"""
Offers = tuple[list[str], list[str]]
"""What a shell would offer, and the heavy packages that were imported for it."""


def asked_by(shell: str, line: str) -> dict[str, str]:
    """Return the environment in which a shell asks what it can offer at the end of a line."""
    return {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell] | {"_SHAKEGPT_COMPLETE": f"complete_{shell}"}


def complete(*asked: dict[str, str]) -> list[Offers]:
    """Return what is offered in each of some environments."""
    done = subprocess.run(
        [sys.executable, "-c", FORKS + SCRIPT, json.dumps(asked)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    found: list[Offers] = []
    offered: list[str] = []
    for line in done.stdout.splitlines():
        if line.startswith("HEAVY "):
            found.append((offered, json.loads(line.removeprefix("HEAVY "))))
            offered = []
        elif line:
            offered.append(line)
    assert len(found) == len(asked)
    return found


def offered_by_bash(line: str) -> list[str]:
    [(offered, _)] = complete(asked_by("bash", line))
    return offered


BASH = {
    "shakegpt tr": ["train"],
    "shakegpt ex": ["export"],
    "shakegpt runs sh": ["show"],
    "shakegpt config ": ["path", "show", "edit", "keys"],
    "shakegpt train --preset ": list(PRESETS),
    "shakegpt train --preset n": ["nano"],
    "shakegpt train --corpus d": ["demo"],
    "shakegpt train --device c": ["cpu", "cuda"],
    "shakegpt bench --device m": ["mps"],
    "shakegpt train --tensorb": ["--tensorboard"],
    "shakegpt runs show mac": ["macbeth"],
    "shakegpt runs show macbeth mac": ["macbeth"],
    "shakegpt stop ": ["macbeth"],
    "shakegpt generate --checkpoint macbeth@l": ["macbeth@last"],
    "shakegpt generate --checkpoint macbeth@3": ["macbeth@30"],
    "shakegpt export pre": ["pretrained"],
    "shakegpt evaluate l": ["last"],
}


@pytest.fixture(scope="module")
def bash_offers(trained_home: Path) -> dict[str, Offers]:
    """What bash is offered at the end of each line of ``BASH``."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SHAKEGPT_HOME", str(trained_home))
        return dict(zip(BASH, complete(*(asked_by("bash", line) for line in BASH)), strict=True))


@pytest.mark.parametrize("line", BASH)
def test_bash_is_offered(line: str, bash_offers: dict[str, Offers]) -> None:
    offered, heavy = bash_offers[line]
    assert offered == BASH[line]
    assert heavy == []


def test_other_shells_are_offered_the_same(store: Store) -> None:
    (zsh, _), (fish, _) = complete(*(asked_by(shell, "shakegpt runs show mac") for shell in ("zsh", "fish")))
    assert '"macbeth"' in "\n".join(zsh)
    assert "macbeth" in "\n".join(fish)


def test_a_store_that_cannot_be_read_offers_nothing(store: Store) -> None:
    (store.run("macbeth").path / "run.json").write_text("{")
    assert offered_by_bash("shakegpt runs show mac") == []
    store.runs_folder.rename(store.home / "elsewhere")
    store.runs_folder.write_text("not a folder")
    assert offered_by_bash("shakegpt runs show mac") == []


def test_completion_works_with_an_unusable_config_file(store: Store, write_config: WriteConfig) -> None:
    write_config("[")
    assert offered_by_bash("shakegpt tr") == ["train"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_printed(shell: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "_SHAKEGPT_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "_SHAKEGPT_COMPLETE" in done.stdout


@pytest.fixture
def bash(tmp_path: Path) -> Iterator[Callable[[str, str], str]]:
    """``bash(keys, text)``: type into a real bash that completes shakegpt, and return what it shows, up to a text."""
    command = tmp_path / "bin" / "shakegpt"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m shakegpt "$@"\n')
    command.chmod(0o755)
    script = subprocess.run(
        [command], env={**os.environ, "_SHAKEGPT_COMPLETE": "source_bash"}, capture_output=True, check=True
    ).stdout
    settings = tmp_path / "bashrc"
    settings.write_bytes(script + b"\nPS1='READY> '\nbind 'set enable-bracketed-paste off' 'set bell-style none'\n")
    pid, terminal = pty.fork()
    if pid == 0:
        env = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "TERM": "dumb"}
        os.execvpe("bash", ["bash", "--noprofile", "--rcfile", str(settings), "-i"], env)

    def type_keys(keys: str, text: str) -> str:
        os.write(terminal, keys.encode())
        shown = ""
        deadline = time.monotonic() + PATIENCE
        while text not in shown:
            assert select.select([terminal], [], [], deadline - time.monotonic())[0], shown
            shown += os.read(terminal, 65536).decode()
        return shown

    type_keys("", "READY> ")
    yield type_keys
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_what_follows_the_at_sign(store: Store, bash: Callable[[str, str], str]) -> None:
    for option in ("generate -c ", "evaluate "):
        bash(f"shakegpt {option}macbeth@l\t", "macbeth@last ")
        bash("\x15\r", "READY> ")
    bash("shakegpt generate --checkpoint=macb\t@b\t", "macbeth@best ")
    bash("\x15\r", "READY> ")
    assert "@30" in bash("shakegpt generate --checkpoint=macbeth@\t\t", "@last")
