"""The commands, put together."""

from typing import Annotated

import typer

from shakegpt.cli import bench as benching
from shakegpt.cli import config as configuration
from shakegpt.cli import corpus as corpora
from shakegpt.cli import evaluate as measuring
from shakegpt.cli import export as exporting
from shakegpt.cli import generate as generating
from shakegpt.cli import runs
from shakegpt.cli import train as training
from shakegpt.cli.output import reports_errors, write_safely
from shakegpt.config import OnHangup
from shakegpt.version import __version__

app = typer.Typer(
    name="shakegpt",
    cls=configuration.CommandLine,
    help="Train a GPT from scratch in your terminal, watch it learn, and hear it speak Shakespeare.",
    epilog="Without a command, the full-screen app opens. SHAKEGPT_DEBUG=1 shows where an error came from.",
    invoke_without_command=True,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"show_default": True, "help_option_names": ["-h", "--help"], "auto_envvar_prefix": "SHAKEGPT"},
)
app.command("train")(training.train)
app.command("generate")(generating.generate)
app.command("evaluate")(measuring.evaluate)
app.command("watch")(training.watch)
app.command("stop")(training.stop)
app.add_typer(runs.app, name="runs")
app.add_typer(corpora.app, name="corpus")
app.add_typer(configuration.app, name="config")
app.command("export")(exporting.export)
app.command("import")(exporting.import_)
app.command("bench")(benching.bench)
app.command("doctor")(measuring.doctor)


@app.callback()
@reports_errors
def open_app(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
    on_hangup: Annotated[
        OnHangup, typer.Option(help="When the terminal goes away: go on training without it, or save and end.")
    ] = "continue",
) -> None:
    """Train a GPT from scratch in your terminal, watch it learn, and hear it speak Shakespeare."""
    if version:
        print(f"shakegpt {__version__}")
        raise typer.Exit
    configuration.require_usable_settings(context)
    if context.invoked_subcommand is None:
        training.open_full_screen(on_hangup=on_hangup)


def main() -> None:
    """Run the command line."""
    write_safely()
    app()
