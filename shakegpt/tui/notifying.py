"""``--notify`` in the app: its driver writes to the terminal, and the screen says what is wrong with a command."""

import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from textual.app import App

from shakegpt.runs.follower import Follower
from shakegpt.runs.notifier import Notifier, Sender
from shakegpt.runs.source import TrainingSource
from shakegpt.system.terminal_notice import terminal_writer
from shakegpt.system.text import escape_control_characters


class TrainingNotifier:
    """Tells of the training on show, also after the app has left the terminal and the training goes on.

    Args:
        app: it owns the terminal while it runs.
        loop: returns its event loop; ``None`` before it runs.
        ways: as for ``Sender``.
    """

    def __init__(self, app: App[Any], loop: Callable[[], AbstractEventLoop | None], ways: Sequence[str]) -> None:
        self._app = app
        self._loop = loop
        self._ways = ways
        self._notifier: Notifier | None = None
        self._unsubscribe: Callable[[], None] | None = None

    def follow(self, training: TrainingSource) -> None:
        """Tell of a training from now on, and of no other."""
        if not self._ways:
            return
        if self._unsubscribe is not None and self._notifier is not None:
            self._unsubscribe()
            self._notifier.close()
        watched = isinstance(training, Follower)
        self._notifier = Notifier(
            Sender(self._ways, write=self._write, warn=self._warn),
            begin=None if watched else training.latest,
            running=not isinstance(training, Follower) or training.owner is not None,
        )
        self._unsubscribe = training.subscribe(self._notifier.receive)
        self._notifier.start()

    def finish(self) -> None:
        """Tell what there is still to tell, and wait some seconds for the commands."""
        if self._notifier is not None:
            self._notifier.finish()

    def _write(self, sequence: str) -> None:
        """Write to the terminal; called on the notifier's thread."""
        driver = self._app._driver
        if driver is not None and self._call(partial(driver.write, sequence)):
            return
        terminal_writer()(sequence)

    def _warn(self, message: str) -> None:
        text = escape_control_characters(message)
        if not self._call(partial(self._app.notify, text, severity="warning", markup=False)):
            with suppress(OSError):
                print(f"warning: {text}", file=sys.stderr, flush=True)

    def _call(self, function: Callable[[], object]) -> bool:
        """Have the app's thread call a function; return whether it will, as long as the app is in the terminal."""
        loop = self._loop()
        if loop is None or not self._app.is_running:
            return False
        try:
            loop.call_soon_threadsafe(function)
        except RuntimeError:  # it has just ended
            return False
        return True
