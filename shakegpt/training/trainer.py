"""The training loop, in the order of a run: started, steps, evaluations and saves, finished."""

import math
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing

from torch import Tensor

from shakegpt.config import ModelConfig, TrainingConfig
from shakegpt.data.corpus import Corpus
from shakegpt.errors import ShakegptError, describe_failure
from shakegpt.evaluation.loss import Loss, evaluate
from shakegpt.events import Event, Failed, Finished, Warning
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.checkpoint import build_model
from shakegpt.runs.run import Run
from shakegpt.system.device import DevicePlan
from shakegpt.system.threads import ThreadPool, torch_threads
from shakegpt.training.distributed import DifferentWeightsError, LostRankError, SharedGradients, is_distributed
from shakegpt.training.gradients import Gradients
from shakegpt.training.head_scores import inspect_heads
from shakegpt.training.recovery import Recovery, is_out_of_memory
from shakegpt.training.reports import report_evaluation, report_sample, report_save, report_start, report_step
from shakegpt.training.saver import Saver
from shakegpt.training.schedule import learning_rate_at
from shakegpt.training.state import ResumePoint, TrainingState
from shakegpt.training.step import StepProgram
from shakegpt.training.step_runner import TakenStep, make_step_runner

_REPORT_EVERY_ON_GPU = 10  # steps, of which it takes thousands a second
_MAX_FINAL_SAVES = 3


class Trainer:
    """Trains one run. Iterating trains; not advancing pauses; closing the iterator saves and stops.

    Args:
        run: where events and checkpoints are saved; locked from the first event to the last.
        config: how to train.
        corpus: the text to train on.
        model_config: the shape of the model.
        device_plan: where to train, and in which precision.
        preset: the name of the preset, as recorded in checkpoints.
        resume: the checkpoint to resume from; ``None`` begins with new weights.
        initial_weights: what to begin with in place of new weights, as ``TrainingState`` takes them.
        save_patience: seconds for which saving the end of the run is tried before the run fails unsaved.

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
        resume: ResumePoint | None = None,
        initial_weights: Mapping[str, Tensor] | None = None,
        save_patience: float = math.inf,
    ) -> None:
        corpus.check_length(model_config.block_size)
        self.run, self.config, self.corpus, self.device_plan = run, config, corpus, device_plan
        self._model_config, self._preset, self._resume = model_config, preset, resume
        self.state = TrainingState(config, model_config, device_plan, initial_weights)
        if resume is not None:
            own = resume.checkpoint.path == run.checkpoint_path(resume.saved.metadata.step)
            self.state.restore(resume.checkpoint, resume.saved, is_saved=own)
        self._pool = ThreadPool(device_plan.threads)
        gradients = (
            SharedGradients(self.state, config, device_plan, ids=corpus.train, pool=self._pool)
            if is_distributed()
            else Gradients(self.state.model, self.state.parameters, precision=device_plan.precision, pool=self._pool)
        )
        train_ids = corpus.train.to(device_plan.device)
        program = StepProgram(train_ids, config, model_config.block_size, gradients, self.state.optimizer)
        self._runner = make_step_runner(program, device_plan.device, alone=not is_distributed())
        self._report_every = 1 if device_plan.device.type == "cpu" else _REPORT_EVERY_ON_GPU
        self._validation_ids = corpus.validation.to(device_plan.device)
        self._recovery = Recovery(run, self.state)
        on_gpu = device_plan.device.type == "cuda"
        self._saver = Saver(run, keep=config.keep, every_seconds=config.save_seconds, in_background=on_gpu)
        self._save_patience = save_patience
        self._evaluation_seconds = 0.0
        self._stop = threading.Event()
        self._save_requested = False

    # Commands, from any thread

    def stop(self) -> None:
        """Finish the step, save and end."""
        self._stop.set()

    def save(self) -> None:
        """Save after the current step."""
        self._save_requested = True

    def save_pending(self) -> bool:
        """Return whether a save that was asked for comes when the iterator goes on; a full disk puts it off."""
        return self._save_requested and self._saver.ready()

    def copy_model(self) -> LanguageModel:
        """Return a copy of the weights in training. Only between steps: from the iterating thread."""
        step = max(self.state.step, self._runner.settle())
        weights = {name: weight.detach().cpu() for name, weight in self.state.model.state_dict().items()}
        return LanguageModel(
            model=build_model(self._model_config, weights),
            vocabulary=self.corpus.vocabulary,
            name=f"{self.run.name} (live)",
            step=step,
            val_loss=None if self.state.average_is_better else self.state.val_loss,
        )

    # The loop

    def __iter__(self) -> Iterator[Event]:
        with self.run.lock(), closing(self.run.log), closing(self._saver):
            self.run.remove_leftovers()
            events = self._train()
            event: Event | None = None
            try:
                while True:
                    with self.state.clock, torch_threads(1):
                        event = next(events, None)
                    if event is None:
                        return
                    yield from self.run.log.record(event)
            except GeneratorExit:  # the iterator was closed: save, and record the end
                self._stop.set()
                events.close()
                if not isinstance(event, Finished | Failed):
                    for last_event in self._finish():
                        list(self.run.log.record(last_event))
                raise
            except Exception as error:  # the caller shows it; the log needs it too
                list(self.run.log.record(Failed(step=self.state.step, message=describe_failure(error))))
                raise

    def _train(self) -> Generator[Event, None, None]:
        state = self.state
        resumed_from = self._resume.reference if self._resume else None
        yield report_start(self.run, state, self.config, self.device_plan, self._preset, resumed_from)
        if self._resume is None:
            yield report_sample(self.run.name, self.corpus, state, self.config)
        else:
            yield from (Warning(step=state.step, kind="resume", message=text) for text in self._resume.warnings)
            if not state.is_saved:  # a fork has a copy of the checkpoint it began from
                yield from self._save()
        while not self._stop.is_set() and not state.early_end():
            if not self._evaluation_due():  # a resumed run may have been cut before its evaluation
                if state.step >= self.config.steps:
                    break
                for event in self._take_steps():
                    yield event
                    if isinstance(event, Failed):
                        return
            if self._evaluation_due():
                if self._saver.due(within=self._evaluation_seconds):  # a long pass must not stretch the interval
                    yield from self._save()
                yield from self._evaluate()
            if self._save_due():
                yield from self._save()
        yield from self._finish()

    def _take_steps(self) -> Iterator[Event]:
        """Take the steps up to what is due next, and say how they went; a CPU takes a single one."""
        state, ran_out_of_memory = self.state, False
        state.begin_step()
        taken = self._runner.take(
            range(state.step + 1, self._next_due() + 1),
            self._learning_rate,
            accumulate=state.accumulate,
            go_on=lambda: not (self._stop.is_set() or self._save_requested or self._saver.due()),
        )
        rollbacks = state.rollbacks
        try:
            for step in taken:
                yield from self._report(step)
                if state.rollbacks > rollbacks:  # the steps that came after it are taken again
                    return
                yield from self._end_save(wait=False)
        except GeneratorExit:  # the weights have taken the steps that were begun
            if state.rollbacks == rollbacks:
                for step in taken:
                    for event in self._report(step):
                        list(self.run.log.record(event))
            raise
        except LostRankError as error:
            yield from self._save(wait=True)
            outcome = f"step {state.step} is saved; go on with --resume {self.run.name}"
            yield Failed(step=state.step, message=f"{error} The run ended: {outcome if state.is_saved else 'unsaved'}.")
        except DifferentWeightsError as error:
            yield Warning(step=state.step, kind="ranks", message=str(error))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            ran_out_of_memory = True
        finally:
            taken.close()
        if ran_out_of_memory:  # said here, where nothing holds on to the activations any more
            yield self._recovery.split_batch(self.config.batch_size)
        elif reason := self._runner.take_failure():
            message = f"The step could not be recorded as a CUDA graph, so it takes longer ({reason})."
            yield Warning(step=state.step, kind="recording", message=message)

    def _learning_rate(self, step: int) -> float:
        return self.state.learning_rate_scale * learning_rate_at(step, self.config)

    def _report(self, taken: TakenStep) -> Iterator[Event]:
        """Count a step, and say how it went; too many that were not finite roll the run back."""
        state, result, learning_rate = self.state, taken.result, self._learning_rate(taken.step)
        state.end_step(result.loss if result.finite else None, self.config.batch_size * self._model_config.block_size)
        state.clock.add_step(taken.seconds)
        if not result.finite:
            if not result.overflowed:
                # Going back reads what was saved.
                yield from [*self._end_save(wait=True), *self._recovery.step_skipped()]
            return
        self._recovery.step_taken()
        if taken.step % self._report_every == 0 or taken.step == self.config.steps:
            yield report_step(taken, learning_rate, state)

    def _next_due(self) -> int:
        """Return the next step after which an evaluation or a save may be due."""
        step, config = self.state.step, self.config
        if not self._runner.in_chunks:
            return step + 1
        return min(config.steps, *(every * (step // every + 1) for every in (config.eval_every, config.save_every)))

    def _evaluation_due(self) -> bool:
        state, config = self.state, self.config
        at_interval = state.step % config.eval_every == 0 or state.step == config.steps
        return state.step > 0 and state.val_loss is None and at_interval and not self._stop.is_set()

    def _evaluate(self) -> Iterator[Event]:
        state, began, average = self.state, time.monotonic(), self.state.optimizer.average
        live = averaged = self._validate()
        if average is not None and live is not None:
            with average.in_use():
                averaged = self._validate()
        if live is None or averaged is None:  # stopped meanwhile: a resumed run evaluates first
            return
        self._evaluation_seconds = time.monotonic() - began
        state.set_val_loss(live.nats, averaged.nats)
        yield report_evaluation(live, averaged, state)
        language_model = LanguageModel(model=state.model, vocabulary=self.corpus.vocabulary, name=self.run.name)
        if inspection := inspect_heads(language_model, self.corpus.validation_text, state.step):
            yield inspection
        if self.config.sample_length:
            yield report_sample(self.run.name, self.corpus, state, self.config)

    def _validate(self) -> Loss | None:
        """Return the loss of the model's weights as they are; ``None`` where the run was stopped meanwhile."""
        windows, stop = self.config.eval_windows, self._stop.is_set
        return evaluate(self.state.model, self._validation_ids, pool=self._pool, windows=windows, stop=stop)

    def _save_due(self) -> bool:
        state = self.state
        if state.non_finite_steps:
            return False
        new_best = state.is_best and not state.is_saved
        return self._save_requested or new_best or state.step % self.config.save_every == 0 or self._saver.due()

    def _save(self, *, wait: bool = False) -> Iterator[Event]:
        """Begin to save, once the save before has ended; one that somebody asked for is waited for."""
        yield from self._end_save(wait=True)
        if self._saver.ready():
            wait, self._save_requested = wait or self._save_requested, False
            data = self.state.checkpoint(self.corpus, self._preset)
            self._saver.begin(data, report_save(self.run, self.state, self.config))
            yield from self._end_save(wait=wait)

    def _end_save(self, *, wait: bool) -> Iterator[Event]:
        """Say how the save went that was begun, if it has ended, or warn that it failed: the saver tries again."""
        try:
            saved = self._saver.take_report(wait=wait)
        except ShakegptError as error:
            yield Warning(step=self.state.step, kind="save", message=str(error))
            return
        if saved is not None:
            self.state.is_saved |= (saved.step, saved.val_loss) == (self.state.step, self.state.finite_val_loss)
            yield saved

    def _finish(self) -> Iterator[Event]:
        """Save what is not saved yet, until patience ends or somebody asks to stop, and say how the run ended."""
        state, give_up_at = self.state, time.monotonic() + self._save_patience
        reason = state.early_end()
        complete = reason is not None or (state.step >= self.config.steps and state.val_loss is not None)
        yield from self._end_save(wait=True)
        while not state.is_saved:
            self._saver.wait_until_ready(self._stop, give_up_at)
            yield from self._save(wait=True)
            failures, patient = self._saver.failures, time.monotonic() < give_up_at
            if failures and (not patient or (failures >= _MAX_FINAL_SAVES and self._stop.is_set())):
                yield Failed(step=state.step, message=f"The run ended unsaved. {self._saver.last_error}.")
                return
        state.begin_step()  # counts these weights' loss towards the best
        yield Finished(
            step=state.step,
            outcome="finished" if complete else "stopped",
            best_val_loss=state.best_val_loss,
            best_step=state.best_step,
            seconds=state.clock.seconds,
            reason=reason,
        )
