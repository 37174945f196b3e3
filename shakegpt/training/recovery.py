"""What is done about losses that are not finite (skip the step, go back, in the end give up) and about full memory."""

import math
from typing import Literal

import torch

from shakegpt.errors import CheckpointError, ShakegptError
from shakegpt.runs.checkpoint import Checkpoint, SavedTrainingState, TrainingMetadata, read_checkpoint
from shakegpt.runs.run import Run
from shakegpt.system.files import remove_folder

NON_FINITE_PATIENCE = 5
"""Steps in a row without a finite loss and gradient before the run goes back to a good checkpoint."""
MOST_ROLLBACKS = 3
ROLLBACK_RATE = 0.5
"""What going back does to the learning rate."""

Remedy = Literal["skip", "go back", "give up"]


class Recovery:
    """Counts what went wrong, and finds where to go back to.

    Args:
        run: the run, held by this process.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._below = math.inf
        self.streak = 0
        """Steps in a row that were not finite."""
        self.rollbacks = 0
        self.rate_scale = 1.0
        """What going back has left of the learning rate."""

    def remember(self, record: TrainingMetadata) -> None:
        """Take over what a checkpoint's record says."""
        self.streak, self.rollbacks = record.non_finite, record.rollbacks
        self.rate_scale = record.learning_rate_scale

    def note_finite(self) -> None:
        """A step was taken."""
        self.streak, self._below = 0, math.inf

    def note_non_finite(self) -> Remedy:
        """A step was not finite; return what to do about it."""
        self.streak += 1
        if self.streak < NON_FINITE_PATIENCE:
            return "skip"
        return "go back" if self.rollbacks < MOST_ROLLBACKS else "give up"

    def go_back(self) -> tuple[Checkpoint, SavedTrainingState] | None:
        """Return the newest good checkpoint, removing those after it, whose steps will be taken anew.

        Not good are those that cannot be read, those written amid non-finite steps, and one that was never evaluated
        and from which not a single step was finite the last time.

        Returns:
            ``None`` where the run has no checkpoint at all, so that it has to begin anew.

        Raises:
            CheckpointError: it has some, and none is good.
        """
        self.streak = 0
        self.rollbacks += 1
        self.rate_scale *= ROLLBACK_RATE
        folders = self._run.checkpoint_folders()
        for step, path in reversed(folders):
            try:
                checkpoint = read_checkpoint(path)
                state = checkpoint.read_training_state()
            except CheckpointError:
                continue
            if state.metadata.non_finite or (step >= self._below and checkpoint.manifest.val_loss is None):
                continue
            for later, later_path in folders:
                if later > step:
                    remove_folder(later_path)
            self._below = step
            return checkpoint, state
        if folders:
            raise CheckpointError(f"The run {self._run.name} has no good checkpoint to go back to.")
        return None


def is_out_of_memory(error: Exception) -> bool:
    """Say whether an error of torch means that memory ran out, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)


def more_parts(batch_size: int, parts: int) -> int:
    """Return the next number of parts, at least twice ``parts``, that a batch can be cut into.

    Raises:
        ShakegptError: its parts are single sequences already.
    """
    if parts >= batch_size:
        raise ShakegptError("Memory does not suffice for one sequence at a time; choose a smaller preset.")
    return next(count for count in range(2 * parts, batch_size + 1) if batch_size % count == 0)
