"""Texts written to files: where they go, and under which name."""

import os
import re
from pathlib import Path

from shakegpt.errors import ShakegptError
from shakegpt.system.files import FILE_MODE, make_folder

_MOST_OF_A_NAME = 10_000


def keep(text: str, title: str, folder: Path) -> Path:
    """Write a text to a new file that is named after it, and return where; nothing is ever overwritten.

    Raises:
        ShakegptError: it could not be written; the message says where and why.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-") or "text"
    data = (text if text.endswith("\n") else f"{text}\n").encode("utf-8", errors="backslashreplace")
    try:
        make_folder(folder)
        for number in range(1, _MOST_OF_A_NAME):
            path = folder / f"{stem}-{number}.txt"
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            except FileExistsError:
                continue
            with open(descriptor, "wb") as file:
                file.write(data)
            return path
    except OSError as error:
        raise ShakegptError(f"The text could not be saved in {folder}: {error.strerror or error}.") from error
    raise ShakegptError(f"The folder {folder} has too many texts named {stem}; move some of them away.")


def shown_path(path: Path) -> str:
    """Return a path as a user would type it, with ~ for their home."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
