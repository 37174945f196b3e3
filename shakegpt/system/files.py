"""Files that are whole or absent: bounded reads that follow no link, and writes that survive a crash.

Folders are created with mode 0700 and files with 0600: what someone trains on is private.
"""

import errno
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(path: Path) -> None:
    """Create a folder and its missing parents, private to the user."""
    for folder in [*reversed(path.parents), path]:
        if not folder.exists():
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file of at most ``max_bytes``.

    Raises:
        OSError: it is missing, or cannot be read, or is a link.
        ValueError: it is not a regular file, or is larger.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ValueError(f"{path.name} has {size:,} bytes, more than the {max_bytes:,} it may have")
        data = file.read(size + 1)  # not max_bytes + 1: Python would allocate that much
    if len(data) != size:
        raise ValueError(f"{path.name} changed while it was read")
    return data


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading, without waiting for a pipe's writer or following a link.

    Raises:
        OSError: it is missing, or cannot be read, or is a link.
        ValueError: it is not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{path.name} is not a regular file")
    return open(descriptor, "rb")


def write_synced(path: Path, data: bytes) -> None:
    """Write a private file and fsync it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    try:
        unwritten = memoryview(data)
        while unwritten:
            unwritten = unwritten[os.write(descriptor, unwritten) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file atomically: readers see the old bytes or the new ones."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write_synced(partial, data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Fsync a folder, so that the files created or renamed in it survive a crash."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def new_folder(path: Path, *, mode: int = FOLDER_MODE, replace: bool = False) -> Iterator[Path]:
    """Build a folder beside its place: yields the empty folder to fill, and renames it to ``path`` once it is synced.

    Args:
        path: the folder to make; an empty one may be there already.
        mode: its permissions.
        replace: put it in place of the folder that is there.

    Raises:
        FileExistsError: a folder with something in it is there, and is not to be replaced.
        OSError: the disk is full, read-only or broken. Whatever the error, nothing new is left.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(partial, ignore_errors=True)  # what an earlier failure could not remove
    try:
        make_folder(path.parent)
        partial.mkdir(mode)
        yield partial
        sync_folder(partial)
        if replace and path.exists():
            remove_folder(path)  # only now that nothing but two renames is left to do
        rename_folder(partial, path)
        sync_folder(path.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def rename_folder(path: Path, target: Path) -> None:
    """Rename a folder, unless something is there already.

    Raises:
        FileExistsError: a file, or a folder with something in it, has that name.
    """
    try:
        path.rename(target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        raise


def remove_folder(path: Path) -> None:
    """Remove a folder so that a reader sees it whole or not at all: renamed away first."""
    gone = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}.gone")
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def remove_leftovers(path: Path, *, older_than: float = 0.0) -> None:
    """Remove what a process that was killed left half made or half removed in a folder.

    Args:
        path: the folder.
        older_than: leave what was changed in the last so many seconds; another process may be working on it.
    """
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if not entry.name.startswith(".") or not entry.name.endswith((".tmp", ".gone")):
                continue
            with suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime < older_than:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink()


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
