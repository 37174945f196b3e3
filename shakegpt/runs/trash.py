"""Deleted runs and checkpoints that can still be restored: folders moved aside until the trash is emptied."""

import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from shakegpt.errors import ShakegptError
from shakegpt.runs.lock import RunLock, is_locked
from shakegpt.runs.run import Run
from shakegpt.system.files import FOLDER_MODE, make_folder, remove_folder, rename_folder

_PREFIX = ".trash."
_LOCK_FILE = "lock"


@dataclass(frozen=True)
class _Deleted:
    """A folder in the trash: the run it is or belongs to, its step where it is a checkpoint, and where it lies now."""

    run: Path
    step: int | None
    folder: Path

    @property
    def origin(self) -> Path:
        return self.run if self.step is None else Run(self.run).checkpoint_path(self.step)

    def __str__(self) -> str:
        return self.run.name if self.step is None else f"{self.run.name}@{self.step}"


class Trash:
    """What one process has deleted from a store, restored in reverse order.

    The folder is among the runs, so that moving something there and back is a rename on one file system. It is made
    with the first deletion and locked while the process lives; ``empty_abandoned_trash`` removes those of killed ones.
    """

    def __init__(self, runs_folder: Path) -> None:
        self._runs_folder = runs_folder
        self._folder: Path | None = None
        self._lock: RunLock | None = None
        self._deleted: list[_Deleted] = []

    def __len__(self) -> int:
        return len(self._deleted)

    def delete(self, run: Run, step: int | None = None) -> None:
        """Move a run, or the checkpoint of a step, into the trash.

        Raises:
            RunBusyError: a process is training it.
            OSError: it is gone already, or the disk cannot be written.
        """
        with run.lock():
            deleted = _Deleted(run.path, step, self._open() / str(len(self._deleted)))
            rename_folder(deleted.origin, deleted.folder)
            self._deleted.append(deleted)

    def restore(self) -> str:
        """Put back what was deleted last, and return its name.

        Raises:
            RunBusyError: it is a checkpoint of a run that a process is training.
            ShakegptError: there is nothing to restore, or its place is taken; it stays in the trash.
        """
        if not self._deleted:
            raise ShakegptError("There is nothing to restore.")
        deleted = self._deleted[-1]
        try:
            if deleted.step is None:
                rename_folder(deleted.folder, deleted.run)
            elif not deleted.run.exists():
                raise ShakegptError(f"{deleted} cannot be restored: its run is gone.")
            else:
                with Run(deleted.run).lock():
                    rename_folder(deleted.folder, deleted.origin)
        except FileExistsError:
            raise ShakegptError(f"{deleted} cannot be restored: there is another one of that name.") from None
        self._deleted.pop()
        return str(deleted)

    def follow_rename(self, old: Path, new: Path) -> None:
        """Restore the checkpoints of a run under the name that it has now."""
        self._deleted = [
            replace(deleted, run=new) if deleted.run == old and deleted.step is not None else deleted
            for deleted in self._deleted
        ]

    def empty(self) -> None:
        """Delete for good what is in the trash."""
        self._deleted.clear()
        if self._folder is not None:
            with suppress(OSError):
                remove_folder(self._folder)
            self._folder = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _open(self) -> Path:
        if self._folder is None:
            make_folder(self._runs_folder)
            folder = self._runs_folder / f"{_PREFIX}{os.getpid()}.{time.monotonic_ns()}"
            partial = folder.with_name(f"{folder.name}.tmp")
            partial.mkdir(FOLDER_MODE)
            self._lock = RunLock(partial / _LOCK_FILE, "trash")
            rename_folder(partial, folder)  # locked first, so that no other process takes it for abandoned
            self._folder = folder
        return self._folder


def empty_abandoned_trash(runs_folder: Path) -> None:
    """Delete for good what processes that were killed left in their trash."""
    with suppress(OSError), os.scandir(runs_folder) as entries:
        for entry in entries:
            is_trash = entry.name.startswith(_PREFIX) and not entry.name.endswith((".tmp", ".gone"))
            if is_trash and entry.is_dir(follow_symlinks=False) and not is_locked(Path(entry.path, _LOCK_FILE)):
                with suppress(OSError):
                    remove_folder(Path(entry.path))
