"""The app in its terminal: what becomes of both, and of a training, when either ends."""

import os
import select
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from shakegpt.config import OnHangup
from shakegpt.runs.run import Run
from shakegpt.runs.snapshot import Snapshot
from shakegpt.system.signals import ShutdownHandler
from shakegpt.system.text import escape_line
from shakegpt.tui.app import HEADLESS, ShakegptApp

# Kitty keys, mouse, pasted text and focus reports off; wrapping and the cursor on; back to the main screen.
_ORDINARY = (
    "\x1b[<u\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?2004l\x1b[?1004l\x1b[?2048l\x1b[?7h\x1b[?1049l\x1b[?25h"
)


def open_app(*, on_hangup: OnHangup = "continue", watch: Run | None = None) -> int:
    """Open the app, and return the exit code of the process."""
    return run_app(ShakegptApp(watch=watch, on_hangup=on_hangup))


def run_app(app: ShakegptApp) -> int:
    """Run the app to its end, and a training that outlives it to its own; return the exit code of the process.

    Signals and a lost link are looked after by ``ShutdownHandler``; here is what they mean for an app.
    """
    shutdown = ShutdownHandler(
        stop=lambda: _stop(app),
        await_end=lambda: _await_end(app),
        on_hangup=app.on_hangup,
        on_detach=lambda: _leave(app),
        restore_terminal=_remember_terminal(),
    )
    shutdown.install()
    _watch_terminal(lambda: _hang_up(shutdown))
    app.run()
    failure = _outlive(app, shutdown)
    shutdown.finish()
    return failure or shutdown.exit_code or app.return_code or 0


def _outlive(app: ShakegptApp, shutdown: ShutdownHandler) -> int | None:
    """See a training that is still under way to its end; return the exit code that its failure asks for."""
    thread = app.context.own_training
    if thread is None:
        return None
    if shutdown.exit_code is None and (shutdown.detached or app.return_value == HEADLESS):
        _say(_farewell(thread.latest))
        thread.join()  # a signal may stop it meanwhile
    else:
        thread.stop()  # the app itself has failed, or is asked to end
    return thread.await_end()


def _farewell(snapshot: Snapshot) -> str:
    if snapshot.started is None:
        return "Training goes on without the screen. Ctrl-C saves and stops it."
    name = escape_line(snapshot.started.run)
    return (
        f"{name} goes on training without the screen: `shakegpt watch {name}` shows it, Ctrl-C saves and stops it, and "
        "closing this terminal leaves it alone."
    )


def _say(sentence: str) -> None:
    with suppress(OSError):
        print(sentence, file=sys.stderr, flush=True)


# What signals ask for; called on a thread of their own


def _stop(app: ShakegptApp) -> None:
    if (thread := app.context.own_training) is not None:
        thread.stop()
    _leave(app)


def _await_end(app: ShakegptApp) -> int | None:
    training = app.context.training
    return training.await_end() if training is not None else None


def _leave(app: ShakegptApp) -> None:
    """Ask the app to end. Its event loop may be over already, or stuck writing to a terminal that nobody reads."""
    if app.loop is not None:
        with suppress(RuntimeError):
            app.loop.call_soon_threadsafe(app.exit)


def _hang_up(shutdown: ShutdownHandler) -> None:
    """Do what SIGHUP does, also where that is ignored: with no terminal, there is no screen."""
    shutdown.hang_up()
    shutdown.detach()


# The terminal


def _watch_terminal(gone: Callable[[], None]) -> None:
    """Call back once the terminal has gone away, even where no signal says so."""
    if not os.isatty(0) or not hasattr(select, "poll"):
        return

    def watch() -> None:
        poll = select.poll()
        poll.register(0, 0)  # nothing to read, only its end
        with suppress(OSError):
            poll.poll()
            gone()

    threading.Thread(target=watch, name="shakegpt-terminal", daemon=True).start()


def _remember_terminal() -> Callable[[], None]:
    """Return what puts the terminal back as it is now, without waiting for a reader that may never come."""
    if not os.isatty(0):
        return lambda: None
    settings: list[Any] = termios.tcgetattr(0)

    def restore() -> None:
        with suppress(OSError, termios.error):
            terminal = os.open(os.ttyname(0), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
            os.write(terminal, _ORDINARY.encode())
            os.close(terminal)
        with suppress(OSError, termios.error):
            termios.tcsetattr(0, termios.TCSANOW, settings)

    return restore
