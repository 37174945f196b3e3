"""Everything that changes while a run trains: what a checkpoint records, and what resuming restores."""

import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.data.corpus import Corpus
from shakegpt.model.gpt import GPT
from shakegpt.runs.checkpoint import LIVE_PREFIX, Checkpoint, CheckpointData, SavedTrainingState, TrainingMetadata
from shakegpt.runs.manifest import SCHEMA
from shakegpt.system.device import DevicePlan
from shakegpt.system.seeds import derive_seed
from shakegpt.training.fine_tuning import load_weights
from shakegpt.training.flat_parameters import FlatParameters
from shakegpt.training.optimizer import Optimizer
from shakegpt.version import versions

_STEPS_TIMED = 10


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint to resume from, and warnings for the user."""

    checkpoint: Checkpoint
    saved: SavedTrainingState
    reference: str
    """How the user refers to the checkpoint, such as ``macbeth@500``."""
    warnings: tuple[str, ...] = ()


class TrainingClock:
    """The time spent inside ``with``, which excludes pauses, and the speed of the newest steps."""

    def __init__(self, tokens_per_step: int) -> None:
        self._tokens_per_step = tokens_per_step
        self._step_seconds: deque[float] = deque(maxlen=_STEPS_TIMED)
        self._earlier_seconds = 0.0
        self._entered: float | None = None

    @property
    def seconds(self) -> float:
        """Time spent training so far, over all sessions of the run."""
        return self._earlier_seconds + (0.0 if self._entered is None else time.monotonic() - self._entered)

    def restore(self, seconds: float) -> None:
        """Start from the time that a checkpoint records; a rollback does not turn it back."""
        self._earlier_seconds += max(0.0, seconds - self.seconds)

    def add_step(self, seconds: float) -> None:
        """Count how long a step took."""
        self._step_seconds.append(seconds)

    @property
    def tokens_per_second(self) -> float:
        """Characters a second over the newest steps; 0 before the first."""
        total = sum(self._step_seconds)
        return self._tokens_per_step * len(self._step_seconds) / total if total > 0 else 0.0

    def __enter__(self) -> None:
        self._entered = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._earlier_seconds, self._entered = self.seconds, None


class TrainingState:
    """A run after ``step`` optimizer steps: its model, its optimizer and its counters. New, it has taken none.

    Its weights are drawn; ``initial_weights``, those of a checkpoint of the same shape, take the place of those that
    they have, as ``load_weights`` says. Losses are nats per character.
    """

    def __init__(
        self,
        config: TrainingConfig,
        model_config: ModelConfig,
        device_plan: DevicePlan,
        initial_weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._config, self._device_plan, self._initial_weights = config, device_plan, initial_weights
        self.model = self._initial_model(model_config).to(device_plan.device)
        self.parameters = FlatParameters(self.model)
        """The model's weights, and their gradient, as vectors."""
        self.clock = TrainingClock(config.batch_size * model_config.block_size)
        self.optimizer = Optimizer(self.parameters, config, precision=device_plan.precision)
        self.accumulate = config.accumulate
        """Micro-batches now: more than the configuration asks for after memory ran out."""
        self._clear()

    def _initial_model(self, model_config: ModelConfig) -> GPT:
        model = GPT(model_config, seed=derive_seed(self._config.seed, "weights"))
        if self._initial_weights is not None:
            load_weights(model, self._initial_weights)
        return model

    def _clear(self) -> None:
        self.step = self.tokens = 0
        self.val_loss: float | None = None
        """Validation loss of the weights as they are now, or of their average where that is lower; ``None`` until
        they are evaluated."""
        self.average_is_better = False
        """Whether it is that of the average."""
        self.best_val_loss: float | None = None
        """The lowest validation loss of earlier weights."""
        self.best_step: int | None = None
        self.non_finite_steps = self.rollbacks = 0
        """Steps in a row that were not finite; how often the run rolled back for that."""
        self.learning_rate_scale = 1.0
        """What going back has multiplied the learning rate by."""
        self.is_saved = False
        """Whether the run has a checkpoint of this state."""
        self._reset_losses()

    def _reset_losses(self, total: float = 0.0, count: int = 0) -> None:
        self._loss_sum, self._loss_count = total, count

    # To disk and back

    def checkpoint(self, corpus: Corpus, preset: str) -> CheckpointData:
        """Return what a checkpoint of this state is made of: views of it, which the next step changes."""
        return CheckpointData(
            config=self.model.config,
            vocabulary=corpus.vocabulary,
            weights=self.best_weights(),
            step=self.step,
            val_loss=self.finite_val_loss,
            ema=self.average_is_better,
            seconds=self.clock.seconds,
            training_state=self.save(corpus, preset),
        )

    def save(self, corpus: Corpus, preset: str) -> SavedTrainingState:
        """Return what a checkpoint records beside ``best_weights``. Waits for a GPU."""
        metadata = TrainingMetadata(
            schema=SCHEMA,
            step=self.step,
            tokens=self.tokens,
            training=self._config,
            preset=preset,
            corpus=corpus.name,
            corpus_sha256=corpus.sha256,
            precision=self._device_plan.precision,
            device=self._device_plan.device.type,
            threads=self._device_plan.threads,
            versions=versions(),
            best_step=self.best_step,
            best_val_loss=self.best_val_loss,
            train_loss_sum=self._loss_sum,
            train_loss_count=self._loss_count,
            accumulate=self.accumulate,
            non_finite=self.non_finite_steps,
            rollbacks=self.rollbacks,
            learning_rate_scale=self.learning_rate_scale,
            gpu=self._device_plan.name if self._device_plan.device.type == "cuda" else None,
            driver=self._device_plan.driver,
        )
        tensors = self.optimizer.state_dict()
        if self.average_is_better:
            tensors |= {f"{LIVE_PREFIX}{name}": weight for name, weight in self.model.state_dict().items()}
        return SavedTrainingState(metadata, tensors)

    def best_weights(self) -> dict[str, Tensor]:
        """Return the weights to use: those in training, or their average where that was evaluated as better."""
        return self.optimizer.averaged_weights() if self.average_is_better else self.model.state_dict()

    def restore(self, checkpoint: Checkpoint, saved: SavedTrainingState, *, is_saved: bool = True) -> None:
        """Restore the state that a checkpoint records.

        Args:
            checkpoint: its weights, validation loss and time.
            saved: what it records beside them.
            is_saved: whether the checkpoint is one of the run's own.
        """
        metadata, manifest = saved.metadata, checkpoint.manifest
        weights = {
            name: saved.tensors.get(f"{LIVE_PREFIX}{name}", weight) for name, weight in checkpoint.weights.items()
        }
        self.model.load_state_dict(weights)
        self.optimizer.load_state_dict(saved.tensors)
        self.step, self.tokens = metadata.step, metadata.tokens
        self.average_is_better = manifest.ema and self.optimizer.average is not None
        # A fork that keeps no average goes on with weights whose own loss is not recorded.
        self.val_loss = None if manifest.ema and not self.average_is_better else manifest.val_loss
        self.best_step, self.best_val_loss = metadata.best_step, metadata.best_val_loss
        self.non_finite_steps, self.rollbacks = metadata.non_finite, metadata.rollbacks
        self.learning_rate_scale = metadata.learning_rate_scale
        then, now = metadata.training, self._config
        if (then.batch_size, then.accumulate) == (now.batch_size, now.accumulate):
            self.accumulate = metadata.accumulate
        self.clock.restore(manifest.seconds)
        self.is_saved = is_saved
        self._reset_losses(metadata.train_loss_sum, metadata.train_loss_count)

    def reset(self) -> None:
        """Go back to before the first step. The clock runs on, and the micro-batches stay as small as they are."""
        self.model.load_state_dict(self._initial_model(self.model.config).state_dict())
        self.optimizer.reset()
        self._clear()

    # Step by step

    def begin_step(self) -> None:
        """Count the evaluation of these weights, if there was one, for the best so far, and restart the training loss.

        Only when the next step begins: what a checkpoint records is the same whether its step was evaluated or is
        still to be, so a run that is cut between the two loses nothing.
        """
        self.is_saved = False
        if self.val_loss is None:
            return
        if self.is_best:
            self.best_val_loss, self.best_step = self.val_loss, self.step
        self._reset_losses()
        self.val_loss, self.average_is_better = None, False

    def end_step(self, loss: float | None, tokens: int) -> None:
        """Count a step.

        Args:
            loss: ``None`` where it was skipped, since a number was not finite.
            tokens: characters that the step learned from.
        """
        if loss is not None:
            self._loss_sum += loss
            self._loss_count += 1
        self.step += 1
        self.tokens += tokens

    def set_val_loss(self, val_loss: float, average_val_loss: float = math.nan) -> None:
        """Note the validation loss of these weights, and of their average, which may not be finite."""
        self.average_is_better = math.isfinite(average_val_loss) and not val_loss <= average_val_loss
        self.val_loss = average_val_loss if self.average_is_better else val_loss
        self.is_saved &= not math.isfinite(self.val_loss)

    @property
    def train_loss(self) -> float:
        """The mean of the training losses since the last evaluation; NaN where there were none."""
        return self._loss_sum / self._loss_count if self._loss_count else math.nan

    @property
    def finite_val_loss(self) -> float | None:
        """The validation loss of these weights, where it is known and finite."""
        return self.val_loss if self.val_loss is not None and math.isfinite(self.val_loss) else None

    @property
    def is_best(self) -> bool:
        """Whether these weights were evaluated, and none before them did better."""
        loss = self.finite_val_loss
        return loss is not None and (self.best_val_loss is None or loss < self.best_val_loss)

    def early_end(self) -> str | None:
        """Return why the run ends before its last step: the newest evaluations brought no new best."""
        config = self._config
        undecided = self.val_loss is None or self.is_best or self.best_step is None
        if not config.early_stop or undecided or self.step >= config.steps:
            return None
        evaluations = (self.step - (self.best_step or 0)) // config.eval_every
        return f"{evaluations} evaluations without a new best" if evaluations >= config.early_stop else None
