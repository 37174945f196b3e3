"""What a training says of itself: events, made from its state."""

from dataclasses import replace

from shakegpt.config import SamplingConfig, TrainingConfig, current_preset
from shakegpt.data.corpus import Corpus
from shakegpt.evaluation.loss import Loss
from shakegpt.events import Evaluation, Sample, Saved, Started, Step, perplexity
from shakegpt.generation.stream import Stream
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.run import Run
from shakegpt.system.device import DevicePlan
from shakegpt.training.state import TrainingState
from shakegpt.training.step_runner import TakenStep

_SAMPLE_SETTINGS = SamplingConfig(temperature=0.8, top_p=0.95)


def report_start(
    run: Run, state: TrainingState, config: TrainingConfig, plan: DevicePlan, preset: str, resumed_from: str | None
) -> Started:
    """Say what begins: the run, its model and its text, and where it trains."""
    model, metadata = state.model.config, run.metadata
    return Started(
        step=state.step,
        run=run.name,
        steps=config.steps,
        parameters=model.parameters,
        vocab_size=model.vocab_size,
        corpus=metadata.corpus,
        device=plan.name,
        precision=plan.precision,
        reason=plan.reason,
        threads=plan.threads,
        batch_size=config.batch_size,
        block_size=model.block_size,
        preset=current_preset(preset),
        resumed_from=resumed_from,
        corpus_note=metadata.corpus_note,
        eval_every=config.eval_every,
        begun_from=metadata.begun_from,
        new_characters=metadata.new_characters,
        gpu=plan.gpu,
    )


def report_step(taken: TakenStep, learning_rate: float, state: TrainingState) -> Step:
    """Say how a finite step went, which ``state`` has counted."""
    result = taken.result
    return Step(
        step=taken.step,
        loss=result.loss,
        perplexity=perplexity(result.loss),
        learning_rate=learning_rate,
        grad_norm=result.grad_norm,
        tokens_per_second=state.clock.tokens_per_second,
        seconds=state.clock.seconds,
        tokens=state.tokens,
    )


def report_evaluation(live: Loss, averaged: Loss, state: TrainingState) -> Evaluation:
    """Say how the weights do, whose losses ``state`` knows.

    Args:
        live: the loss of the weights in training.
        averaged: that of their moving average; where there is none, the same.
        state: of the training.
    """
    loss = averaged if state.average_is_better else live
    has_average, partial = state.optimizer.average is not None, loss.windows < loss.all_windows
    return Evaluation(
        step=state.step,
        train_loss=state.train_loss,
        val_loss=loss.nats,
        perplexity=loss.perplexity,
        bits_per_character=loss.bits_per_character,
        best=state.is_best,
        seconds=state.clock.seconds,
        tokens=state.tokens,
        windows=loss.windows if partial else None,
        all_windows=loss.all_windows if partial else None,
        ema=state.average_is_better if has_average else None,
        ema_val_loss=averaged.nats if has_average else None,
        live_val_loss=live.nats if has_average else None,
    )


def report_sample(name: str, corpus: Corpus, state: TrainingState, config: TrainingConfig) -> Sample:
    """Generate from the run's fixed prompt and seed."""
    known = set(config.sample_prompt) <= set(corpus.vocabulary.characters)
    prompt = config.sample_prompt if known else ""
    settings = replace(_SAMPLE_SETTINGS, seed=config.seed, length=config.sample_length)
    language_model = LanguageModel(model=state.model, vocabulary=corpus.vocabulary, name=name)
    text = "".join(character.text for character in Stream(language_model, prompt, settings))
    return Sample(step=state.step, prompt=prompt, text=text)


def report_save(run: Run, state: TrainingState, config: TrainingConfig) -> Saved:
    """Say that the state is saved as it is now, to be told once it is on the disk."""
    return Saved(
        step=state.step,
        path=str(run.checkpoint_path(state.step)),
        best=state.is_best,
        val_loss=state.finite_val_loss,
        ema=state.average_is_better if config.ema else None,
    )
