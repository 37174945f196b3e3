"""Saves texts in files of their own."""

import os
import re
from pathlib import Path

from shakegpt.errors import ShakegptError
from shakegpt.system.files import FILE_MODE, make_folder

_MAX_FILES_PER_NAME = 10_000


def save_text(text: str, title: str, folder: Path) -> Path:
    """Write a text to a new file named after its title, and return the path; no file is overwritten.

    Raises:
        ShakegptError: it could not be written.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-") or "text"
    data = (text if text.endswith("\n") else f"{text}\n").encode("utf-8", errors="backslashreplace")
    try:
        make_folder(folder)
        for number in range(1, _MAX_FILES_PER_NAME):
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
    """Return a path with ~ for the user's home."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)
