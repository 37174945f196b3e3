"""README as it stands: every block that it shows is run, in order, in one fresh home; only the steps are fewer."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from shakegpt.cli.app import app
from shakegpt.config import PRESETS
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, objects

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PICTURES = "https://raw.githubusercontent.com/shakegpt/shakegpt/main/"
# What cannot run in a test: it installs or tests, opens the full screen, or needs a second process.
ELSEWHERE = re.compile(
    r"python3 -m venv |pip install |uv tool |pipx |pytest|torchrun |shakegpt$|shakegpt (watch|stop|bench|config edit)\b"
)
STEPS = 4
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks() -> list[tuple[str, str]]:
    """Return the shell and Python blocks of README, in order, each with its language."""
    return BLOCK.findall(README.read_text())


def commands(block: str) -> list[str]:
    """Return the commands of a shell block, without comments and without what cannot run here."""
    lines = block.replace("\\\n", " ").splitlines()
    parts = [part.strip() for line in lines for part in line.split("  #")[0].split(" && ")]
    return [part for part in parts if part and not part.startswith("#") and not ELSEWHERE.search(part)]


SHIM = f"""#!{sys.executable}
# The command, with options that make a training cost a second: a later option overrides an earlier one.
import sys
from shakegpt.cli import main
if sys.argv[1] == "train":
    sys.argv += ["--steps", "{2 * STEPS}" if "--resume" in sys.argv else "{STEPS}"]
if sys.argv[1] == "sweep":
    sys.argv += ["--steps", "{STEPS}"]
main()
"""


@pytest.fixture
def run_shell(private_surroundings: Path, tmp_path: Path) -> Callable[[str], str]:
    """``run_shell("shakegpt runs list")``: what a command prints in a reader's checkout, with an environment in it."""
    checkout = tmp_path / "checkout"
    scripts = checkout / ".venv" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "shakegpt").write_text(SHIM)
    (scripts / "shakegpt").chmod(0o755)
    path = f"{scripts}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=checkout,
            env=environment,
            check=False,
            timeout=100,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    return run


@pytest.mark.timeout(900)  # some thirty processes, one after the other
def test_every_block_runs_in_order_in_a_fresh_home(private_surroundings: Path, run_shell: Callable[[str], str]) -> None:
    """On a machine without a network, and with nothing prepared."""
    assert not private_surroundings.exists()
    ran = 0
    for language, block in blocks():
        if language == "bash":
            for command in commands(block):
                run_shell(command)
                ran += 1
        else:
            code = re.sub(r"\bsteps=\d+", f"steps={STEPS}", block)
            assert run_shell(f"{sys.executable} -c {shlex.quote(code)}")
            ran += 1
    assert ran > 20
    assert {"coriolanus", "macbeth"} <= {run.name for run in Store(private_surroundings).runs()}


def test_it_has_its_commands() -> None:
    text = README.read_text()
    assert "<!-- the main job -->\n```bash\n" in text
    assert "<!-- the test command -->\n```bash\n" in text
    first = text.split("<!-- the main job -->\n```bash\n")[1].split("```")[0]
    assert commands(first) == [".venv/bin/shakegpt train"]


def test_its_pictures_show_anywhere_and_are_there() -> None:
    pictures = re.findall(r"!\[[^]]*]\(([^)]+)\)", README.read_text())
    assert pictures
    assert [picture for picture in pictures if not picture.startswith(PICTURES)] == []
    assert [picture for picture in pictures if not (ROOT / picture.removeprefix(PICTURES)).is_file()] == []


def test_its_links_work_outside_the_repository() -> None:
    links = re.findall(r"(?<!!)\[[^]]*]\(([^)]+)\)", README.read_text())
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_the_build_of_torch_for_cpus_is_one_that_shakegpt_takes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = next(need for need in project["dependencies"] if need.startswith("torch"))
    assert f"'{wanted}'" in README.read_text()


def test_its_table_of_presets_is_true() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", README.read_text().split("### Presets")[1], re.MULTILINE))
    for name, preset in PRESETS.items():
        model = preset.model_config(65)
        cells = [cell.strip() for cell in rows[name].split("|")]
        millions = f"{model.parameters / 1e6:.2g} M" if model.parameters < 1e7 else f"{model.parameters / 1e6:.0f} M"
        assert cells[:3] == [
            millions,
            f"{model.n_layer} / {model.n_head} / {model.d_model} / {model.d_ff}",
            f"{model.block_size:,}",
        ], name


def json_fields() -> dict[str, set[str]]:
    """Return the fields that README's table says a command's ``--json`` has."""
    table = README.read_text().split("| `--json` of | fields |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `([\w ]+)`[^|]* \| (.+) \|$", table, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", fields)) for name, fields in rows}


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("generate", ["--length", "3", "--prompt", "O"]),
        ("evaluate", ["macbeth"]),
        ("score", ["macbeth", "text.txt"]),
        ("runs list", []),
    ],
)
def test_the_fields_of_json_are_those_it_names(
    command: str, arguments: list[str], store: Store, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("To be")
    (result,) = objects(invoke(*command.split(), *arguments, "--json").stdout)
    if command == "runs list":
        (result,) = result["runs"]
    assert json_fields()[command] == set(result)


def test_the_fields_of_a_trainings_events_are_those_it_names(store: Store) -> None:
    log = store.run("macbeth").metrics_path.read_text()
    events = {values["event"]: set(values) - {"event"} for values in map(json.loads, log.splitlines())}
    named = json_fields()
    assert {"step", "evaluation", "saved", "finished"} <= set(named)
    for event in ("step", "evaluation", "saved", "finished"):
        assert named[event] == events[event], event


def test_it_names_every_command() -> None:
    from typer.main import get_command

    text = README.read_text()
    group = get_command(app)
    names = group.list_commands(None)  # type: ignore[attr-defined]
    assert [name for name in names if not re.search(rf"shakegpt {name}\b", text)] == []
