"""Where a command's words go: results to standard output, all else to standard error, mishaps to an exit code."""

import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer

from shakegpt.errors import ShakegptError
from shakegpt.system.text import escape_control_characters

EXIT_USAGE = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def say(text: str) -> None:
    """Print one line of a result."""
    print(text, flush=True)


def say_json(value: Any) -> None:
    """Print one JSON object; every unsafe character in it is escaped."""
    print(json.dumps(value, ensure_ascii=True, allow_nan=False), flush=True)


def note(text: str) -> None:
    """Print one line that is no result."""
    with suppress(OSError):
        print(escape_control_characters(text), file=sys.stderr, flush=True)


def fail(error: Exception) -> NoReturn:
    """Tell of an error in one sentence and end; ``SHAKEGPT_DEBUG=1`` shows where it came from."""
    if os.environ.get("SHAKEGPT_DEBUG") == "1":
        raise error
    note(f"shakegpt: {error}")
    raise typer.Exit(error.exit_code if isinstance(error, ShakegptError) else 1) from None


def reports_errors(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let a command's errors end it in a sentence and an exit code."""

    @functools.wraps(command)
    def reporting(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except ShakegptError as error:
            fail(error)
        except BrokenPipeError:
            leave_quietly()
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except OSError as error:
            name = f" {error.filename}:" if error.filename else ""
            fail(ShakegptError(f"The system says:{name} {error.strerror or error}."))
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # a fault of ours: still no traceback for someone who cannot mend it
            fail(
                ShakegptError(
                    f"Something unexpected went wrong ({type(error).__name__}: {error}); nothing saved is lost, and "
                    "SHAKEGPT_DEBUG=1 shows where it happened."
                )
            )

    return reporting


def leave_quietly() -> NoReturn:
    """End after the reader of standard output has gone: that is its right, and no error."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # so that the interpreter's last flush finds somewhere to go
    raise typer.Exit(0)


def write_safely() -> None:
    """Make standard output and error take any character: what their encoding lacks is spelled out.

    A stream that was closed (``<&-``), for which Python has ``None``, becomes ``/dev/null``; the next file to be opened
    would otherwise take its number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, "r" if number == 0 else "w"))  # noqa: SIM115  (for good)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
