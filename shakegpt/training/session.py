"""What a training session is made of, and what it says of itself: its first event, its samples, and its records."""

from dataclasses import dataclass, replace

from shakegpt.config import ModelConfig, SamplingConfig, TrainingConfig
from shakegpt.data.corpus import Corpus
from shakegpt.events import Sample, Started
from shakegpt.generation.stream import Stream
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.checkpoint import TrainingMetadata
from shakegpt.runs.manifest import SCHEMA
from shakegpt.system.device import DevicePlan
from shakegpt.training.recovery import Recovery
from shakegpt.training.standing import Standing
from shakegpt.version import versions

_SAMPLE_SETTINGS = SamplingConfig(temperature=0.8, top_p=0.95)


@dataclass(frozen=True, kw_only=True)
class Session:
    """All that stays as it is while a trainer trains."""

    run: str
    """The run's name."""
    config: TrainingConfig
    corpus: Corpus
    model_config: ModelConfig
    device_plan: DevicePlan
    preset: str
    compiling: str
    """Why passes are compiled or not; empty where nobody asks."""
    resumed_from: str | None
    """The checkpoint that training goes on from."""

    def started(self, step: int) -> Started:
        """Return the event that begins the session, after ``step``."""
        return Started(
            step=step,
            run=self.run,
            steps=self.config.steps,
            parameters=self.model_config.parameters,
            vocab_size=self.model_config.vocab_size,
            corpus=self.corpus.name,
            device=self.device_plan.name,
            precision=self.device_plan.precision,
            reason="; ".join(filter(None, (self.device_plan.reason, self.compiling))),
            threads=self.device_plan.threads,
            batch_size=self.config.batch_size,
            block_size=self.model_config.block_size,
            preset=self.preset,
            resumed_from=self.resumed_from,
        )

    def sample(self, model: GPT, step: int) -> Sample:
        """Return what the model writes after ``step``, from the run's fixed prompt and seed."""
        known = set(self.config.sample_prompt) <= set(self.corpus.vocabulary.characters)
        prompt = self.config.sample_prompt if known else ""
        settings = replace(_SAMPLE_SETTINGS, seed=self.config.seed, length=self.config.sample_length)
        live = LanguageModel(model=model, vocabulary=self.corpus.vocabulary, name=self.run)
        text = "".join(character.text for character in Stream(live, prompt, settings))
        return Sample(step=step, prompt=prompt, text=text)

    def record(
        self, *, step: int, tokens: int, accumulate: int, standing: Standing, recovery: Recovery
    ) -> TrainingMetadata:
        """Return what a checkpoint of ``step`` records beside its tensors. Waits for a GPU.

        Args:
            step: the optimizer steps taken.
            tokens: the characters learned from.
            accumulate: the parts that a batch goes through in now.
            standing: the losses so far.
            recovery: the trouble so far.
        """
        total, count = standing.train_losses()
        return TrainingMetadata(
            schema=SCHEMA,
            step=step,
            tokens=tokens,
            training=self.config,
            preset=self.preset,
            corpus=self.corpus.name,
            corpus_sha256=self.corpus.sha256,
            precision=self.device_plan.precision,
            device=self.device_plan.device.type,
            threads=self.device_plan.threads,
            versions=versions(),
            best_step=standing.best_step,
            best_val_loss=standing.best_val_loss,
            train_loss_sum=total,
            train_loss_count=count,
            accumulate=accumulate,
            non_finite=recovery.streak,
            rollbacks=recovery.rollbacks,
            learning_rate_scale=recovery.rate_scale,
        )
