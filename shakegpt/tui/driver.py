"""Textual's terminal driver, made to survive the loss of the terminal."""

import os
import sys
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from textual.driver import Driver


class IgnoringErrors:
    """A file to write to; once its terminal is gone, writing does nothing.

    The first error would end Textual's writer thread, and the app would then block on that thread's full queue.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write, or do nothing."""
        try:
            return self._file.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Flush, or do nothing."""
        try:
            self._file.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def in_browser() -> bool:
    """Return whether textual-serve shows the app in a browser."""
    return os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")


def driver_class() -> "type[Driver] | None":
    """Return the driver for a Unix terminal.

    ``None``, for Textual's own choice, on Windows and where ``TEXTUAL_DRIVER`` names one, as for textual-serve.
    """
    if sys.platform == "win32" or os.environ.get("TEXTUAL_DRIVER"):
        return None
    from textual.drivers.linux_driver import LinuxDriver

    class TolerantDriver(LinuxDriver):
        """A driver whose threads ignore the loss of the terminal."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._file = cast("Any", IgnoringErrors(cast("IO[str]", self._file)))

        def _run_input_thread(self) -> None:
            try:
                self.run_input_thread()
            except OSError:
                return  # run_app notices the loss too, and ends the app

    return TolerantDriver
