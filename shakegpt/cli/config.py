"""``config.toml`` behind the command line, and ``shakegpt config``."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperGroup

from shakegpt.cli.options import Json
from shakegpt.cli.output import note, reports_errors, say, say_json
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.system.paths import config_file
from shakegpt.system.settings import KEYS, TEMPLATE, Settings, load_settings, unusable
from shakegpt.system.text import escape_line

PRECEDENCE = (
    "The command line wins over a SHAKEGPT_* environment variable (SHAKEGPT_TRAIN_STEPS is --steps of train), that "
    "over config.toml, and that over what is built in."
)
_TROUBLE = "shakegpt.system.settings.trouble"
_COMMAND = "config"

app = typer.Typer(help="Your own defaults and keys, in config.toml.", epilog=PRECEDENCE, no_args_is_help=True)


class CommandLine(TyperGroup):
    """The command line with ``config.toml`` for its defaults; what is given wrong is told in a sentence, not in a box.

    A file that cannot be used is told of when a command runs, not before: ``--help``, ``--version``, completion and
    ``shakegpt config``, which mends it, go on working.
    """

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments, with the file's defaults behind them."""
        trouble = None
        try:
            extra.setdefault("default_map", check_defaults(self, load_settings()))
        except ShakegptError as error:
            trouble = error
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[_TROUBLE] = trouble
        return context

    def main(self, args: Any = None, prog_name: str | None = None, *rest: Any, **options: Any) -> Any:
        """Run a command and end the process with its exit code."""
        options["standalone_mode"] = False
        try:
            code = super().main(args, prog_name, *rest, **options)
        except _MISTAKE as error:
            sys.exit(_tell(error))
        except typer.Abort:
            sys.exit(1)
        sys.exit(code or 0)


# What Typer raises for a command line it cannot parse; newer versions bring their own copy of Click's classes.
_MISTAKE: Any = typer.BadParameter.__mro__[2]


def _tell(error: Any) -> int:
    """Tell of a mistake in the command line; return the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        message = " ".join(error.format_message().replace("Value error, ", "").split())
        command = error.ctx.command_path if getattr(error, "ctx", None) else "shakegpt"
        note(f"shakegpt: {message}{'' if message[-1:] in '.?!' else '.'} See `{command} --help`.")
    return int(error.exit_code)


def require_usable_settings(context: typer.Context) -> None:
    """Raise what is wrong with ``config.toml``, unless the command is the one that mends it."""
    trouble = context.meta.get(_TROUBLE)
    if trouble is not None and context.invoked_subcommand != _COMMAND:
        raise trouble


def is_from_file(context: typer.Context, parameter: str) -> bool:
    """Say whether the value of a command's parameter comes from ``config.toml``."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "DEFAULT_MAP"


def check_defaults(group: TyperGroup, settings: Settings) -> dict[str, Any]:
    """Return the file's defaults by command and parameter, as the command line takes them.

    Raises:
        UsageError: a command or option is unknown, or a value is not of its kind.
    """
    return _check_table(settings, group, typer.Context(group), settings.defaults, "")


def _check_table(
    settings: Settings, command: Any, context: typer.Context, table: Mapping[str, Any], where: str
) -> dict[str, Any]:
    commands: Mapping[str, Any] = getattr(command, "commands", {})
    options = {
        name.lstrip("-").replace("-", "_"): parameter
        for parameter in command.params
        for name in parameter.opts
        if name.startswith("--")
    }
    checked: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict) and name in commands:
            inner = commands[name]
            checked[name] = _check_table(settings, inner, typer.Context(inner), value, f"{where}{name}.")
        elif name in commands:
            raise unusable(settings.path, f"{where}{name} is a command, written as a table: [{where}{name}]")
        elif isinstance(value, dict) or name not in options:
            raise _unknown(settings, name, where, commands if isinstance(value, dict) else options)
        else:
            parameter = options[name]
            try:
                parameter.process_value(context, value)
            except typer.BadParameter as error:
                reason = error.message.removeprefix("Value error, ").rstrip(".")
                raise unusable(settings.path, f"{where}{name} = {value!r}: {reason}") from None
            checked[parameter.name] = value
    return checked


def _unknown(settings: Settings, name: str, where: str, known: Mapping[str, Any]) -> UsageError:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known) or 'none'}"
    place = f"in [{where.removesuffix('.')}]" if where else "at the top"
    return unusable(settings.path, f"there is no {name} {place} ({hint})")


# The commands


@app.command()
@reports_errors
def path() -> None:
    """Print where the settings file is, whether there is one or not."""
    say(str(config_file()))


@app.command(epilog=PRECEDENCE)
@reports_errors
def show(context: typer.Context, json: Json = False) -> None:
    """Show what the settings file sets, after checking it."""
    settings = _load_checked(context)
    if json:
        say_json({"path": str(settings.path), "defaults": settings.defaults, KEYS: dict(settings.keymap)})
        return
    rows = [*_rows(settings.defaults), *(f"{KEYS}.{name} = {value}" for name, value in settings.keymap.items())]
    if not rows:
        note(f"{settings.path} sets nothing yet; begin with `shakegpt config edit`.")
    for row in rows:
        say(escape_line(row))


def _rows(table: Mapping[str, Any], where: str = "") -> list[str]:
    rows = []
    for name, value in table.items():
        rows += _rows(value, f"{where}{name}.") if isinstance(value, dict) else [f"{where}{name} = {value}"]
    return rows


@app.command()
@reports_errors
def edit(context: typer.Context) -> None:
    """Open the settings file in $VISUAL or $EDITOR, and check it afterwards."""
    target = config_file()
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(TEMPLATE, encoding="utf-8")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        if not sys.stdin.isatty():
            raise UsageError(f"No editor is named: set $EDITOR, or change {target} yourself.")
        editor = "vi"
    try:
        code = subprocess.run([*shlex.split(editor), str(target)], check=False).returncode
    except (OSError, ValueError) as error:
        raise UsageError(f"The editor {editor} does not start ({error}); set $EDITOR to one that does.") from None
    if code:
        raise ShakegptError(f"The editor {editor} ended with {code}; {target} may be unchanged.")
    _load_checked(context)
    note(f"{target} is in order.")


@app.command()
@reports_errors
def keys(json: Json = False) -> None:
    """List the app's keys, by the names that [keys] in the settings file gives them others under."""
    from shakegpt.tui.dialogs.help import known_bindings

    chosen = load_settings().keymap
    rows = {name: (chosen.get(name, binding.key), binding) for name, binding in known_bindings().items()}
    if json:
        say_json({name: {"keys": held, "what": binding.description} for name, (held, binding) in rows.items()})
        return
    for name, (held, binding) in rows.items():
        say(f"{name:<22} {held:<28} {binding.tooltip or binding.description}".rstrip())


def _load_checked(context: typer.Context) -> Settings:
    """Return what the file says, after checking every name in it, those of keys too."""
    settings = load_settings()
    check_defaults(context.find_root().command, settings)  # type: ignore[arg-type]
    if settings.keymap:
        from shakegpt.tui.dialogs.help import known_bindings

        known = known_bindings()
        for name in settings.keymap:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f"did you mean {close[0]}?" if close else "`shakegpt config keys` lists them"
                raise unusable(settings.path, f"there is no key {name} in [{KEYS}] ({hint})")
    return settings
