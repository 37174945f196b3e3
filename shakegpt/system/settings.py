"""``config.toml``: the user's own defaults for the options of every command, and keys for the app.

    [train]
    preset = "baby"

    [generate]
    temperature = 0.7

    [keys]
    "app.quit" = "ctrl+q,f10"

The command line wins over a ``SHAKEGPT_*`` environment variable, that over this file, and this file over the built-in
defaults. Nothing here imports torch, Textual or Typer.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shakegpt.errors import UsageError
from shakegpt.system.files import read_bounded
from shakegpt.system.paths import config_file
from shakegpt.system.text import escape_line

KEYS = "keys"
TEMPLATE = """\
# Defaults for shakegpt. A table is a command, a line in it is one of its options; `shakegpt COMMAND --help` lists them.
# What is given on the command line wins over a SHAKEGPT_* environment variable, and that wins over this file.

# [train]
# preset = "baby"
# corpus = "demo"
# learning_rate = 3e-4

# [generate]
# temperature = 0.7
# top_p = 0.9

# [runs.list]
# json = true

# The app's keys; `shakegpt config keys` lists their names.
# [keys]
# "app.quit" = "ctrl+q,f10"
"""
_LARGEST_FILE = 256 * 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The contents of the file."""

    path: Path
    defaults: dict[str, Any] = field(default_factory=dict)
    """Options by command: ``{"train": {"preset": "baby"}, "runs": {"list": {"json": True}}}``; names as in Python."""
    keymap: dict[str, str] = field(default_factory=dict)
    """The app's keys by the id of their binding, several separated by commas: ``{"app.quit": "ctrl+q,f10"}``."""


def load_settings() -> Settings:
    """Read the file; a missing one gives no settings.

    The command line checks whether the commands and options in it exist.

    Raises:
        UsageError: it cannot be read or is not TOML of this form; the message says where.
    """
    path = config_file()
    try:
        values = tomllib.loads(read_bounded(path.resolve(), _LARGEST_FILE).decode())
    except FileNotFoundError:
        return Settings(path=path)
    except (OSError, ValueError, RecursionError) as error:
        raise settings_error(path, _reason(error)) from None
    keymap = values.pop(KEYS, {})
    if not isinstance(keymap, dict):
        raise settings_error(path, f"{KEYS} is not a table; write it as [{KEYS}]")
    keymap = {action: _keys(path, action, value) for action, value in keymap.items()}
    return Settings(path=path, defaults=_with_underscores(values), keymap=keymap)


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"it is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _keys(path: Path, action: str, value: object) -> str:
    keys = [key for key in (value if isinstance(value, list) else [value]) if isinstance(key, str) and key.strip()]
    if not keys or (isinstance(value, list) and len(keys) < len(value)):
        raise settings_error(path, f'[{KEYS}] {action} must be a key such as "f10", or a list of keys')
    return ",".join(keys)


def _with_underscores(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables with ``learning-rate`` written ``learning_rate``; both are accepted."""
    return {
        name.replace("-", "_"): _with_underscores(value) if isinstance(value, dict) else value
        for name, value in values.items()
    }


def settings_error(path: Path, reason: str) -> UsageError:
    """Return the error for a file that cannot be used, with a reason such as ``it is not UTF-8``."""
    message = f"The settings file {path} cannot be used: {reason}; put it right with `shakegpt config edit`."
    return UsageError(escape_line(message))
