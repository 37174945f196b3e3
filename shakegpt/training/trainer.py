"""The training loop: a recipe that is read from top to bottom, and yields what happens as events."""

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing

import torch

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.data.corpus import Corpus, draw_batch
from shakegpt.errors import ShakegptError, describe_failure
from shakegpt.evaluation.loss import evaluate
from shakegpt.events import Evaluation, Event, Failed, Finished, Outcome, Saved, Step, Warning, perplexity
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.checkpoint import Checkpoint, CheckpointData, Resume, SavedTrainingState, build_model
from shakegpt.runs.run import Run
from shakegpt.system.device import DevicePlan
from shakegpt.system.seeds import derive_seed
from shakegpt.system.threads import ThreadPool, torch_threads
from shakegpt.training.compiling import Compiler
from shakegpt.training.distributed import LostRankError, SharedGradients, is_distributed
from shakegpt.training.gradients import Gradients
from shakegpt.training.optimizer import Optimizer
from shakegpt.training.pace import Pace
from shakegpt.training.recovery import MOST_ROLLBACKS, Recovery, is_out_of_memory, more_parts
from shakegpt.training.saver import Saver
from shakegpt.training.schedule import learning_rate_at
from shakegpt.training.session import Session
from shakegpt.training.standing import Standing

_LOG_EVERY_ON_GPU = 10  # fetching a loss makes the GPU wait for the CPU


class Trainer:
    """Trains one run. Iterating trains; not advancing pauses; closing the iterator saves and stops.

    Args:
        run: where it is recorded; held from the first event to the last.
        config: how to train.
        corpus: what on.
        model_config: the shape of the model.
        device_plan: where, and in which precision.
        preset: the name of the preset, for the record.
        resume: what to go on from; ``None`` begins anew.

    Raises:
        CorpusError: the text is too short for one window.
    """

    def __init__(
        self,
        run: Run,
        config: TrainingConfig,
        corpus: Corpus,
        *,
        model_config: ModelConfig,
        device_plan: DevicePlan,
        preset: str,
        resume: Resume | None = None,
    ) -> None:
        corpus.check_length(model_config.block_size)
        self.run, self.config, self.corpus, self.device_plan = run, config, corpus, device_plan
        self.step = self.tokens = 0
        self._standing = Standing(device_plan.device)
        self._recovery = Recovery(run)
        self._model_config = model_config
        self._resume = resume
        self._stop = threading.Event()
        self._save_wanted = False
        self._accumulate = config.accumulate
        self._train_ids = corpus.train.to(device_plan.device)
        self._validation_ids = corpus.validation.to(device_plan.device)
        self._pace = Pace(config.batch_size * model_config.block_size)
        self._evaluation_seconds = 0.0
        self._pool = ThreadPool(device_plan.threads)
        self._saver = Saver(run, keep=config.keep, every_seconds=config.save_seconds)
        taken = resume.state.metadata.step if resume else 0
        self._compiler = Compiler(device_plan.device, config.steps - taken)
        self._session = Session(
            run=run.name,
            config=config,
            corpus=corpus,
            model_config=model_config,
            device_plan=device_plan,
            preset=preset,
            compiling=self._compiler.reason,
            resumed_from=resume.reference if resume else None,
        )
        if resume is None:
            self._begin()
        else:
            self._restore(resume.checkpoint, resume.state)

    # Commands: the few things that training listens to, from any thread

    def stop(self) -> None:
        """Finish the step, save and end."""
        self._stop.set()

    def save(self) -> None:
        """Save after the current step."""
        self._save_wanted = True

    def copy_model(self) -> LanguageModel:
        """Return a copy of the live weights, ready to generate. Only between steps: from the iterating thread."""
        weights = {name: weight.detach().cpu() for name, weight in self.model.state_dict().items()}
        return LanguageModel(
            model=build_model(self._model_config, weights),
            vocabulary=self.corpus.vocabulary,
            name=f"{self.run.name} (live)",
            step=self.step,
            val_loss=self._standing.val_loss,
        )

    # The loop

    def __iter__(self) -> Iterator[Event]:
        with self.run.lock(), closing(self.run.log):
            self.run.remove_leftovers()
            events = self._train()
            event: Event | None = None
            try:
                while True:
                    with self._pace, torch_threads(1):
                        event = next(events, None)
                    if event is None:
                        return
                    yield from self.run.log.record(event)
            except GeneratorExit:  # closed from outside: save, record, and go
                self._stop.set()
                events.close()
                last_words = () if isinstance(event, Finished | Failed) else self._finish()
                for event in last_words:
                    deque(self.run.log.record(event), maxlen=0)
                raise
            except Exception as error:  # whoever iterates tells of it; the log must not end without a word
                deque(self.run.log.record(Failed(step=self.step, message=describe_failure(error))), maxlen=0)
                raise

    def _train(self) -> Generator[Event, None, None]:
        yield self._session.started(self.step)
        if self._resume is None:
            yield self._session.sample(self.model, self.step)
        else:
            yield from (self._warning("resume", text) for text in self._resume.warnings)
            if not self._is_saved():  # a fork keeps a copy of what it began from
                yield from self._save()
        while not self._stop.is_set():
            if not self._evaluation_due():  # it is where a run was cut between a step and its evaluation
                if self.step >= self.config.steps:
                    break
                yield from self._take_step()
                if self._failed:
                    return
            if self._evaluation_due():
                if self._saver.due(within=self._evaluation_seconds):  # a long pass must not stretch the interval
                    yield from self._save()
                yield from self._evaluate()
            if self._save_due():
                yield from self._save()
        yield from self._finish()

    def _take_step(self) -> Iterator[Event]:
        """One optimizer step: batch -> loss -> gradients -> finite? -> clip -> AdamW."""
        self._standing.leave(self.step)
        began = time.perf_counter()
        step = self.step + 1
        rate = self._recovery.rate_scale * learning_rate_at(step, self.config)
        inputs, targets = draw_batch(
            self._train_ids,
            step,
            seed=self.config.seed,
            batch_size=self.config.batch_size,
            block_size=self._model_config.block_size,
            device=self.device_plan.device,
        )  # (B, T) each
        try:
            loss = self._gradients.compute(
                inputs, targets, step=step, accumulate=self._accumulate, scale=self._optimizer.loss_scale
            )
        except LostRankError as error:
            yield from self._save()
            self._failed = True
            told = f"step {self.step} is saved; go on with --resume {self.run.name}" if self._is_saved() else "unsaved"
            yield Failed(step=self.step, message=f"{error} The run ended: {told}.")
            return
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            yield self._split_further(error)
            return
        grad_norm = self._optimizer.step(rate, loss)
        self._standing.note_step(loss, self._optimizer.finite)
        self.step = step
        self.tokens += inputs.numel()
        shown = self._shows(step)
        taken = shown and not self._optimizer.skipped  # here, and nowhere before, a GPU is waited for
        self._pace.note_step(time.perf_counter() - began)
        if failure := self._compiler.take_failure():
            yield self._warning("compile", failure)
        if taken:
            self._recovery.note_finite()
            yield self._step_event(loss.item(), grad_norm.item(), rate)
        elif shown and not self._optimizer.overflowed:
            yield from self._recover()

    def _shows(self, step: int) -> bool:
        return self.device_plan.device.type == "cpu" or step % _LOG_EVERY_ON_GPU == 0 or step == self.config.steps

    def _evaluation_due(self) -> bool:
        at_interval = self.step % self.config.eval_every == 0 or self.step == self.config.steps
        return self.step > 0 and self._standing.val_loss is None and at_interval and not self._stop.is_set()

    def _evaluate(self) -> Iterator[Event]:
        began = time.monotonic()
        loss = evaluate(self.model, self._validation_ids, pool=self._pool, stop=self._stop.is_set)
        if loss is None:  # stopped meanwhile: the resumed run evaluates first thing
            return
        self._evaluation_seconds = time.monotonic() - began
        self._standing.val_loss = loss.nats
        self._save_wanted |= self._standing.is_best
        yield Evaluation(
            step=self.step,
            train_loss=self._standing.train_loss,
            val_loss=loss.nats,
            perplexity=loss.perplexity,
            bits_per_character=loss.bits_per_character,
            best=self._standing.is_best,
            seconds=self._pace.seconds,
            tokens=self.tokens,
        )
        if self.config.sample_length:
            yield self._session.sample(self.model, self.step)

    def _is_saved(self) -> bool:
        return self._saver.newest == (self.step, self._standing.known_val_loss)

    def _save_due(self) -> bool:
        if self._recovery.streak:
            return False
        return self._save_wanted or self.step % self.config.save_every == 0 or self._saver.due()

    def _save(self) -> Iterator[Event]:
        """Save, or say why that failed; the saver tries again when its back-off has passed."""
        if not self._saver.ready():
            return
        try:
            info = self._saver.save(
                CheckpointData(
                    config=self._model_config,
                    vocabulary=self.corpus.vocabulary,
                    weights=self.model.state_dict(),
                    step=self.step,
                    val_loss=self._standing.known_val_loss,
                    seconds=self._pace.seconds,
                    training_state=self._state(),
                )
            )
        except ShakegptError as error:
            yield self._warning("save", str(error))
            return
        self._save_wanted = False
        yield Saved(step=info.step, path=str(info.path), best=self._standing.is_best, val_loss=info.val_loss)

    def _finish(self) -> Iterator[Event]:
        """Save what is not saved yet, as long as that takes unless asked to stop, and say how the run ended."""
        evaluated = self._standing.val_loss is not None
        outcome: Outcome = "finished" if self.step >= self.config.steps and evaluated else "stopped"
        while not self._is_saved():
            self._saver.wait(self._stop)
            yield from self._save()
            if self._saver.attempts >= 3 and self._stop.is_set():
                yield Failed(step=self.step, message=f"The run ended unsaved. {self._saver.trouble}")
                return
        self._standing.leave(self.step)
        yield Finished(
            step=self.step,
            outcome=outcome,
            best_val_loss=self._standing.best_val_loss,
            best_step=self._standing.best_step,
            seconds=self._pace.seconds,
        )

    # Trouble

    def _recover(self) -> Iterator[Event]:
        """Tell of a step that was not taken; after too many in a row, go back to a good checkpoint."""
        remedy = self._recovery.note_non_finite()
        if self._recovery.streak == 1:
            yield self._warning(
                "non-finite", f"Step {self.step} had a loss or gradient that is not finite; it was skipped."
            )
        if remedy == "go back":
            yield self._go_back()
        elif remedy == "give up":
            self._failed = True
            yield Failed(
                step=self.step,
                message=f"The loss stayed not finite after going back {self._recovery.rollbacks} times; train with a "
                "lower --learning-rate, or in fp32.",
            )

    def _go_back(self) -> Event:
        came_from, recovery = self.step, self._recovery
        good = recovery.go_back()
        if good is None:
            self._begin()
        else:
            self._restore(*good)
        self._recovery = recovery
        return self._warning(
            "rollback",
            f"Steps up to {came_from} were not finite: the run went back to step {self.step} with the learning rate "
            f"times {recovery.rate_scale:g} ({recovery.rollbacks} of {MOST_ROLLBACKS} times).",
        )

    def _split_further(self, error: Exception) -> Event:
        """Put less through the model at once after running out of memory; any other error is not ours to handle."""
        if not is_out_of_memory(error):
            raise error
        self.model.zero_grad(set_to_none=True)
        self._accumulate = more_parts(self.config.batch_size, self._accumulate)
        if self.device_plan.device.type == "cuda":
            torch.cuda.empty_cache()
        return self._warning(
            "memory",
            f"Memory ran out at step {self.step + 1}: the batch of {self.config.batch_size} now goes through in "
            f"{self._accumulate} parts.",
        )

    # State

    def _begin(self) -> None:
        self._adopt(GPT(self._model_config, seed=derive_seed(self.config.seed, "weights")))
        self.step = self.tokens = 0
        self._standing = Standing(self.device_plan.device)
        self._recovery = Recovery(self.run)
        self._failed = False

    def _adopt(self, model: GPT) -> None:
        self.model = model.to(self.device_plan.device)
        gradients = SharedGradients if is_distributed() else Gradients
        self._gradients = gradients(
            self.model,
            precision=self.device_plan.precision,
            seed=self.config.seed,
            pool=self._pool,
            compiler=self._compiler,
        )
        self._optimizer = Optimizer(self.model, self.config, precision=self.device_plan.precision)

    def _restore(self, checkpoint: Checkpoint, state: SavedTrainingState) -> None:
        record = state.metadata
        self._begin()
        self._adopt(checkpoint.model())
        self._optimizer.load_state_dict(state.tensors)
        self.step, self.tokens = record.step, record.tokens
        self._standing.restore(record, checkpoint.manifest.val_loss)
        self._recovery.remember(record)
        if (record.training.batch_size, record.training.accumulate) == (self.config.batch_size, self.config.accumulate):
            self._accumulate = record.accumulate
        self._pace.seconds = max(self._pace.seconds, checkpoint.manifest.seconds)
        if checkpoint.path == self.run.checkpoint_path(record.step):
            self._saver.newest = (record.step, self._standing.val_loss)

    def _state(self) -> SavedTrainingState:
        record = self._session.record(
            step=self.step,
            tokens=self.tokens,
            accumulate=self._accumulate,
            standing=self._standing,
            recovery=self._recovery,
        )
        return SavedTrainingState(record, self._optimizer.state_dict())

    # Words

    def _warning(self, kind: str, message: str) -> Event:
        return Warning(step=self.step, kind=kind, message=message)  # type: ignore[arg-type]

    def _step_event(self, loss: float, grad_norm: float, rate: float) -> Event:
        return Step(
            step=self.step,
            loss=loss,
            perplexity=perplexity(loss),
            learning_rate=rate,
            grad_norm=grad_norm,
            tokens_per_second=self._pace.tokens_per_second,
            seconds=self._pace.seconds,
            tokens=self.tokens,
        )
