"""Where a command writes: results to standard output, all else to standard error; and how an error ends it."""

import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn, ParamSpec

import typer

from shakegpt.errors import ShakegptError
from shakegpt.system.text import escape_control_characters

EXIT_INTERRUPTED = 128 + signal.SIGINT

Parameters = ParamSpec("Parameters")


def print_json(value: Any) -> None:
    """Print one JSON object; every unsafe character in it is escaped."""
    print(json.dumps(value, ensure_ascii=True, allow_nan=False), flush=True)


def print_note(text: str) -> None:
    """Print one line that is not a result: progress, a warning or an error."""
    with suppress(OSError):
        print(escape_control_characters(text), file=sys.stderr, flush=True)


def fail(error: Exception) -> NoReturn:
    """Print an error as one sentence and exit; with ``SHAKEGPT_DEBUG=1``, raise it to show its traceback."""
    if os.environ.get("SHAKEGPT_DEBUG") == "1":
        raise error
    print_note(f"shakegpt: {error}")
    raise typer.Exit(error.exit_code if isinstance(error, ShakegptError) else 1) from None


def reports_errors(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Make a command's errors end it with one sentence and an exit code."""

    @functools.wraps(command)
    def reporting(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()  # while a closed pipe and a full disk can still be reported
        except ShakegptError as error:
            fail(error)
        except BrokenPipeError:
            exit_quietly()
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except OSError as error:
            name = f" {error.filename}:" if error.filename else ""
            fail(ShakegptError(f"The system says:{name} {error.strerror or error}."))
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # a bug of ours: users cannot do anything with a traceback
            fail(
                ShakegptError(
                    f"Something unexpected went wrong ({type(error).__name__}: {error}); nothing saved is lost, and "
                    "SHAKEGPT_DEBUG=1 shows where it happened."
                )
            )

    return reporting


def exit_quietly() -> NoReturn:
    """Exit without an error after the reader of standard output, such as ``head``, has closed it."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)  # the interpreter flushes standard output once more
    raise typer.Exit(0)


def configure_streams() -> None:
    """Make standard output and error accept any character: what their encoding lacks is escaped.

    A stream that was closed (``<&-``), for which Python has ``None``, becomes ``/dev/null``; otherwise the next file
    to be opened would take its number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, "r" if number == 0 else "w"))  # noqa: SIM115  (never closed)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
