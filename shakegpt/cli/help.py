"""``--help``: arguments and options with their defaults, in groups; examples; and where else an option can be set.

Plain text of the terminal's width, without Rich: no text is markup, and no word is cut.
"""

import os
import re
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from shakegpt.cli.examples import EXAMPLES

MODEL = "Model"
OPTIMIZATION = "Optimization"
SAMPLING = "Sampling"
EVALUATION_AND_SAVING = "Evaluation and saving"
MACHINE = "Machine"
OUTPUT = "Output"
SWEEP = "Sweep"
_OPTIONS = "Options"
_GROUPS = (SWEEP, MODEL, OPTIMIZATION, SAMPLING, EVALUATION_AND_SAVING, MACHINE, _OPTIONS, OUTPUT)
"""The groups of options, in the order of the help texts."""

_FEW = 10
"""Options that are listed without groups."""
_NAMES_WIDTH = 26
_NARROW = 60
_WIDEST = 100
_VARIABLES = (
    ("SHAKEGPT_HOME", "The folder of runs and saved texts."),
    ("SHAKEGPT_CORPUS_PATH", "Folders of texts that --corpus finds by name."),
    ("SHAKEGPT_COMMAND_OPTION", "An option of a command: SHAKEGPT_TRAIN_STEPS is train's --steps."),
    ("SHAKEGPT_DEBUG=1", "Shows where an error came from."),
)

_WHOLE = re.compile(r"`[^`]{1,40}`|\[[^\]]{1,26}\]")
_HARD_SPACE = "\N{NO-BREAK SPACE}"

Row = tuple[str, str]


def acts_at_once(parameter: Any) -> bool:
    """Return whether an option acts and ends the command, as ``--version`` does, instead of setting a value."""
    return bool(parameter.is_eager or not parameter.expose_value)


def _keep_from_environment(parameters: list[Any]) -> list[Any]:
    """Let no environment variable set an option that acts at once."""
    for parameter in parameters:
        if acts_at_once(parameter):
            parameter.allow_from_autoenv = False
    return parameters


class Command(TyperCommand):
    """A command whose help is written here."""

    def get_params(self, ctx: Any) -> Any:
        """Return the arguments and options."""
        return _keep_from_environment(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(describe_command(self, ctx))


class Group(TyperGroup):
    """A group of commands whose help is written here."""

    def get_params(self, ctx: Any) -> Any:
        """Return the arguments and options."""
        return _keep_from_environment(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help."""
        formatter.write(describe_command(self, ctx))


def describe_command(command: Any, context: Any) -> str:
    """Return the help of a command or a group."""
    width = min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)
    parameters = [parameter for parameter in command.get_params(context) if not parameter.hidden]
    arguments = [parameter for parameter in parameters if parameter.param_type_name == "argument"]
    options = [parameter for parameter in parameters if parameter.param_type_name == "option"]
    path = context.command_path
    commands = getattr(command, "commands", {})

    pieces = [path, "[OPTIONS]"] + [_usage(argument) for argument in arguments]
    if commands:
        pieces.append("[COMMAND]" if command.invoke_without_command else "COMMAND")
    lines = [f"{_bold('Usage:')} {' '.join(pieces)}", ""]
    for paragraph in (command.help or "").split("\n\n"):
        lines += [*_wrap(paragraph, width), ""]

    lines += _layout(_group_commands(commands), width)
    sections = {"Arguments": [(_bare_name(argument), _describe(argument, context)) for argument in arguments]}
    lines += _layout(sections | _group_options(options, context), width)
    if context.parent is None:
        lines += _layout({"Environment variables": list(_VARIABLES)}, width)
    lines += _layout_examples(EXAMPLES.get(path, ()), width)
    settable = [option for option in options if not acts_at_once(option) and option.name != "json"]
    if settable and context.parent is not None:
        lines += _wrap(_where_else(settable, context), width)
    return "\n".join(lines).rstrip("\n") + "\n"


def _group_commands(commands: Mapping[str, Any]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for name, command in commands.items():
        if not command.hidden:
            summary = (command.help or "").split("\n\n")[0].split(". ")[0].rstrip(".")
            groups.setdefault(command.rich_help_panel or "Commands", []).append((name, summary))
    return groups


def _group_options(options: list[Any], context: Any) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for option in options:
        group = (len(options) > _FEW and option.rich_help_panel) or _OPTIONS
        if acts_at_once(option) and len(options) > _FEW:
            group = OUTPUT
        groups.setdefault(group, []).append((_option_names(option), _describe(option, context)))
    return dict(sorted(groups.items(), key=lambda item: _GROUPS.index(item[0])))


def _bare_name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper()).strip("[]")


def _usage(argument: Any) -> str:
    return _bare_name(argument) if argument.required else f"[{_bare_name(argument)}]"


def _option_names(option: Any) -> str:
    """Return ``-t, --temperature X``; other long names are for the help text."""
    short = next((name for name in option.opts if not name.startswith("--")), None)
    long = next(name for name in option.opts if name.startswith("--"))
    value = "" if option.is_flag else f" {option.metavar}"
    return f"{f'{short}, ' if short else '    '}{long}{value}"


def _describe(parameter: Any, context: Any) -> str:
    """Return a parameter's help, with its other names and its default in brackets."""
    also = [name for name in parameter.opts if name.startswith("--")][1:]
    facts = [f"also {name}" for name in also]
    if default := _default(parameter, context):
        facts.insert(0, default)
    return f"{parameter.help} [{'; '.join(facts)}]" if facts else str(parameter.help)


def _default(parameter: Any, context: Any) -> str:
    settings: Mapping[str, Any] = context.default_map or {}
    if parameter.param_type_name == "option" and parameter.name in settings and not acts_at_once(parameter):
        return f"config.toml: {settings[parameter.name]}"
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    if parameter.default is None or getattr(parameter, "is_flag", False):
        return ""
    return f"default: {format_number(parameter.default)}"


def format_number(value: Any) -> str:
    """Return a number as one would type it: ``2e-3``, ``0.1``, ``9000``; anything else as its text."""
    if isinstance(value, float) and 0 < value < 0.01:
        digits, _, exponent = f"{value:e}".partition("e")
        return f"{float(digits):g}e{int(exponent)}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrap(text: str, width: int) -> list[str]:
    """Return a text in lines. A word, a `command` and a short [default: x] stay whole."""
    text = _WHOLE.sub(lambda found: found[0].replace(" ", _HARD_SPACE), text)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace(_HARD_SPACE, " ") for line in lines]


def _layout(sections: Mapping[str, list[Row]], width: int) -> list[str]:
    """Return titled rows of two columns; a name that is too long for its column has a line of its own."""
    names = [name for rows in sections.values() for name, _ in rows]
    narrow = width < _NARROW
    column = 8 if narrow else min(max(map(len, names), default=0), _NAMES_WIDTH) + 4
    lines = []
    for title, rows in sections.items():
        if rows:
            lines.append(_bold(title))
        for name, text in rows:
            wrapped = _wrap(text, width - column)
            beside = wrapped.pop(0) if wrapped and not narrow and len(name) <= column - 4 else ""
            lines.append(f"  {name:<{column - 2}}{beside}".rstrip())
            lines += [" " * column + line for line in wrapped]
        if rows:
            lines.append("")
    return lines


def _layout_examples(examples: Iterable[Row], width: int) -> list[str]:
    examples = list(examples)
    if not examples:
        return []
    column = max(len(command) for command, _ in examples)
    lines = []
    for command, comment in examples:
        line = f"  {command:<{column}}  # {comment}" if comment else f"  {command}"
        lines += [line] if len(line) <= width else ([f"  # {comment}"] if comment else []) + [f"  {command}"]
    return [_bold("Example" if len(examples) == 1 else "Examples"), *lines, ""]


def _where_else(settable: list[Any], context: Any) -> str:
    option = next((option for option in settable if not option.is_flag), settable[0])
    long = next(name for name in option.opts if name.startswith("--"))
    variable = option.envvar or f"{context.auto_envvar_prefix}_{option.name.upper()}"
    return (
        f"Options can also be set by environment variables, such as {variable} for {long}, and in config.toml "
        "(`shakegpt config edit`)."
    )


def _bold(text: str) -> str:
    """Return a title in bold, where the terminal may have styles; Typer takes them out for a pipe."""
    return text if os.environ.get("NO_COLOR") else typer.style(text, bold=True)
