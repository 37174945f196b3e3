"""Recovery from losses that are not finite (skip, roll back, in the end fail) and from running out of memory."""

import math
from collections.abc import Iterator

import torch

from shakegpt.errors import CheckpointError, ShakegptError
from shakegpt.events import Event, Failed, Warning
from shakegpt.runs.checkpoint import Checkpoint, SavedTrainingState, read_checkpoint
from shakegpt.runs.run import Run
from shakegpt.system.files import remove_folder
from shakegpt.training.state import TrainingState

MAX_NON_FINITE_STEPS = 5
"""Steps in a row without a finite loss and gradient before the run goes back to a checkpoint."""
MAX_ROLLBACKS = 3
ROLLBACK_RATE = 0.5
"""What each rollback multiplies the learning rate by."""


_OUT_OF_MEMORY = ("allocate memory", "out of memory", "cublas_status_alloc_failed")
"""What torch says on a CPU; on MPS and CUDA; and what cuBLAS says."""


class Recovery:
    """Changes a training's state so that training can go on, and returns the events that tell the user."""

    def __init__(self, run: Run, state: TrainingState) -> None:
        self._run, self._state = run, state
        self._rolled_back_to = math.inf
        """The step of the last rollback, until a step is finite again."""

    def step_taken(self) -> None:
        """Reset the count of steps that were not finite."""
        self._state.non_finite_steps, self._rolled_back_to = 0, math.inf

    def step_skipped(self) -> Iterator[Event]:
        """Count a step that was not finite; after too many in a row, roll back to a checkpoint, or fail."""
        state = self._state
        state.non_finite_steps += 1
        if state.non_finite_steps == 1:
            message = f"Step {state.step} had a loss or gradient that is not finite; it was skipped."
            yield Warning(step=state.step, kind="non-finite", message=message)
        if state.non_finite_steps < MAX_NON_FINITE_STEPS:
            return
        if state.rollbacks < MAX_ROLLBACKS:
            yield self._roll_back()
        else:
            yield Failed(
                step=state.step,
                message=f"The loss stayed not finite after going back {state.rollbacks} times; train with a "
                "lower --learning-rate, or in fp32.",
            )

    def _roll_back(self) -> Warning:
        state, last_step = self._state, self._state.step
        rollbacks, learning_rate_scale = state.rollbacks + 1, state.learning_rate_scale * ROLLBACK_RATE
        good = self._find_good_checkpoint()
        if good is None:
            state.reset()
        else:
            state.restore(*good)
        state.non_finite_steps, state.rollbacks, state.learning_rate_scale = 0, rollbacks, learning_rate_scale
        return Warning(
            step=state.step,
            kind="rollback",
            message=f"Steps up to {last_step} were not finite: the run went back to step {state.step} with the "
            f"learning rate times {learning_rate_scale:g} ({rollbacks} of {MAX_ROLLBACKS} times).",
        )

    def _find_good_checkpoint(self) -> tuple[Checkpoint, SavedTrainingState] | None:
        """Return the newest good checkpoint, removing those after it, whose steps will be taken again.

        Not good are those that cannot be read, those written amid non-finite steps, and one that was never evaluated
        and from which no step was finite after the last rollback.

        Returns:
            ``None`` where the run has no checkpoint, so that it starts over.

        Raises:
            CheckpointError: there are some, and none is good.
        """
        folders = self._run.checkpoint_folders()
        for step, path in reversed(folders):
            try:
                checkpoint = read_checkpoint(path)
                saved = checkpoint.read_training_state()
            except CheckpointError:
                continue
            if saved.metadata.non_finite or (step >= self._rolled_back_to and checkpoint.manifest.val_loss is None):
                continue
            for later, later_path in folders:
                if later > step:
                    remove_folder(later_path)
            self._rolled_back_to = step
            return checkpoint, saved
        if folders:
            raise CheckpointError(f"The run {self._run.name} has no good checkpoint to go back to.")
        return None

    def split_batch(self, batch_size: int) -> Warning:
        """Cut the batch into at least twice as many micro-batches, after memory ran out.

        Raises:
            ShakegptError: the micro-batches are single sequences already.
        """
        state = self._state
        if state.accumulate >= batch_size:
            raise ShakegptError("Memory does not suffice for one sequence at a time; choose a smaller preset.")
        state.accumulate = next(
            count for count in range(2 * state.accumulate, batch_size + 1) if batch_size % count == 0
        )
        if state.parameters.weights.is_cuda:
            torch.cuda.empty_cache()
        return Warning(
            step=state.step,
            kind="memory",
            message=f"Memory ran out at step {state.step + 1}: the batch of {batch_size} now goes through in "
            f"{state.accumulate} parts.",
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device or the machine has too little memory; torch has no one type for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)
