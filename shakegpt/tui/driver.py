"""Textual's driver for a terminal, made to outlive it."""

import sys
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from textual.driver import Driver


class Unbreakable:
    """A terminal to write to; once it is gone, writing does nothing.

    Textual's writer thread would die of the first error, and the app then hang on that thread's full queue.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write, if anyone is there."""
        try:
            return self._file.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        """Flush, if anyone is there."""
        try:
            self._file.flush()
        except OSError:
            return

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def driver_class() -> "type[Driver] | None":
    """Return the driver that the app wants; ``None`` for Textual's own choice where there are no Unix terminals."""
    if sys.platform == "win32":
        return None
    from textual.drivers.linux_driver import LinuxDriver

    class HardyDriver(LinuxDriver):
        """A driver whose threads neither die nor complain when the terminal goes away."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._file = cast("Any", Unbreakable(cast("IO[str]", self._file)))

        def _run_input_thread(self) -> None:
            try:
                self.run_input_thread()
            except OSError:
                return  # whoever supervises the app sees the hang-up too, and ends it

    return HardyDriver
