"""Every command that README.md shows is run, on a small model and the demo text where it would train."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shakegpt.system.paths import asset_path

README = Path(__file__).parent.parent / "README.md"
# What makes a command of the README cost a second: a later option overrides an earlier one.
SMALLER = ["--preset", "nano", "--corpus", "demo", "--steps", "4", "--run", "small"]
# What cannot run in a test: it installs, opens the full screen, waits for a terminal, or needs a second process.
ELSEWHERE = re.compile(
    r"python3 -m venv|^pip |^tmux |^ssh |^torchrun |^shakegpt$|^shakegpt (watch|stop|bench|config edit)|^tensorboard "
)


def readme_commands() -> list[str]:
    """Return the shell commands of the README's bash blocks, one per line, comments left out."""
    blocks = re.findall(r"```bash\n(.*?)```", README.read_text(), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]


def test_the_readme_has_its_two_commands() -> None:
    text = README.read_text()
    assert "<!-- the main job -->\n```bash\n" in text
    assert "<!-- the test command -->\n```bash\n" in text
    assert len([command for command in readme_commands() if "python3 -m venv" in command]) >= 2


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[[^]]*]\(([^)]+)\)", README.read_text())
    assert pictures
    missing = [picture for picture in pictures if not (README.parent / picture).is_file()]
    assert missing == []


@pytest.fixture(scope="module")
def workplace(trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all commands, as a reader has: a store with the run ``macbeth``, and what others wrote."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(trained_home, folder / "home")
    return folder


@pytest.mark.xdist_group("readme")  # one after another, on one machine's folder
@pytest.mark.parametrize("command", [command for command in readme_commands() if not ELSEWHERE.search(command)])
def test_a_command_of_the_readme_runs(command: str, workplace: Path) -> None:
    environment = {**os.environ, "SHAKEGPT_HOME": str(workplace / "home")}
    text = ""
    for stage in command.replace(".venv/bin/", "").split(" | "):
        words = shlex.split(stage)
        if words[0] == "shakegpt":
            smaller = SMALLER if words[1] == "train" and "--resume" not in words else []
            words = [sys.executable, "-m", *words, *smaller]
        done = subprocess.run(
            words, input=text, capture_output=True, text=True, cwd=workplace, env=environment, check=False, timeout=100
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        text = done.stdout


def test_the_notebook_of_the_readme_runs(workplace: Path) -> None:
    """The lines say ``pretrained``; where no model ships, the trained run speaks instead."""
    (lines,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    try:
        asset_path("pretrained")
    except FileNotFoundError:
        lines = lines.replace("pretrained", "macbeth").replace("ROMEO", "TAMSIN").replace("JULIET", "HALDEN")
    environment = {**os.environ, "SHAKEGPT_HOME": str(workplace / "home")}
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) >= 280
