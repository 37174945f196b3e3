"""Runs the app in a terminal, and decides what happens to a training when the app or the terminal goes away."""

import os
import select
import sys
import termios
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from shakegpt.config import OnHangup
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.signals import ShutdownHandler
from shakegpt.system.text import escape_line
from shakegpt.tui.app import HEADLESS, ShakegptApp
from shakegpt.tui.driver import in_browser

# Kitty keys, mouse, bracketed paste and focus reports off; wrapping and the cursor on; back to the main screen.
_RESET_SEQUENCES = (
    "\x1b[<u\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[?7h\x1b[?1049l\x1b[?25h"
)


def open_app(*, on_hangup: OnHangup = "continue", watch: Run | None = None, notify: Sequence[str] = ()) -> int:
    """Open the app, and return the exit code of the process."""
    return run_app(ShakegptApp(watch=watch, on_hangup=on_hangup, only_watch=in_browser(), notify=notify))


def run_app(app: ShakegptApp) -> int:
    """Run the app to its end, then a training that goes on without it; return the exit code of the process."""
    shutdown = ShutdownHandler(
        stop=lambda: _stop(app),
        await_end=lambda: _await_end(app),
        on_hangup=app.on_hangup,
        on_detach=lambda: _exit_app(app),
        restore_terminal=_terminal_restorer(),
    )
    if not in_browser():  # there, Textual's driver has asyncio take the signals, which would take ours away
        shutdown.install()
    _watch_terminal(lambda: _hang_up(shutdown))
    app.run()
    failure = _finish_training(app, shutdown)
    app.notifier.finish()
    shutdown.finish()
    return failure or shutdown.exit_code or app.return_code or 0


def _finish_training(app: ShakegptApp, shutdown: ShutdownHandler) -> int | None:
    """Wait for the end of a training that still runs; return the exit code that its failure asks for."""
    thread = app.context.own_training
    if thread is None:
        return None
    if shutdown.exit_code is None and (shutdown.detached or app.return_value == HEADLESS):
        _print(_headless_message(thread.latest))
        thread.join()  # a signal may stop it meanwhile
    else:
        thread.stop()  # the app itself has failed, or is asked to end
    return thread.await_end()


def _headless_message(snapshot: Snapshot) -> str:
    if snapshot.started is None:
        return "Training goes on without the screen. Ctrl-C saves and stops it."
    name = escape_line(snapshot.started.run)
    return (
        f"{name} goes on training without the screen: `shakegpt watch {name}` shows it, Ctrl-C saves and stops it, and "
        "closing this terminal leaves it alone."
    )


def _print(sentence: str) -> None:
    with suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)


# What signals ask for; called on a thread of the shutdown handler


def _stop(app: ShakegptApp) -> None:
    if (thread := app.context.own_training) is not None:
        thread.stop()
    _exit_app(app)


def _await_end(app: ShakegptApp) -> int | None:
    training = app.context.training
    return training.await_end() if training is not None else None


def _exit_app(app: ShakegptApp) -> None:
    """Ask the app to exit. Its event loop may have ended, or be blocked by a terminal that nobody reads."""
    if app.event_loop is not None:
        with suppress(RuntimeError):
            app.event_loop.call_soon_threadsafe(app.exit)


def _hang_up(shutdown: ShutdownHandler) -> None:
    """Do what SIGHUP does. Where that is ignored, leave the terminal all the same: the app has no screen any more."""
    shutdown.hang_up()
    shutdown.detach()


# The terminal


def _watch_terminal(on_lost: Callable[[], None]) -> None:
    """Call back once the terminal has gone away, also where no signal reports it."""
    if not (os.isatty(0) or in_browser()) or not hasattr(select, "poll"):
        return

    def watch() -> None:
        poll = select.poll()
        poll.register(0, 0)  # reports a hang-up only
        with suppress(OSError):
            poll.poll()
            on_lost()

    threading.Thread(target=watch, name="shakegpt-terminal", daemon=True).start()


def _terminal_restorer() -> Callable[[], None]:
    """Return a function that restores the terminal as it is now, without waiting for anyone to read its output."""
    if not os.isatty(0):
        return lambda: None
    settings: list[Any] = termios.tcgetattr(0)

    def restore() -> None:
        with suppress(OSError, termios.error):
            terminal = os.open(os.ttyname(0), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            os.write(terminal, _RESET_SEQUENCES.encode())
            os.close(terminal)
        with suppress(OSError, termios.error):
            termios.tcsetattr(0, termios.TCSANOW, settings)

    return restore
