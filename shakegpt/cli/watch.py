"""``shakegpt watch`` and ``shakegpt stop``, for a run of another process; and the full-screen app."""

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from shakegpt.cli.notify import Notify, chosen_ways
from shakegpt.cli.options import RunArgument, complete_runs
from shakegpt.cli.output import print_note
from shakegpt.config import OnHangup
from shakegpt.errors import ShakegptError, UsageError

if TYPE_CHECKING:
    from shakegpt.runs.run import Run

_TERMS_WITHOUT_CURSOR = ("dumb", "unknown")


def watch(
    context: typer.Context,
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="A run; by default the newest.", autocompletion=complete_runs)
    ] = None,
    *,
    web: Annotated[bool, typer.Option("--web", help="Show it in a browser on this machine, to watch only.")] = False,
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="Where the browser finds it.")] = 8000,
    notify: Notify = None,
) -> None:
    """Open the training screen on a run of another process."""
    from shakegpt.runs.store import Store

    ways = chosen_ways(context, notify)
    store = Store.default()
    if run is not None:
        found = store.run(run)
    else:
        runs = store.runs()
        if not runs:
            raise ShakegptError("There is no run to watch; begin one with `shakegpt train`.")
        found = runs[0]
    if web:
        from shakegpt.cli.browser import serve_run

        serve_run(found.name, port)
        return
    open_full_screen(watch=found, notify=ways)


def stop(run: RunArgument) -> None:
    """Ask the process that trains a run to save and stop; its `shakegpt train` then exits with 143."""
    from shakegpt.runs.store import Store

    found = Store.default().run(run)
    found.request("stop")
    owner = found.owner()
    print_note(f"Asked {owner} to save {run} and stop." if owner else f"{run} has ended.")


def open_full_screen(
    *, on_hangup: OnHangup = "continue", watch: "Run | None" = None, notify: Sequence[str] = ()
) -> None:
    """Open the app, on the run to watch if one is given, and exit with its exit code."""
    from shakegpt.tui.driver import in_browser

    if in_browser():
        if watch is None:
            raise UsageError("In a browser, a run can only be watched: serve `shakegpt watch RUN`.")
    elif not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The full-screen app needs a terminal; in a pipe or a script, use `shakegpt generate` or `shakegpt train`."
        )
    elif (term := os.environ.get("TERM")) in _TERMS_WITHOUT_CURSOR:
        raise UsageError(
            f"This terminal (TERM={term}) cannot move its cursor, as the full-screen app needs to; use "
            "`shakegpt generate` or `shakegpt train`, or set TERM to what the terminal is, such as xterm-256color."
        )
    from shakegpt.system.signals import end_process
    from shakegpt.tui.terminal import open_app

    end_process(
        open_app(on_hangup=on_hangup, watch=watch, notify=notify)
    )  # a text's thread, or the one that imports torch, may run
