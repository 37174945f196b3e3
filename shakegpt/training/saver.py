"""Saves a run in time, and when that fails, tries again while training goes on."""

import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError

from shakegpt.errors import CheckpointError, ShakegptError, error_reason
from shakegpt.runs.checkpoint import CheckpointData, encode_checkpoint, matches_disk, write_encoded
from shakegpt.runs.manifest import MANIFEST_FILE, CheckpointInfo, read_checkpoint_info, read_manifest
from shakegpt.runs.run import Run
from shakegpt.system.files import replace_file

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 60.0


class Saver:
    """Writes a run's checkpoints, removes old ones, and backs off from a disk that fails.

    Args:
        run: the run, locked by this process.
        keep: periodic checkpoints kept beside the best and the last.
        every_seconds: the longest wall time between saves; 0 for no limit.
    """

    def __init__(self, run: Run, *, keep: int, every_seconds: float) -> None:
        self._run, self._keep, self._every_seconds = run, keep, every_seconds
        self._saved_at = time.monotonic()
        self._retry_at = 0.0
        self.failures = 0
        """Failures in a row."""
        self.last_error = ""
        """What went wrong at the newest failure; empty after a success."""

    def due(self, *, within: float = 0.0) -> bool:
        """Return whether a save is due by wall time: the interval has passed, or a failed save can be retried.

        Args:
            within: seconds from now during which nothing can be saved.
        """
        if self.failures:
            return self.ready()
        return self._every_seconds > 0 and time.monotonic() + within - self._saved_at >= self._every_seconds

    def ready(self) -> bool:
        """Return whether a save may be tried now: not while backing off."""
        return time.monotonic() >= self._retry_at

    def wait_until_ready(self, stop: threading.Event, deadline: float) -> None:
        """Wait for the next try, until ``stop`` is set, or until ``time.monotonic()`` reaches the deadline."""
        stop.wait(max(0.0, min(self._retry_at, deadline) - time.monotonic()))
        self._retry_at = 0.0

    def save(self, data: CheckpointData) -> CheckpointInfo:
        """Write a checkpoint and remove those no longer kept.

        Where the same bytes are there already, only the validation loss is recorded.

        Raises:
            ShakegptError: it could not be written; earlier checkpoints are whole, and the back-off has begun.
        """
        folder = self._run.checkpoint_path(data.step)
        try:
            encoded = encode_checkpoint(data)
            if matches_disk(folder, encoded):
                _record_val_loss(folder, data.val_loss)
            else:
                write_encoded(folder, encoded)
            info = read_checkpoint_info(folder, run=self._run.name)
        except (OSError, SafetensorError, CheckpointError) as error:
            raise self._back_off(data.step, error_reason(error)) from error
        self.failures, self.last_error = 0, ""
        self._saved_at, self._retry_at = time.monotonic(), 0.0
        with suppress(OSError):  # one old checkpoint too many does no harm
            self._run.prune_checkpoints(self._keep)
        return info

    def _back_off(self, step: int, reason: str) -> ShakegptError:
        delay = min(FIRST_DELAY_SECONDS * 2**self.failures, LONGEST_DELAY_SECONDS)
        self.failures += 1
        self._retry_at = time.monotonic() + delay
        self.last_error = (
            f"Step {step} could not be saved to {self._run.path} ({reason}); earlier checkpoints are whole"
        )
        return ShakegptError(f"{self.last_error}, and saving is tried again in {delay:.0f} s.")


def _record_val_loss(folder: Path, val_loss: float | None) -> None:
    manifest = read_manifest(folder)
    if manifest.val_loss != val_loss:
        replace_file(folder / MANIFEST_FILE, replace(manifest, val_loss=val_loss).to_json())
