"""When a run is saved, and what happens when it cannot be: training goes on, and saving is tried again."""

import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError

from shakegpt.errors import CheckpointError, ShakegptError
from shakegpt.runs.checkpoint import CheckpointData, encode_checkpoint, matches_disk, write_encoded
from shakegpt.runs.manifest import MANIFEST_FILE, read_manifest
from shakegpt.runs.run import CheckpointInfo, Run, read_checkpoint_info
from shakegpt.system.files import replace_file

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 60.0


class Saver:
    """Writes a run's checkpoints, keeps the right ones, and backs off from a disk that fails.

    Args:
        run: the run, held by this process.
        keep: periodic checkpoints kept beside the best and the last.
        every_seconds: the most wall time between saves; 0 for no such bound.
    """

    def __init__(self, run: Run, *, keep: int, every_seconds: float) -> None:
        self._run, self._keep, self._every = run, keep, every_seconds
        self._saved_at = time.monotonic()
        self._retry_at = 0.0
        self.attempts = 0
        """Failures in a row."""
        self.trouble = ""
        """What the newest failure was."""
        self.newest: tuple[int, float | None] = (-1, None)
        """The step and the validation loss of the newest checkpoint that is safely on disk."""

    def due(self, *, within: float = 0.0) -> bool:
        """Say whether wall time asks for a save: the interval has passed, or an earlier failure waits for its retry.

        Args:
            within: seconds that nothing can be saved in from now on.
        """
        if self.attempts:
            return self.ready()
        return self._every > 0 and time.monotonic() + within - self._saved_at >= self._every

    def ready(self) -> bool:
        """Say whether a save may be tried now: not while backing off."""
        return time.monotonic() >= self._retry_at

    def wait(self, hurry: threading.Event) -> None:
        """Wait until the back-off has passed; where there is a hurry, it has."""
        hurry.wait(max(0.0, self._retry_at - time.monotonic()))
        self._retry_at = 0.0

    def save(self, contents: CheckpointData) -> CheckpointInfo:
        """Write a checkpoint and remove those no longer kept.

        One that is already there, of this step and of the same bytes, only learns its validation loss.

        Raises:
            ShakegptError: it could not be written; earlier checkpoints are whole, and the back-off has begun.
        """
        step, val_loss = contents.step, contents.val_loss
        folder = self._run.checkpoint_path(step)
        try:
            encoded = encode_checkpoint(contents)
            if matches_disk(folder, encoded):
                _note_val_loss(folder, val_loss)
            else:
                write_encoded(folder, encoded)
            info = read_checkpoint_info(folder, run=self._run.name)
        except (OSError, SafetensorError, CheckpointError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise self._back_off(step, reason) from error
        self.newest, self.attempts, self.trouble = (step, val_loss), 0, ""
        self._saved_at, self._retry_at = time.monotonic(), 0.0
        with suppress(OSError):  # an old checkpoint too many is no reason to stop
            self._run.prune_checkpoints(self._keep)
        return info

    def _back_off(self, step: int, reason: str) -> ShakegptError:
        delay = min(FIRST_DELAY_SECONDS * 2**self.attempts, LONGEST_DELAY_SECONDS)
        self.attempts += 1
        self._retry_at = time.monotonic() + delay
        self.trouble = (
            f"Step {step} could not be saved to {self._run.path} ({reason}); earlier checkpoints are whole, and saving "
            f"is tried again in {delay:.0f} s."
        )
        return ShakegptError(self.trouble)


def _note_val_loss(folder: Path, val_loss: float | None) -> None:
    manifest = read_manifest(folder)
    if manifest.val_loss != val_loss:
        replace_file(folder / MANIFEST_FILE, replace(manifest, val_loss=val_loss).to_json())
