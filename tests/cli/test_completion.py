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


def complete(line: str, shell: str = "bash") -> tuple[list[str], list[str]]:
    """Return what a shell would offer at the end of a line, and the heavy packages that were imported for it."""
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "_SHAKEGPT_COMPLETE": f"complete_{shell}", **asked},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    *offered, heavy = done.stdout.splitlines()
    return [line for line in offered if line], json.loads(heavy.removeprefix("HEAVY "))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("shakegpt tr", ["train"]),
        ("shakegpt ex", ["export"]),
        ("shakegpt runs sh", ["show"]),
        ("shakegpt config ", ["path", "show", "edit", "keys"]),
        ("shakegpt train --preset ", list(PRESETS)),
        ("shakegpt train --preset n", ["nano"]),
        ("shakegpt train --corpus d", ["demo"]),
        ("shakegpt train --device c", ["cpu", "cuda"]),
        ("shakegpt train --tensorb", ["--tensorboard"]),
        ("shakegpt runs show mac", ["macbeth"]),
        ("shakegpt runs show macbeth mac", ["macbeth"]),
        ("shakegpt stop ", ["macbeth"]),
        ("shakegpt generate --checkpoint macbeth@l", ["macbeth@last"]),
        ("shakegpt generate --checkpoint macbeth@3", ["macbeth@30"]),
        ("shakegpt export pre", ["pretrained"]),
        ("shakegpt evaluate l", ["last"]),
    ],
)
def test_bash_is_offered(line: str, offered: list[str], store: Store) -> None:
    found, heavy = complete(line)
    assert found == offered
    assert heavy == []


@pytest.mark.parametrize(("shell", "form"), [("zsh", '"{}"'), ("fish", "{}")])
def test_other_shells_are_offered_the_same(shell: str, form: str, store: Store) -> None:
    found, _ = complete("shakegpt runs show mac", shell)
    assert form.format("macbeth") in "\n".join(found)


def test_a_store_that_cannot_be_read_offers_nothing(store: Store) -> None:
    (store.run("macbeth").path / "run.json").write_text("{")
    assert complete("shakegpt runs show mac")[0] == []
    store.runs_folder.rename(store.home / "elsewhere")
    store.runs_folder.write_text("not a folder")
    assert complete("shakegpt runs show mac")[0] == []


def test_completion_works_with_an_unusable_config_file(store: Store, write_config: WriteConfig) -> None:
    write_config("[")
    assert complete("shakegpt tr")[0] == ["train"]


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
@pytest.mark.parametrize("option", ["generate -c ", "generate --checkpoint=", "evaluate "])
def test_bash_completes_what_follows_the_at_sign(option: str, store: Store, bash: Callable[[str, str], str]) -> None:
    bash(f"shakegpt {option}macbeth@l\t", "macbeth@last ")
    bash("\x15\r", "READY> ")
    bash(f"shakegpt {option}macb\t@b\t", "macbeth@best ")
    bash("\x15\r", "READY> ")
    assert "@30" in bash(f"shakegpt {option}macbeth@\t\t", "@last")
