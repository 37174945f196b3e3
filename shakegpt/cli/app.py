"""All commands, put together."""

import os
from collections.abc import Callable
from typing import Annotated

import typer

from shakegpt.cli.bench import bench
from shakegpt.cli.command_line import CommandLine, require_usable_settings
from shakegpt.cli.completion import complete_for_bash
from shakegpt.cli.config import app as config_app
from shakegpt.cli.corpus import app as corpus_app
from shakegpt.cli.doctor import doctor
from shakegpt.cli.evaluate import evaluate
from shakegpt.cli.export import export, import_
from shakegpt.cli.generate import generate
from shakegpt.cli.help import Command
from shakegpt.cli.inspect import inspect
from shakegpt.cli.lr_find import lr_find
from shakegpt.cli.notify import Notify, chosen_ways
from shakegpt.cli.options import choices
from shakegpt.cli.output import configure_streams
from shakegpt.cli.presets import presets
from shakegpt.cli.runs import app as runs_app
from shakegpt.cli.score import score
from shakegpt.cli.sweep import sweep
from shakegpt.cli.train import train
from shakegpt.cli.watch import open_full_screen, stop, watch
from shakegpt.config import OnHangup
from shakegpt.version import __version__

app = typer.Typer(
    name="shakegpt",
    cls=CommandLine,
    invoke_without_command=True,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SHAKEGPT"},
)
_COMMANDS: dict[str, tuple[Callable[..., None], ...]] = {
    "Train": (train, sweep, lr_find, watch, stop, presets),
    "Use a model": (generate, evaluate, score, inspect, export, import_),
    "This machine": (bench, doctor),
}
for _group, _commands in _COMMANDS.items():
    for _command in _commands:
        app.command(_command.__name__.removesuffix("_").replace("_", "-"), cls=Command, rich_help_panel=_group)(
            _command
        )
for _name, _app in (("runs", runs_app), ("corpus", corpus_app), ("config", config_app)):
    app.add_typer(_app, name=_name, rich_help_panel="Look after")


@app.callback()
def open_app(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
    on_hangup: Annotated[
        OnHangup,
        typer.Option(
            metavar=choices(OnHangup), help="When the terminal goes away: go on training without it, or save and end."
        ),
    ] = "continue",
    notify: Notify = None,
) -> None:
    """Train a GPT from scratch in your terminal, watch it learn, and hear it speak Shakespeare.

    Without a command, the full-screen app opens.
    """
    if version:
        print(f"shakegpt {__version__}")
        raise typer.Exit
    require_usable_settings(context)
    if context.invoked_subcommand is None:
        open_full_screen(on_hangup=on_hangup, notify=chosen_ways(context, notify))


def main() -> None:
    """Run the command line."""
    configure_streams()
    if os.environ.get("_SHAKEGPT_COMPLETE") == "complete_bash":
        complete_for_bash(lambda: app(prog_name="shakegpt"))
    else:
        app(prog_name="shakegpt")
