"""Runs and checkpoints in the user's data directory, and the names that find them."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from shakegpt.errors import CheckpointError, ShakegptError, UsageError
from shakegpt.runs.lock import run_busy_error
from shakegpt.runs.manifest import MANIFEST_FILE, CheckpointInfo, read_checkpoint_info
from shakegpt.runs.notes import read_notes
from shakegpt.runs.run import (
    Run,
    RunMetadata,
    Status,
    check_run_name,
    create_run,
    is_run,
    read_metadata,
)
from shakegpt.runs.trash import empty_abandoned_trash
from shakegpt.system.files import make_folder, remove_leftovers
from shakegpt.system.paths import HOME_VARIABLE, asset_path, home_folder, runs_folder
from shakegpt.system.text import escape_line

if TYPE_CHECKING:
    from shakegpt.model.language_model import LanguageModel
    from shakegpt.runs.checkpoint import Checkpoint

Warn = Callable[[str], None]

PRETRAINED = "pretrained"
LAST = "last"
# Names for runs that were given none, in the order the Folio gives the tragedies, then the rest.
_RUN_NAMES = (
    "coriolanus", "titus", "romeo", "timon", "caesar", "macbeth", "hamlet", "lear", "othello", "antony", "cymbeline",
    "tempest", "verona", "windsor", "measure", "errors", "ado", "labours", "dream", "merchant", "arden", "shrew",
    "allswell", "twelfth", "winter", "john", "richard", "henry", "troilus", "pericles",
)  # fmt: skip
_LEFTOVER_SECONDS = 3600.0
_MOST_NAMED = 8
_RESERVED_NAMES = frozenset({LAST, PRETRAINED})


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run in one row of a list; the fields are those of ``runs list --json``."""

    name: str
    status: Status
    step: int
    steps: int
    best_val_loss: float | None
    checkpoints: int
    corpus: str
    created: str
    bytes: int
    note: str | None
    tags: list[str]


class Store:
    """The folder of all runs.

    Args:
        home: the data directory; runs are below ``home/runs``. It is created with the first run.
    """

    def __init__(self, home: Path) -> None:
        self.home = home

    @classmethod
    def default(cls) -> "Store":
        """Return the user's store: ``$SHAKEGPT_HOME``, or the platform's data directory."""
        return cls(home_folder())

    @property
    def runs_folder(self) -> Path:
        """Where the runs are."""
        return runs_folder(self.home)

    @cached_property
    def writable(self) -> bool:
        """Whether runs can be made and changed here: not in a store that others share with us to read."""
        folder = self.runs_folder
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return os.access(folder, os.W_OK)

    def runs(self) -> list[Run]:
        """Return every readable run, newest first."""
        try:
            runs = [Run(path) for path in self.runs_folder.iterdir() if is_run(path)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ShakegptError(f"The store {self.home} cannot be read: {error.strerror}.") from error
        readable = []
        for run in runs:
            with suppress(ShakegptError):
                readable.append((run.metadata.created, run.name, run))
        return [run for _, _, run in sorted(readable, key=lambda row: row[:2], reverse=True)]

    def run(self, name: str) -> Run:
        """Return a run by name.

        Raises:
            ShakegptError: there is none; the message names those there are.
        """
        check_run_name(name)
        run = Run(self.runs_folder / name)
        if not is_run(run.path):
            raise ShakegptError(f"There is no run {name}; {self._suggest(name)}")
        return run

    def _suggest(self, name: str) -> str:
        """Return the end of the error for a run that there is not: the nearest names, or the newest ones."""
        if name in _RESERVED_NAMES:
            return f"{name} is the name of one checkpoint, which has no others and no log."
        names = [run.name for run in self.runs()]
        if close := get_close_matches(name, [*names, PRETRAINED, LAST], n=3):
            return f"did you mean {' or '.join(close)}? `shakegpt runs list` shows them all."
        if not names:
            return "there are no runs yet: begin one with `shakegpt train`."
        more = len(names) - _MOST_NAMED
        rest = f", and {more} more that `shakegpt runs list` shows" if more > 0 else ""
        return f"the runs here are {', '.join(names[:_MOST_NAMED])}{rest}."

    def create(self, metadata: RunMetadata, name: str | None = None) -> Run:
        """Create a new run, with a name of its own where none is given.

        Raises:
            ShakegptError: a new run cannot have the name, or the store cannot be written.
        """
        if name is not None:
            self.check_new_name(name)
        try:
            make_folder(self.runs_folder)
            remove_leftovers(self.runs_folder, older_than=_LEFTOVER_SECONDS)
            empty_abandoned_trash(self.runs_folder)
            for candidate in [name] if name else _free_names():
                try:
                    return create_run(self.runs_folder / candidate, metadata)
                except FileExistsError:
                    continue
        except OSError as error:
            remedy = "free some space, or name" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "name"
            raise ShakegptError(
                f"The store {self.home} cannot be written ({error.strerror}); {remedy} another place in "
                f"${HOME_VARIABLE}."
            ) from error
        raise self._taken(name or "")

    def check_new_name(self, name: str) -> None:
        """Check that a new run may have this name.

        Raises:
            RunBusyError: a process is training a run of this name; the message says which.
            UsageError: no run can have it, or it is reserved.
            ShakegptError: another run has it.
        """
        check_run_name(name)
        if name in _RESERVED_NAMES:
            raise UsageError(f"A run cannot be called {name}: that name has a meaning of its own.")
        if (self.runs_folder / name).exists():
            raise self._taken(name)

    def _taken(self, name: str) -> ShakegptError:
        if (owner := Run(self.runs_folder / name).owner()) is not None:
            return run_busy_error(name, owner)
        return ShakegptError(
            f"There is a run {name} already; go on with it by --resume {name}, or choose another name with --run."
        )

    def summary(self, run: Run) -> RunSummary:
        """Return the row of a run."""
        checkpoints = run.checkpoints()
        losses = [info.val_loss for info in checkpoints if info.val_loss is not None]
        notes = read_notes(run)
        return RunSummary(
            name=run.name,
            status=run.status(),
            step=max((info.step for info in checkpoints), default=0),
            steps=run.metadata.training.steps,
            best_val_loss=min(losses, default=None),
            checkpoints=len(checkpoints),
            corpus=run.metadata.corpus,
            created=run.metadata.created,
            bytes=run.bytes(),
            note=notes.note,
            tags=notes.tags or [],
        )

    def find(self, reference: str) -> CheckpointInfo:
        """Return the checkpoint that a reference names.

        Args:
            reference: ``pretrained``, ``RUN`` (its best), ``RUN@best``, ``RUN@last``, ``RUN@500``, ``last`` (the newest
                run's last), or the path of a checkpoint's folder, or of a run's (its best).

        Raises:
            ShakegptError: it names nothing; the message says what there is.
        """
        if reference == PRETRAINED:
            return self._pretrained()
        if reference == LAST:
            return self._newest()
        reference = self._name_path(reference)
        if os.sep in reference or (Path(reference) / MANIFEST_FILE).exists():
            path = Path(reference).expanduser()
            if is_run(path) and (best := Run(path).best()):
                path = best.path  # of a run outside this store
            return read_checkpoint_info(path, reference=reference)
        name, _, which = reference.partition("@")
        run = self.run(name)
        checkpoints = run.checkpoints()
        if not checkpoints:
            raise CheckpointError(f"The run {name} has no checkpoint yet.")
        if which in ("", "best"):
            found = run.best()
        elif which == LAST:
            found = checkpoints[-1]
        else:
            found = next((info for info in checkpoints if str(info.step) == which), None)
        if found is None:
            steps = ", ".join(str(info.step) for info in checkpoints)
            raise CheckpointError(
                f"The run {name} has no checkpoint {escape_line(which)}; it has best, last and {steps}."
            )
        return found

    def metadata(self, info: CheckpointInfo) -> RunMetadata | None:
        """Return what the run of a checkpoint is, as far as it is known.

        A checkpoint named by its path may lie in a run's folder; the one that ships has its ``run.json`` beside it.
        """
        if info.run is not None:
            return self.run(info.run).metadata
        for folder in (info.path, info.path.absolute().parent.parent):
            with suppress(OSError, ValueError):
                return read_metadata(folder)
        return None

    def _name_path(self, reference: str) -> str:
        """Return the path of a run's folder in this store, as ``runs path`` prints it, as the run's name."""
        path, at, which = reference.partition("@") if os.sep in reference else ("", "", "")
        folder = Path(path).expanduser()
        if path and is_run(folder) and folder.resolve().parent == self.runs_folder.resolve():
            return f"{folder.name}{at}{which}"
        return reference

    def _pretrained(self) -> CheckpointInfo:
        try:
            path = asset_path(PRETRAINED)
        except FileNotFoundError:
            raise CheckpointError(
                "This installation has no pretrained model; train one with `shakegpt train` and name it instead."
            ) from None
        return read_checkpoint_info(path, reference=PRETRAINED)

    def _newest(self) -> CheckpointInfo:
        for run in self.runs():
            if last := run.last():
                return last
        raise CheckpointError("There is no checkpoint yet; begin a run with `shakegpt train`.")

    def default_reference(self) -> str:
        """Return the model to use when none is named: the best of the newest good enough run, else ``pretrained``.

        A run is good enough once its best validation loss on the text of the pretrained model is at most that model's:
        losses on two texts say nothing of each other.
        """
        try:
            shipped = self._pretrained()
        except CheckpointError:
            return next((best.reference for run in self.runs() if (best := run.best())), PRETRAINED)
        text = self.metadata(shipped)
        for run in self.runs():
            best = run.best()
            if best is None or best.val_loss is None or shipped.val_loss is None or best.val_loss > shipped.val_loss:
                continue
            own = self.metadata(best)
            if text is None or (own is not None and own.corpus_sha256 == text.corpus_sha256):
                return best.reference
        return PRETRAINED

    def open(self, reference: str, *, warn: Warn | None = None) -> "Checkpoint":
        """Read and verify the checkpoint that a reference names.

        Args:
            reference: as for ``find``.
            warn: called with a message about a damaged ``last``, for which the one before it is read; where left out,
                a damaged ``last`` is an error.

        Raises:
            ShakegptError: it names nothing, or the checkpoint is damaged.
        """
        return self.read(reference, warn=warn)[1]

    def read(
        self, reference: str, *, warn: Warn | None = None, to_resume: bool = False
    ) -> "tuple[CheckpointInfo, Checkpoint]":
        """Read a checkpoint as ``open`` does, and return which one it was too.

        Args:
            reference: as for ``find``.
            warn: as for ``open``.
            to_resume: a run's name alone means its last, and the training state must be readable as well.
        """
        from shakegpt.runs.checkpoint import (
            read_checkpoint,  # torch takes a second that lists and completion do without
        )

        reference = self._name_path(reference)
        tried = set[Path]()
        first_error: CheckpointError | None = None
        path, run = self._locate(reference, tried, to_resume=to_resume)
        while path is not None:
            tried.add(path)
            try:
                checkpoint = read_checkpoint(path)
                if to_resume:
                    checkpoint.read_training_state()
                return read_checkpoint_info(path, run=run, reference=None if run else reference), checkpoint
            except CheckpointError as error:
                damaged = path.exists()  # else the run's writer has just removed it for a newer one
                path, run = self._locate(reference, tried, to_resume=to_resume)
                if not damaged:
                    continue
                first_error = first_error or error
                if warn is None or path is None:
                    break
                warn(f"{error} Going back to the checkpoint before it.")
        raise first_error or CheckpointError(f"There is no checkpoint {escape_line(reference)} any more.")

    def _locate(self, reference: str, tried: set[Path], *, to_resume: bool) -> tuple[Path | None, str | None]:
        """Return the folder that a reference names, apart from those tried already, and its run."""
        name, _, which = reference.partition("@")
        if reference == LAST:
            run = next((run for run in self.runs() if run.checkpoint_folders()), None)
        elif os.sep not in reference and reference != PRETRAINED and (which == LAST or (to_resume and not which)):
            run = self.run(name)
        else:
            run = None
        if run is not None and (folders := run.checkpoint_folders()):
            return next((path for _, path in reversed(folders) if path not in tried), None), run.name
        info = self.find(reference)
        return (None if info.path in tried else info.path), info.run

    def language_model(self, reference: str, *, warn: Warn | None = None) -> "LanguageModel":
        """Return a model ready to generate. Arguments and errors as for ``open``."""
        from shakegpt.model.language_model import LanguageModel

        info, checkpoint = self.read(reference, warn=warn)
        return LanguageModel(
            model=checkpoint.model(),
            vocabulary=checkpoint.vocabulary,
            name=info.reference,
            step=info.step,
            val_loss=info.val_loss,
        )


def _free_names() -> Iterator[str]:
    for round_ in count(1):
        for name in _RUN_NAMES:
            yield name if round_ == 1 else f"{name}-{round_}"
