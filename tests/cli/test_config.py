"""``config.toml`` and the command line: what wins over it, what is wrong in it, and the commands around it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.system.paths import config_file
from shakegpt.system.settings import TEMPLATE, load_settings

WriteConfig = Callable[[str | bytes], Path]

WRONG = {
    "no TOML": ("x", "Expected '='"),
    "not UTF-8": (b"[train]\npreset = '\xff'\n", "byte 18 is 0xff"),
    "too large": (b"#" * 300_000, "more than"),
    "unknown table": ("[trian]\nsteps = 3", "no trian at the top (did you mean train?)"),
    "unknown option": ("[train]\nprest = 'nano'", "no prest in [train] (did you mean preset?)"),
    "unknown inner table": ("[runs.lsit]\njson = true", "no lsit in [runs] (did you mean list?)"),
    "unlike anything": ("[train]\nqqq = 1", "no qqq in [train] (there are preset,"),
    "a value for a command": ("train = 3", "train is a command, written as a table: [train]"),
    "text for a number": ("[train]\nsteps = 'many'", "train.steps = 'many'"),
    "a list for a number": ("[generate]\ntemperature = [1]", "generate.temperature = [1]"),
    "no such choice": (
        "[train]\ndevice = 'tpu'",
        "The device must be auto, cpu, cuda, mps, or one GPU from cuda:0 to cuda:15, not 'tpu'",
    ),
    "keys no table": ("keys = 3", "keys is not a table"),
    "a key no text": ("[keys]\n'app.quit' = 3", "[keys] app.quit must be a key"),
    "no keys": ("[keys]\n'app.quit' = []", "[keys] app.quit must be a key"),
}


Invoke = Callable[..., Any]


def test_without_a_file_there_is_nothing_to_show(private_surroundings: Path, invoke: Invoke) -> None:
    assert invoke("config", "path").stdout == f"{config_file()}\n"
    done = invoke("config", "show")
    assert (done.exit_code, done.stdout) == (0, "")


def test_the_template_is_valid_with_and_without_its_comments(write_config: WriteConfig, invoke: Invoke) -> None:
    write_config(TEMPLATE)
    assert load_settings().defaults == {}
    lines = [line.removeprefix("# ") for line in TEMPLATE.splitlines()]
    write_config("\n".join(line for line in lines if line.startswith("[") or " = " in line))
    shown = invoke("config", "show")
    assert shown.exit_code == 0, shown.stderr
    assert "train.preset = baby" in shown.stdout
    assert load_settings().keymap == {"app.quit": "ctrl+q,f10"}


@pytest.mark.parametrize("case", WRONG)
def test_an_unusable_file_is_reported_in_one_sentence(case: str, write_config: WriteConfig, invoke: Invoke) -> None:
    text, message = WRONG[case]
    write_config(text)
    for command in (["runs", "list"], ["config", "show"]):
        done = invoke(*command)
        assert done.exit_code == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
        assert "shakegpt config edit" in done.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["config", "path"], ["config", "--help"]])
def test_an_unusable_file_leaves_help_and_the_config_commands_working(
    arguments: list[str], write_config: WriteConfig, invoke: Invoke
) -> None:
    write_config("[")
    assert invoke(*arguments).exit_code == 0


def generated(invoke: Invoke, *arguments: str) -> int:
    done = invoke("generate", "--checkpoint", "macbeth", "--json", "--prompt", "A", *arguments)
    assert done.exit_code == 0, done.stderr
    return int(json.loads(done.stdout)["characters"])


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(
    store: Store, write_config: WriteConfig, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert generated(invoke) == 400
    write_config("[generate]\nlength = 3\n")
    assert generated(invoke) == 3
    monkeypatch.setenv("SHAKEGPT_GENERATE_LENGTH", "5")
    assert generated(invoke) == 5
    assert generated(invoke, "--length", "7") == 7


def test_every_option_has_a_variable_named_after_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """SHAKEGPT, the command, the option: none is forgotten, and none has another name."""
    import typer

    from shakegpt.cli.app import app

    def options(command: Any, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
        inner = [row for name, sub in getattr(command, "commands", {}).items() for row in options(sub, (*path, name))]
        own = [parameter for parameter in command.params if any(name.startswith("--") for name in parameter.opts)]
        return inner + [(path, parameter) for parameter in own]

    root = typer.main.get_command(app)
    named = [(path, option) for path, option in options(root, ()) if path]
    assert len(named) > 50
    for path, option in named:
        spelled = next(name for name in option.opts if name.startswith("--"))[2:].replace("-", "_").upper()
        variable = "_".join(("SHAKEGPT", *(part.upper().replace("-", "_") for part in path), spelled))
        context = None
        for depth in range(len(path) + 1):
            command = root
            for part in path[:depth]:
                command = command.commands[part]  # type: ignore[attr-defined]
            settings = {"auto_envvar_prefix": "SHAKEGPT"} if context is None else {}
            context = typer.Context(command, info_name=path[depth - 1] if depth else None, parent=context, **settings)
        monkeypatch.setenv(variable, "1")
        assert option.resolve_envvar_value(context) == "1", variable


def test_the_file_sets_the_options_of_a_new_run_but_not_of_a_resumed_one(
    macbeth: Run, write_config: WriteConfig, invoke: Callable[..., Any]
) -> None:
    write_config(
        '[train]\npreset = "nano"\ncorpus = "demo"\nlearning_rate = 0.004\nsteps = 3\nrun = "hamlet"\neval_every = 2'
    )
    fresh = invoke("train", "--json")
    assert fresh.exit_code == 0, fresh.stderr
    record = Store(macbeth.path.parent.parent).run("hamlet").metadata
    assert (record.preset, record.training.learning_rate, record.training.steps) == ("nano", 0.004, 3)
    resumed = invoke("train", "--resume", "macbeth@20", "--steps", "22", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    started, *events = map(json.loads, resumed.stdout.splitlines())
    assert started["steps"] == 22
    warnings = [event["message"] for event in events if event["event"] == "warning"]
    assert not any("learning_rate" in message for message in warnings)
    # How often a session evaluates may change on resuming, so that default holds.
    assert [event["step"] for event in events if event["event"] == "evaluation"] == [22]


def test_show_lists_what_is_set(write_config: WriteConfig, invoke: Invoke) -> None:
    write_config('on_hangup = "save"\n[train]\npreset = "nano"\n[runs.list]\njson = true\n[keys]\n"app.quit" = "f10"')
    assert invoke("config", "show").stdout.splitlines() == [
        "on_hangup = save",
        "train.preset = nano",
        "runs.list.json = True",
        "keys.app.quit = f10",
    ]
    assert json.loads(invoke("config", "show", "--json").stdout)["keys"] == {"app.quit": "f10"}


def test_keys_are_listed_with_those_chosen(write_config: WriteConfig, invoke: Invoke) -> None:
    write_config('[keys]\n"app.quit" = "f10"')
    listed = json.loads(invoke("config", "keys", "--json").stdout)
    assert listed["app.quit"]["keys"] == "f10"
    assert listed["app.help"]["keys"].split(",")[0] == "question_mark"
    assert len(listed) > 50
    lines = invoke("config", "keys").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(listed)


def test_an_unknown_key_is_reported(write_config: WriteConfig, invoke: Invoke) -> None:
    write_config('[keys]\n"app.qiut" = "f10"')
    done = invoke("config", "show")
    assert done.exit_code == 2
    assert "there is no key app.qiut in [keys] (did you mean app.quit?)" in done.stderr


def test_edit_begins_with_the_template_and_checks_what_was_saved(
    private_surroundings: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editor = tmp_path / "an editor"
    editor.write_text("#!/bin/sh\nprintf '[train]\\nsteps = 9\\n' >> \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", f"'{editor}'")
    assert invoke("config", "edit").exit_code == 0
    assert config_file().read_text() == TEMPLATE + "[train]\nsteps = 9\n"
    done = invoke("config", "edit")  # the table is there twice now
    assert done.exit_code == 2
    assert "cannot be used" in done.stderr


@pytest.mark.parametrize(
    ("editor", "message"), [("no-such-editor", "does not start"), ("false", "exit code 1"), ("'", "start")]
)
def test_an_editor_that_fails_is_reported(
    editor: str, message: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", editor)
    done = invoke("config", "edit")
    assert done.exit_code in (1, 2)
    assert message in done.stderr


def test_no_editor_and_no_terminal_is_reported(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    done = invoke("config", "edit")
    assert done.exit_code == 2
    assert "set $EDITOR" in done.stderr


def test_help_says_what_wins(invoke: Invoke) -> None:
    text = " ".join(invoke("config", "--help").stdout.split())
    assert "The command line wins over a SHAKEGPT_* environment variable" in text
    assert "that over config.toml, and that over the built-in default" in text
