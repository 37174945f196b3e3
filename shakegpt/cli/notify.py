"""``--notify``: how the user of a training is told of its end, a failure, a roll-back or a stall."""

import os
import re
import shutil
from typing import Annotated

import typer

from shakegpt.cli.help import OUTPUT
from shakegpt.errors import UsageError
from shakegpt.system.terminal_notice import DESKTOP, RING
from shakegpt.system.text import escape_line

_WORD = re.compile(r"[\w.+-]+")

Notify = Annotated[
    list[str] | None,
    typer.Option(
        metavar="bell|desktop|COMMAND",
        help="Tell of the end, a failure, a roll-back or a stall: ring, notify through the terminal, or run a command "
        "with the event as JSON on its standard input. Repeatable.",
        show_default=False,
        rich_help_panel=OUTPUT,
    ),
]


def chosen_ways(context: typer.Context, ways: list[str] | None) -> list[str]:
    """Return how to tell the user, checked as ``check_notify`` does.

    In the environment variable, each line is one: Typer would make a value of each word of a command.
    """
    source = context.get_parameter_source("notify")
    if source is not None and source.name == "ENVIRONMENT":
        ways = lines_of(os.environ[f"{context.auto_envvar_prefix}_NOTIFY"])
    return check_notify(ways or [])


def lines_of(text: str) -> list[str]:
    """Return the ways to tell the user that an environment variable has, one a line; it may have none."""
    return [line for line in text.splitlines() if line.strip()]


def check_notify(ways: list[str]) -> list[str]:
    """Return the same ways to tell the user.

    Raises:
        UsageError: one is empty, or a word that is no command: most likely a misspelt one of ours.
    """
    for way in ways:
        if not way.strip():
            raise UsageError("--notify is empty: give bell, desktop or a command.")
        if way not in (RING, DESKTOP) and _WORD.fullmatch(way) and shutil.which(way) is None:
            raise UsageError(f"There is no command {escape_line(way)}: --notify takes bell, desktop or a command.")
    return ways
