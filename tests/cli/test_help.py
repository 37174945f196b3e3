"""``--help`` of every command at 80 columns, and the options that act at once."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from shakegpt import __version__
from shakegpt.cli.app import app
from shakegpt.cli.examples import EXAMPLES
from tests.cli.cli_results import Invoke
from tests.conftest import WriteConfig

ROOT: Any = typer.main.get_command(app)


def commands(command: Any = ROOT, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every command and group by its path."""
    found = {path: command}
    for name, inner in getattr(command, "commands", {}).items():
        found |= commands(inner, (*path, name))
    return found


COMMANDS = commands()
SHOWN = [path for path, command in COMMANDS.items() if not command.hidden]


@pytest.mark.parametrize("path", SHOWN, ids=" ".join)
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_fits_the_terminal_and_cuts_no_word(
    path: tuple[str, ...], columns: int, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = invoke(*path, "--help")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    if columns >= 80:
        assert [line for line in lines if len(line) > min(columns, 100)] == []
    assert "…" not in done.stdout
    text = " ".join(done.stdout.split())
    for parameter in COMMANDS[path].params:
        assert parameter.help
        assert " ".join(parameter.help.split()) in text
    assert " ".join(COMMANDS[path].help.split()) in text


@pytest.mark.parametrize("path", SHOWN, ids=" ".join)
def test_help_names_the_environment_once_at_the_end(path: tuple[str, ...], invoke: Invoke) -> None:
    text = invoke(*path, "--help").stdout
    body, _, end = text.rpartition("\n\n")
    if path and not hasattr(COMMANDS[path], "commands") and any(option.name != "json" for option in options(path)):
        assert end.startswith("Options can also be set by environment variables")
        assert end.count(f"SHAKEGPT_{'_'.join(path).upper().replace('-', '_')}_") == 1
        assert "SHAKEGPT_" not in body


def options(path: tuple[str, ...]) -> list[Any]:
    return [parameter for parameter in COMMANDS[path].params if parameter.param_type_name == "option"]


def test_every_option_that_takes_a_value_says_what_it_takes() -> None:
    without = [
        (path, option.opts)
        for path in COMMANDS
        for option in options(path)
        if not option.is_flag and not option.metavar
    ]
    assert without == []


def test_the_options_of_train_are_in_groups_with_the_defaults_of_the_preset(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = invoke("train", "--help").stdout
    titles = re.findall(r"^(\w.*)$", text, re.MULTILINE)
    groups = ["Model", "Optimization", "Evaluation and saving", "Machine", "Output", "Examples"]
    assert [title for title in titles if title in groups] == groups
    assert "[mini: 2e-3; also --lr]" in text
    assert "[mini: 14000]" in text
    assert "[default: auto]" in text


def test_help_shows_the_defaults_of_the_settings_file(write_config: WriteConfig, invoke: Invoke) -> None:
    write_config("[train]\nlearning_rate = 0.004\n[generate]\ntemperature = 0.5")
    assert "[config.toml: 0.004; also --lr]" in " ".join(invoke("train", "--help").stdout.split())
    assert "[config.toml: 0.5]" in invoke("generate", "--help").stdout


def test_text_in_brackets_is_not_taken_for_markup(invoke: Invoke) -> None:
    assert "[keys]" in invoke("config", "keys", "--help").stdout
    assert "[keys]" in " ".join(invoke("config", "--help").stdout.split())


def test_every_command_has_an_example() -> None:
    assert {" ".join(("shakegpt", *path)) for path in SHOWN} == set(EXAMPLES)


@pytest.mark.parametrize("example", [example for rows in EXAMPLES.values() for example, _ in rows])
def test_an_example_can_be_typed(example: str) -> None:
    words = re.sub(r".*\| | > .*", "", example)
    arguments = [word for word in shlex.split(words) if not word.startswith("EDITOR=")][1:]
    context = ROOT.make_context("shakegpt", arguments)
    command = ROOT
    while rest := [*context._protected_args, *context.args]:
        name, command, arguments = command.resolve_command(context, rest)
        context = command.make_context(name, arguments, parent=context)
        if not hasattr(command, "commands"):
            assert context.args == []
            break


@pytest.mark.parametrize("name", ["VERSION", "INSTALL_COMPLETION", "SHOW_COMPLETION", "HELP", "RUNS_LIST_HELP"])
def test_an_option_that_acts_at_once_has_no_environment_variable(
    name: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(f"SHAKEGPT_{name}", "1")
    done = invoke("runs", "list", "--json")
    assert (done.exit_code, done.stdout) == (0, '{"runs": []}\n')


def test_an_option_that_acts_at_once_cannot_be_set_in_the_file(write_config: WriteConfig, invoke: Invoke) -> None:
    write_config("version = true")
    done = invoke("runs", "list")
    assert done.exit_code == 2
    assert "there is no version at the top" in done.stderr
    assert invoke("--version").stdout == f"shakegpt {__version__}\n"
