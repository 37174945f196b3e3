"""``config.toml``: the user's own defaults for the options of every command, and keys for the app.

    [train]
    preset = "baby"

    [generate]
    temperature = 0.7

    [keys]
    "app.quit" = "ctrl+q,f10"

What is given on the command line wins over a ``SHAKEGPT_*`` environment variable, that over this file, and this file
over what is built in. Nothing here imports torch, Textual or Typer.
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
    """What the file says."""

    path: Path
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Options by command: ``{"train": {"preset": "baby"}, "runs": {"list": {"json": True}}}``; names as in Python."""
    keymap: Mapping[str, str] = field(default_factory=dict)
    """The app's keys by the id of their binding, several separated by commas: ``{"app.quit": "ctrl+q,f10"}``."""


def load_settings(path: Path | None = None) -> Settings:
    """Read the file; one that is not there says nothing.

    Whether the commands and options in it exist is not known here: the command line checks them.

    Raises:
        UsageError: it cannot be read or is no TOML of this form; the message says where.
    """
    path = path or config_file()
    try:
        values = tomllib.loads(read_bounded(path.resolve(), _LARGEST_FILE).decode())
    except FileNotFoundError:
        return Settings(path=path)
    except UnicodeDecodeError as error:
        raise unusable(path, f"it is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02x}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise unusable(path, str(error) or "it is nested too deep") from None
    except (OSError, ValueError) as error:
        raise unusable(path, (error.strerror if isinstance(error, OSError) else None) or str(error)) from None
    keymap = {name: _keys(path, name, value) for name, value in _table(path, values.pop(KEYS, {})).items()}
    return Settings(path=path, defaults=_pythonic(values), keymap=keymap)


def load_keymap(path: Path | None = None) -> dict[str, str]:
    """Return the app's keys, as ``App.set_keymap`` takes them. Raises ``UsageError`` as ``load_settings``."""
    return dict(load_settings(path).keymap)


def _table(path: Path, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise unusable(path, f"{KEYS} is not a table; write it as [{KEYS}]")
    return value


def _keys(path: Path, name: str, value: object) -> str:
    keys = [key for key in (value if isinstance(value, list) else [value]) if isinstance(key, str) and key.strip()]
    if not keys or (isinstance(value, list) and len(keys) < len(value)):
        raise unusable(path, f'[{KEYS}] {name} must be a key such as "f10", or a list of keys')
    return ",".join(keys)


def _pythonic(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables with ``learning-rate`` spelled ``learning_rate``; both are understood."""
    return {
        name.replace("-", "_"): _pythonic(value) if isinstance(value, dict) else value for name, value in values.items()
    }


def unusable(path: Path, reason: str) -> UsageError:
    """Return the error of a file that cannot be used, for a reason such as ``it is not UTF-8``."""
    message = f"The settings file {path} cannot be used: {reason}; put it right with `shakegpt config edit`."
    return UsageError(escape_line(message))
