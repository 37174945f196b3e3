"""``shakegpt config``: the settings file, and the keys that it can change."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import typer

from shakegpt.cli.command_line import check_defaults, suggest
from shakegpt.cli.help import Command, Group
from shakegpt.cli.options import Json
from shakegpt.cli.output import print_json, print_note
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.system.paths import config_file
from shakegpt.system.settings import KEYS, TEMPLATE, Settings, load_settings, settings_error
from shakegpt.system.text import escape_line

PRECEDENCE = (
    "The command line wins over a SHAKEGPT_* environment variable (SHAKEGPT_TRAIN_STEPS is --steps of train), that "
    "over config.toml, and that over the built-in default."
)

app = typer.Typer(cls=Group, help=f"Your own defaults and keys, in config.toml.\n\n{PRECEDENCE}", no_args_is_help=True)


@app.command(cls=Command)
def path() -> None:
    """Print the path of the settings file, whether it exists or not."""
    print(str(config_file()))


@app.command(cls=Command)
def show(context: typer.Context, json: Json = False) -> None:
    """Check the settings file, and show what it sets."""
    settings = _load_checked(context)
    if json:
        print_json({"path": str(settings.path), "defaults": settings.defaults, KEYS: dict(settings.keymap)})
        return
    lines = [*_lines(settings.defaults), *(f"{KEYS}.{name} = {value}" for name, value in settings.keymap.items())]
    if not lines:
        print_note(f"{settings.path} sets nothing yet; begin with `shakegpt config edit`.")
    for line in lines:
        print(escape_line(line))


def _lines(table: Mapping[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for name, value in table.items():
        lines += _lines(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name} = {value}"]
    return lines


@app.command(cls=Command)
def edit(context: typer.Context) -> None:
    """Open the settings file in $VISUAL or $EDITOR, and check it afterwards."""
    target = config_file()
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(TEMPLATE, encoding="utf-8")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        if not sys.stdin.isatty():
            raise UsageError(f"There is no editor to start: set $EDITOR, or edit {target} yourself.")
        editor = "vi"
    try:
        code = subprocess.run([*shlex.split(editor), str(target)], check=False).returncode
    except (OSError, ValueError) as error:
        raise UsageError(f"The editor {editor} does not start ({error}); set $EDITOR to one that does.") from None
    if code:
        raise ShakegptError(f"The editor {editor} ended with exit code {code}; {target} may be unchanged.")
    _load_checked(context)
    print_note(f"{target} is valid.")


@app.command(cls=Command)
def keys(json: Json = False) -> None:
    """List the app's keys with the names that [keys] in the settings file knows them by."""
    from shakegpt.tui.dialogs.help import known_bindings

    keymap = load_settings().keymap
    rows = {name: (keymap.get(name, binding.key), binding) for name, binding in known_bindings().items()}
    if json:
        print_json({name: {"keys": pressed, "what": binding.description} for name, (pressed, binding) in rows.items()})
        return
    for name, (pressed, binding) in rows.items():
        print(f"{name:<22} {pressed:<28} {binding.tooltip or binding.description}".rstrip())


def _load_checked(context: typer.Context) -> Settings:
    """Load the settings file and check every name in it, those of keys too."""
    settings = load_settings()
    check_defaults(context.find_root().command, settings)  # type: ignore[arg-type]
    if settings.keymap:
        from shakegpt.tui.dialogs.help import known_bindings

        known = known_bindings()
        for name in settings.keymap:
            if name not in known:
                hint = suggest(name, known, "`shakegpt config keys` lists them")
                raise settings_error(settings.path, f"there is no key {name} in [{KEYS}] ({hint})")
    return settings
