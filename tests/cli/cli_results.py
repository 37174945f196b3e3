"""What a command has printed, and how it ended."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

from typer.testing import Result

Invoke = Callable[..., Result]
RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
BeginCli = Callable[..., "subprocess.Popen[str]"]


def one_sentence(result: Result, code: int) -> str:
    """Check that a command failed with one sentence, and return it."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    text = result.stderr.strip()
    assert text.startswith("shakegpt: ")
    assert "\n" not in text
    assert "Traceback" not in text
    assert text.endswith(".")
    return text


def objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects of a text, one a line."""
    return [json.loads(line) for line in text.splitlines()]
