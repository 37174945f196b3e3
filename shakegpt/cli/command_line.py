"""How a command line is parsed: ``config.toml`` supplies the defaults, and a mistake is reported in one sentence."""

import sys
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperGroup

from shakegpt.cli.help import Group, acts_at_once
from shakegpt.cli.output import print_note, report_errors
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.system.settings import Settings, load_settings, settings_error

_SETTINGS_ERROR = "shakegpt.settings_error"


class CommandLine(Group):
    """The group of all commands, with ``config.toml`` for their defaults and errors in one sentence instead of a box.

    A settings file that cannot be used is reported when a command runs, not before: ``--help``, ``--version``,
    completion and ``shakegpt config``, which repairs it, keep working.
    """

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Parse the arguments, with the file's values as the defaults."""
        settings_error = None
        try:
            extra.setdefault("default_map", check_defaults(self, load_settings()))
        except ShakegptError as error:
            settings_error = error
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[_SETTINGS_ERROR] = settings_error
        return context

    def invoke(self, ctx: Any) -> Any:
        """Run the command; every error it raises is reported here."""
        with report_errors():
            return super().invoke(ctx)

    def main(self, args: Any = None, prog_name: str | None = None, *rest: Any, **options: Any) -> Any:
        """Run a command and end the process with its exit code."""
        options["standalone_mode"] = False
        try:
            code = super().main(args, prog_name, *rest, **options)
        except typer.Abort:
            sys.exit(1)
        except typer.TyperException as error:
            sys.exit(_report(error))
        sys.exit(code or 0)


def _report(error: Any) -> int:
    """Print what is wrong with a command line; return the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
    else:
        message = " ".join(error.format_message().replace("Value error, ", "").split())
        command = error.ctx.command_path if getattr(error, "ctx", None) else "shakegpt"
        print_note(f"shakegpt: {message}{'' if message[-1:] in '.?!' else '.'} See `{command} --help`.")
    return int(error.exit_code)


def require_usable_settings(context: typer.Context) -> None:
    """Raise what is wrong with ``config.toml``, unless the command is ``shakegpt config``, which repairs it."""
    error = context.meta.get(_SETTINGS_ERROR)
    if error is not None and context.invoked_subcommand != "config":
        raise error


def is_typed(context: typer.Context, parameter: str) -> bool:
    """Return whether a parameter is on the command line: no default, environment variable or ``config.toml``."""
    source = context.get_parameter_source(parameter)
    return source is not None and source.name == "COMMANDLINE"


def choose_given(context: typer.Context, name: str, *, argument: str | None, option: str | None) -> str | None:
    """Return what was given as an argument, or by the option ``--NAME`` that means the same.

    The argument wins over the option's environment variable and its default in ``config.toml``.

    Raises:
        UsageError: both are on the command line.
    """
    if argument is None:
        return option
    if is_typed(context, name):
        raise UsageError(f"The {name} was given twice, as an argument and by --{name}; give it once.")
    return argument


def check_defaults(group: TyperGroup, settings: Settings) -> dict[str, Any]:
    """Return the file's defaults by command and parameter, in the form of Click's ``default_map``.

    Raises:
        UsageError: a command or option is unknown, or a value is of the wrong type.
    """
    return _check_table(settings, group, settings.defaults, "")


def _check_table(settings: Settings, command: Any, table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    commands = {name.replace("-", "_"): inner for name, inner in getattr(command, "commands", {}).items()}
    options = {
        name.lstrip("-").replace("-", "_"): parameter
        for parameter in command.params
        for name in parameter.opts
        if name.startswith("--") and not acts_at_once(parameter)
    }
    checked: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict) and name in commands:
            inner = commands[name]
            checked[inner.name] = _check_table(settings, inner, value, f"{prefix}{inner.name}.")
        elif name in commands:
            raise settings_error(settings.path, f"{prefix}{name} is a command, written as a table: [{prefix}{name}]")
        elif isinstance(value, dict) or name not in options:
            raise _unknown(settings, name, prefix, commands if isinstance(value, dict) else options)
        else:
            parameter = options[name]
            if getattr(parameter, "multiple", False) and isinstance(value, str):
                value = [value]
            try:
                parameter.process_value(typer.Context(command), value)
            except typer.BadParameter as error:
                reason = error.message.removeprefix("Value error, ").rstrip(".")
                raise settings_error(settings.path, f"{prefix}{name} = {value!r}: {reason}") from None
            checked[parameter.name] = value
    return checked


def _unknown(settings: Settings, name: str, prefix: str, known: Mapping[str, Any]) -> UsageError:
    table = f"in [{prefix.removesuffix('.')}]" if prefix else "at the top"
    hint = suggest(name, known, f"there are {', '.join(known) or 'none'}")
    return settings_error(settings.path, f"there is no {name} {table} ({hint})")


def suggest(name: str, known: Mapping[str, Any], otherwise: str) -> str:
    """Return a question with the known name closest to a mistyped one; where none is close, ``otherwise``."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else otherwise
