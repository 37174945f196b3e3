"""``train --notify``: what it takes, and what a command is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from shakegpt.cli.notify import check_notify
from shakegpt.errors import UsageError
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, one_sentence
from tests.conftest import WriteConfig

NANO = ["train", "--preset", "nano", "--corpus", "demo", "--steps", "2", "--run", "macbeth", "--device", "cpu"]


@pytest.mark.parametrize("place", ["the command line", "config.toml", "the environment"])
def test_a_training_tells_a_command_of_its_end(
    place: str, invoke: Invoke, write_config: WriteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = f"cat > {tmp_path / 'told'}"
    if place == "config.toml":
        write_config(f"[train]\nnotify = {json.dumps(command)}\n")
    elif place == "the environment":
        monkeypatch.setenv("SHAKEGPT_TRAIN_NOTIFY", command)
    result = invoke(*NANO, *(["--notify", command] if place == "the command line" else []))
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "told").read_text())
    assert (told["event"], told["run"], told["step"]) == ("finished", "macbeth", 2)
    assert "warning" not in result.stderr


def test_a_blank_line_in_the_environment_is_stronger_than_the_file(
    invoke: Invoke, write_config: WriteConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(f"[train]\nnotify = {json.dumps(f'touch {tmp_path}/told')}\n")
    monkeypatch.setenv("SHAKEGPT_TRAIN_NOTIFY", "\n")  # as a sweep has it for its children
    assert invoke(*NANO).exit_code == 0
    assert not (tmp_path / "told").exists()


def test_a_training_warns_of_a_command_that_fails(invoke: Invoke) -> None:
    result = invoke(*NANO, "--notify", "exit 7")
    assert result.exit_code == 0
    assert "The command of --notify, 'exit 7', failed with 7." in result.stderr


@pytest.mark.parametrize("way", ["", "bel", "no-such-command"])
def test_what_is_no_command_is_said_before_the_training(invoke: Invoke, way: str) -> None:
    assert "bell, desktop or a command" in one_sentence(invoke("train", "--notify", way), 2)


@pytest.mark.parametrize("way", ["bell", "desktop", "true", "echo $SHAKEGPT_RUN | cat"])
def test_what_is_one_is_taken(way: str) -> None:
    assert check_notify([way]) == [way]
    with pytest.raises(UsageError):
        check_notify([way, " "])


@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("arguments", [["watch", "macbeth"], []])
def test_the_app_is_told_how_to_tell(
    arguments: list[str],
    typed: bool,
    store: Store,
    invoke: Invoke,
    write_config: WriteConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Any] = []
    for module in ("watch", "app"):
        monkeypatch.setattr(f"shakegpt.cli.{module}.open_full_screen", lambda notify, **_: opened.append(notify))
    if not typed:
        write_config('notify = ["bell", "true | cat"]\n[watch]\nnotify = ["bell", "true | cat"]\n')
    result = invoke(*arguments, *(["--notify", "bell", "--notify", "true | cat"] if typed else []))
    assert result.exit_code == 0, result.output
    assert opened == [["bell", "true | cat"]]
