"""Where a command writes: results to standard output, all else to standard error; and how an error ends it."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import typer

from shakegpt.errors import ShakegptError
from shakegpt.system.text import escape_control_characters


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


@contextmanager
def report_errors() -> Iterator[None]:
    """End a command that raises an error with one sentence and an exit code."""
    try:
        yield
        sys.stdout.flush()  # while a closed pipe and a full disk can still be reported
    except ShakegptError as error:
        fail(error)
    except BrokenPipeError:  # the reader of standard output, such as `head`, has closed it: not an error
        _discard_output()
        raise typer.Exit(0) from None
    except KeyboardInterrupt:
        raise typer.Exit(128 + signal.SIGINT) from None
    except OSError as error:
        try:
            sys.stdout.flush()
        except OSError:
            _discard_output()
        name = f" with {error.filename}" if error.filename else ""
        fail(ShakegptError(f"Something went wrong{name}: {error.strerror or error}."))
    except (typer.TyperException, typer.Exit, typer.Abort):
        raise
    except Exception as error:  # a bug of ours: users cannot do anything with a traceback
        fail(
            ShakegptError(
                f"Something unexpected went wrong ({type(error).__name__}: {error}); nothing saved is lost, and "
                "SHAKEGPT_DEBUG=1 shows where it happened."
            )
        )


def _discard_output() -> None:
    """Lead what standard output could not write nowhere: the interpreter tries once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


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
