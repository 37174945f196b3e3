"""Saves a run in time, and when that fails, tries again while training goes on.

On a CUDA GPU training goes on while a thread writes: the vectors are copied to pinned memory, and the GPU takes the
next steps while they are hashed, written and synced. Elsewhere training waits. On a CPU there is little to gain, since
a step takes all cores, and one save in some hundred steps takes about as long as a step; the copy would take memory,
and it would depend on the disk after which step a save is reported.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from shakegpt.errors import CheckpointError, ShakegptError, error_reason
from shakegpt.events import Saved
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
        in_background: whether training goes on while a checkpoint is written.
    """

    def __init__(self, run: Run, *, keep: int, every_seconds: float, in_background: bool = False) -> None:
        self._run, self._keep, self._every_seconds = run, keep, every_seconds
        self._in_background = in_background
        self._begun: tuple[Saved, Future[None]] | None = None
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
        if self._begun is not None:
            return False
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

    def begin(self, data: CheckpointData, report: Saved) -> None:
        """Begin to save; ``take_report`` tells how it went, and must have told so of the save before.

        Returns once the checkpoint is written, or in the background, once what to write is on its way from the GPU:
        what is computed from now on does not change it.

        Args:
            data: what to save.
            report: what to tell once it is on the disk.
        """
        copies = HostCopies() if self._in_background else None
        if copies is not None:
            data = copies.of_checkpoint(data)

        written: Future[None] = Future()
        self._begun = report, written

        def write() -> None:
            try:
                if copies is not None:
                    copies.wait()
                self.save(data)
            except BaseException as error:  # raised by take_report
                written.set_exception(error)
            else:
                written.set_result(None)

        if self._in_background:  # on no executor's thread: those take no work once the main thread has ended
            threading.Thread(target=write, name="shakegpt-saver").start()
        else:
            write()

    def take_report(self, *, wait: bool) -> Saved | None:
        """Return the report of the save that was begun, once, if it has ended, or wait until it has.

        Raises:
            ShakegptError: it failed, as ``save`` does.
        """
        if self._begun is None or not (wait or self._begun[1].done()):
            return None
        (report, written), self._begun = self._begun, None
        written.result()
        return report

    def close(self) -> None:
        """Wait until nothing is written; another save may be begun after that."""
        if self._begun is not None:
            self._begun[1].exception()

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


class HostCopies:
    """Copies of tensors in the host's memory, on their way from a GPU to pinned memory.

    A vector that several tensors are views of is copied once, and their copies are views of its copy.
    """

    def __init__(self) -> None:
        self._copies: dict[int, Tensor] = {}  # by the address of what was copied
        self._arrived: list[torch.cuda.Event] = []

    def of_checkpoint(self, data: CheckpointData) -> CheckpointData:
        """Return the same checkpoint of copies."""
        state = data.training_state
        return replace(
            data,
            weights=self.of(data.weights),
            training_state=state and replace(state, tensors=self.of(state.tensors)),
        )

    def of(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return copies; those from a GPU have their numbers once ``wait`` has returned."""
        return {
            name: self._vector(tensor).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
            for name, tensor in tensors.items()
        }

    def _vector(self, tensor: Tensor) -> Tensor:
        """Return the copy of all numbers, (N,), that a tensor is a view of."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._copies:
            vector = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(storage)
            copy = torch.empty_like(vector, device="cpu", pin_memory=vector.is_cuda)
            self._copies[storage.data_ptr()] = copy.copy_(vector, non_blocking=vector.is_cuda)
            if vector.is_cuda:
                arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
                arrived.record(torch.cuda.current_stream(vector.device))
                self._arrived.append(arrived)
        return self._copies[storage.data_ptr()]

    def wait(self) -> None:
        """Wait until all copies are here."""
        for arrived in self._arrived:
            arrived.synchronize()
