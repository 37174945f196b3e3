"""``config.toml`` as it is read, whatever the command line makes of it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shakegpt.errors import UsageError
from shakegpt.system.paths import config_file
from shakegpt.system.settings import load_settings

WriteConfig = Callable[[str | bytes], Path]


def test_no_file_gives_no_settings(private_surroundings: Path) -> None:
    settings = load_settings()
    assert (settings.defaults, settings.keymap) == ({}, {})


def test_keys_are_joined_by_commas(write_config: WriteConfig) -> None:
    write_config('[keys]\n"app.quit" = ["ctrl+q", "f10"]\n"app.help" = "f1"')
    assert load_settings().keymap == {"app.quit": "ctrl+q,f10", "app.help": "f1"}


def test_a_pipe_in_its_place_is_an_error(private_surroundings: Path) -> None:
    config_file().parent.mkdir(parents=True)
    os.mkfifo(config_file())
    with pytest.raises(UsageError, match="not a regular file"):
        load_settings()


def test_a_link_to_the_file_is_followed(write_config: WriteConfig, tmp_path: Path) -> None:
    """Dotfiles are often links into a repository."""
    path = write_config("[train]\npreset = 'nano'")
    path.rename(tmp_path / "dotfile.toml")
    path.symlink_to(tmp_path / "dotfile.toml")
    assert load_settings().defaults == {"train": {"preset": "nano"}}


def test_dashes_and_underscores_are_both_accepted(write_config: WriteConfig) -> None:
    write_config("[train]\nlearning-rate = 0.1\nbatch_size = 4")
    assert load_settings().defaults == {"train": {"learning_rate": 0.1, "batch_size": 4}}


def test_reading_the_file_imports_neither_torch_nor_textual() -> None:
    code = (
        "import sys; from shakegpt.system.settings import load_settings; load_settings()\n"
        "assert not {'torch', 'textual', 'typer'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
