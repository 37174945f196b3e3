"""Files that are whole or absent: bounded reads that follow no link, and writes that a crash cannot halve.

Folders are made 0700 and files 0600: what a person trains on is theirs.
"""

import hashlib
import os
import shutil
import stat
import time
from pathlib import Path
from typing import BinaryIO

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(path: Path) -> None:
    """Create a folder and those above it, private to the user where they are new."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def read_bounded(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file of at most ``most`` bytes.

    Raises:
        OSError: it is missing, or cannot be read, or is a link.
        ValueError: it is no regular file, or is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise ValueError(f"{path.name} has {size:,} bytes, more than the {most:,} it may have")
        data = file.read(size + 1)  # not most + 1: Python would set that much memory aside
    if len(data) != size:
        raise ValueError(f"{path.name} changed while it was read")
    return data


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read, never waiting for a pipe's writer and never following a link.

    Raises:
        OSError: it is missing, or cannot be read, or is a link.
        ValueError: it is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path.name} is not a regular file")
    return open(descriptor, "rb")


def write_synced(path: Path, data: bytes) -> None:
    """Write a new private file and wait until it is on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        unwritten = memoryview(data)
        while unwritten:
            unwritten = unwritten[os.write(descriptor, unwritten) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place of whatever was there: readers see the old bytes or the new ones."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_synced(partial, data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_folder(path: Path) -> None:
    """Remove a folder so that a reader sees it whole or not at all: renamed away first."""
    gone = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}.gone")
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
