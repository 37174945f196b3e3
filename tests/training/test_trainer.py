"""The training loop: its events and their order, its commands, and that it learns."""

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from shakegpt.config import PRESETS
from shakegpt.data.corpus import Corpus
from shakegpt.errors import CorpusError, RunBusyError
from shakegpt.evaluation.loss import evaluate
from shakegpt.events import Evaluation, Event, Finished, Sample, Saved, Started, Step, perplexity
from shakegpt.model.gpt import GPT
from shakegpt.runs.run import Run, RunMetadata
from shakegpt.runs.store import Store
from shakegpt.system.device import DevicePlan
from shakegpt.system.threads import torch_threads
from shakegpt.training.gradients import Gradients
from shakegpt.training.optimizer import Optimizer
from shakegpt.training.schedule import learning_rate_at
from shakegpt.training.step_runner import StepRunner
from shakegpt.training.trainer import Trainer
from shakegpt.version import versions

CPU = DevicePlan(device=torch.device("cpu"), name="CPU", precision="fp32", reason="tests", threads=1)
BRIEF = {
    "steps": 4, "batch_size": 4, "warmup": 2, "eval_every": 2, "save_every": 3, "save_seconds": 0.0, "sample_length": 8,
}  # fmt: skip
MakeTrainer = Callable[..., Trainer]


@pytest.fixture
def make_trainer(private_surroundings: Path, demo: Corpus) -> MakeTrainer:
    """``make_trainer(steps=3, dropout=0.2)``: a trainer of nano on the demo text, in a run of its own."""

    def make(
        *, corpus: Corpus = demo, device_plan: DevicePlan = CPU, dropout: float | None = None, **changes: object
    ) -> Trainer:
        preset = PRESETS["nano"]
        config = preset.training_config(**(BRIEF | changes))
        model_config = preset.model_config(len(corpus.vocabulary), dropout=dropout)
        record = RunMetadata(
            preset="nano", model=model_config, training=config, corpus=corpus.name, corpus_sha256=corpus.sha256,
            created="2026-01-01T00:00:00+00:00", versions=versions(),
        )  # fmt: skip
        run = Store(private_surroundings).create(record)
        return Trainer(run, config, corpus, model_config=model_config, device_plan=device_plan, preset="nano")

    return make


def kinds(events: list[Event]) -> list[str]:
    return [event.event for event in events]


def losses(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, Step)]


def logged(run: Run) -> list[Event]:
    return list(run.log.events())


# Events


def test_the_events_come_in_order_and_are_recorded(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    events = list(trainer)
    assert kinds(events) == [
        "started", "sample",
        "step", "step", "evaluation", "inspection", "sample", "saved",  # the best so far is saved
        "step", "saved",  # every three steps
        "step", "evaluation", "inspection", "sample", "saved",
        "finished",
    ]  # fmt: skip
    assert logged(trainer.run) == events
    assert [info.step for info in trainer.run.checkpoints()] == [2, 3, 4]


def test_the_started_event_describes_the_run(make_trainer: MakeTrainer, demo: Corpus) -> None:
    trainer = make_trainer()
    started = next(iter(trainer))
    assert isinstance(started, Started)
    assert (started.run, started.steps, started.batch_size, started.block_size) == (trainer.run.name, 4, 4, 64)
    assert started.parameters == sum(parameter.numel() for parameter in trainer.state.model.parameters())
    assert (started.vocab_size, started.corpus, started.preset) == (len(demo.vocabulary), "demo", "nano")
    assert (started.precision, started.reason, started.threads, started.resumed_from) == ("fp32", "tests", 1, None)


def test_a_step_event_has_the_numbers_of_the_step(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    steps = [event for event in trainer if isinstance(event, Step)]
    assert [step.step for step in steps] == [1, 2, 3, 4]
    assert [step.tokens for step in steps] == [256, 512, 768, 1024]
    for step in steps:
        assert step.perplexity == pytest.approx(perplexity(step.loss))
        assert step.learning_rate == learning_rate_at(step.step, trainer.config)
        assert step.grad_norm > 0
        assert step.tokens_per_second > 0
    assert [step.seconds for step in steps] == sorted(step.seconds for step in steps)


def test_an_evaluation_is_the_full_pass_of_these_weights(make_trainer: MakeTrainer, demo: Corpus) -> None:
    trainer = make_trainer()
    seen = []
    for event in trainer:
        if isinstance(event, Evaluation):
            loss = evaluate(trainer.state.model, demo.validation)
            assert event.val_loss == pytest.approx(loss.nats, rel=1e-9)
            assert event.perplexity == pytest.approx(math.exp(event.val_loss))
            assert event.bits_per_character == pytest.approx(event.val_loss / math.log(2))
            seen.append(event)
    assert [event.best for event in seen] == [True, True]


def test_the_training_loss_of_an_evaluation_is_the_mean_since_the_last_one(make_trainer: MakeTrainer) -> None:
    events = list(make_trainer())
    first, second = [event.train_loss for event in events if isinstance(event, Evaluation)]
    assert first == pytest.approx(sum(losses(events)[:2]) / 2, rel=1e-6)
    assert second == pytest.approx(sum(losses(events)[2:]) / 2, rel=1e-6)


def test_a_saved_event_marks_the_best_and_the_finished_event_names_it(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(steps=6, learning_rate=3.0, min_learning_rate=3.0, warmup=0)  # so high that it gets worse
    events = list(trainer)
    evaluations = {event.step: event for event in events if isinstance(event, Evaluation)}
    best = min(evaluations.values(), key=lambda event: event.val_loss)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert (finished.best_step, finished.best_val_loss) == (best.step, best.val_loss)
    assert not all(event.best for event in evaluations.values())
    for event in events:
        if isinstance(event, Saved):
            assert event.best == (event.step in evaluations and evaluations[event.step].best)
    found = trainer.run.best()
    assert found is not None
    assert (found.step, found.val_loss) == (best.step, best.val_loss)


@pytest.mark.parametrize("length", [0, 5])
def test_samples_can_be_turned_off(make_trainer: MakeTrainer, length: int) -> None:
    samples = [event for event in make_trainer(steps=2, sample_length=length) if isinstance(event, Sample)]
    assert [len(sample.text) for sample in samples] == [length] * (2 if length else len(samples))


# Learning


def test_the_loss_falls_in_a_hundred_steps_on_the_real_text(
    make_trainer: MakeTrainer, tiny_shakespeare: Corpus
) -> None:
    trainer = make_trainer(
        corpus=tiny_shakespeare, steps=100, batch_size=16, warmup=20, eval_every=1000, save_every=1000, sample_length=0
    )
    events = list(trainer)
    fallen = losses(events)
    assert fallen[0] == pytest.approx(math.log(65), abs=0.1)
    shares = [count / len(tiny_shakespeare.text) for count in Counter(tiny_shakespeare.text).values()]
    letter_frequencies = -sum(share * math.log(share) for share in shares)  # what counting letters alone achieves
    assert sum(fallen[-10:]) / 10 < letter_frequencies - 0.25
    (evaluation,) = (event for event in events if isinstance(event, Evaluation))
    assert evaluation.val_loss < letter_frequencies - 0.25


def test_a_seed_fixes_the_whole_run(make_trainer: MakeTrainer) -> None:
    first, again, other = (list(make_trainer(seed=seed, dropout=0.2)) for seed in (1, 1, 2))

    def numbers(events: list[Event]) -> list[object]:
        return [
            (event.loss, event.grad_norm) if isinstance(event, Step) else event.text if isinstance(event, Sample) else 0
            for event in events
        ]

    assert numbers(first) == numbers(again)
    assert numbers(first) != numbers(other)


def test_evaluating_and_saving_do_not_change_a_run(make_trainer: MakeTrainer) -> None:
    often = list(make_trainer(eval_every=1, save_every=1, sample_length=20, dropout=0.2))
    never = list(make_trainer(eval_every=1000, save_every=1000, sample_length=0, dropout=0.2))
    assert losses(often) == losses(never)


@pytest.mark.parametrize("accumulate", [2, 4])
def test_accumulation_changes_the_curve_within_rounding_only(make_trainer: MakeTrainer, accumulate: int) -> None:
    changes = {"steps": 8, "batch_size": 8, "dropout": 0.1, "sample_length": 0}
    whole, cut = (losses(list(make_trainer(accumulate=parts, **changes))) for parts in (1, accumulate))
    assert cut == pytest.approx(whole, rel=1e-4)


def test_dropout_acts_in_training_and_not_in_evaluation(make_trainer: MakeTrainer, demo: Corpus) -> None:
    plain, dropped = losses(list(make_trainer(steps=1))), losses(list(make_trainer(steps=1, dropout=0.5)))
    assert plain != dropped
    trainer = make_trainer(dropout=0.5)
    list(trainer)
    assert evaluate(trainer.state.model, demo.validation) == evaluate(trainer.state.model, demo.validation)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_learns_as_fp32_does(make_trainer: MakeTrainer, precision: str) -> None:
    changes = {"steps": 12, "sample_length": 0, "eval_every": 12}
    device_plan = DevicePlan(**{**CPU.__dict__, "precision": precision})
    mixed = losses(list(make_trainer(device_plan=device_plan, **changes)))
    plain = losses(list(make_trainer(**changes)))
    assert mixed == pytest.approx(plain, rel=0.02)
    assert mixed != plain


def test_threads_share_a_batch_and_change_the_curve_within_rounding_only(make_trainer: MakeTrainer) -> None:
    one = losses(list(make_trainer(batch_size=6, sample_length=0)))
    two = losses(
        list(make_trainer(batch_size=6, sample_length=0, device_plan=DevicePlan(**{**CPU.__dict__, "threads": 2})))
    )
    assert two == pytest.approx(one, rel=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_all_is_computed_on_one_torch_thread_whatever_the_process_has(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    """Or the last bits of a training would depend on who called it."""
    counts: dict[str, set[int]] = {"optimizer": set(), "model": set()}

    def note(of: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any, **kwargs: Any) -> Any:
            counts[of].add(torch.get_num_threads())
            return method(*args, **kwargs)

        return noted

    monkeypatch.setattr(Optimizer, "step", note("optimizer", Optimizer.step))
    monkeypatch.setattr(GPT, "forward", note("model", GPT.forward))
    device_plan = DevicePlan(**{**CPU.__dict__, "threads": threads})
    with torch_threads(3):
        for _ in make_trainer(device_plan=device_plan):
            assert torch.get_num_threads() == 3
    assert counts == {"optimizer": {1}, "model": {1}}


CHUNKED = {"steps": 14, "eval_every": 11, "save_every": 100, "sample_length": 0}


@pytest.fixture
def uncut(make_trainer: MakeTrainer) -> dict[int, dict[str, Tensor]]:
    """The weights after each step of a run that takes one at a time."""
    trainer = make_trainer(**CHUNKED)
    return {
        event.step: {name: weight.clone() for name, weight in trainer.state.model.state_dict().items()}
        for event in trainer
        if isinstance(event, Step)
    }


@pytest.fixture
def in_chunks(uncut: dict[int, dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Take steps as on a GPU: four a chunk, and the next chunk begun before the last is read."""
    monkeypatch.setattr(
        "shakegpt.training.trainer.make_step_runner", lambda program, *_, **__: StepRunner(program, in_chunks=True)
    )
    monkeypatch.setattr(StepRunner, "_chunk_length", lambda self: 4)


def equals(model: GPT, weights: dict[str, Tensor]) -> bool:
    return all(torch.equal(weight, weights[name]) for name, weight in model.state_dict().items())


@pytest.mark.parametrize("command", ["stop", "save", "close"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 7, 8, 9])
@pytest.mark.usefixtures("in_chunks")
def test_a_command_at_any_step_of_a_chunk_acts_after_it_and_loses_nothing(
    make_trainer: MakeTrainer, uncut: dict[int, dict[str, Tensor]], command: str, at: int
) -> None:
    trainer = make_trainer(**CHUNKED)
    for event in (iterator := iter(trainer)):
        if isinstance(event, Step) and event.step == at:
            if command == "close":
                iterator.close()  # type: ignore[attr-defined]
            else:
                getattr(trainer, command)()
    begun = 8 if at <= 4 else 11
    saved = [event.step for event in logged(trainer.run) if isinstance(event, Saved)]
    steps = [event.step for event in logged(trainer.run) if isinstance(event, Step)]
    assert saved[0] == begun
    assert steps == list(range(1, 15 if command == "save" else begun + 1))
    checkpoint = Store.default().read(f"{trainer.run.name}@{begun}", to_resume=True)[1]
    resumed = make_trainer(**CHUNKED)
    resumed.state.restore(checkpoint, checkpoint.read_training_state())
    assert equals(resumed.state.model, uncut[begun])
    list(resumed)
    assert equals(resumed.state.model, uncut[14])


@pytest.mark.usefixtures("in_chunks")
def test_a_copy_of_live_weights_says_of_which_step_they_are(
    make_trainer: MakeTrainer, uncut: dict[int, dict[str, Tensor]]
) -> None:
    trainer = make_trainer(**CHUNKED)
    copied = [trainer.copy_model() for event in trainer if isinstance(event, Step)]
    assert [copy.step for copy in copied] == [8] * 4 + [11] * 7 + [14] * 3
    assert all(equals(copy.model, uncut[copy.step]) for copy in copied if copy.step is not None)


@pytest.mark.usefixtures("in_chunks")
@pytest.mark.parametrize("bad", [range(2, 7), range(4, 9), range(7, 12)])
def test_a_roll_back_in_the_middle_of_a_chunk_takes_its_steps_again(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch, bad: range
) -> None:
    compute, spoiled = Gradients.compute, list(bad)

    def spoil(self: Gradients, *arguments: Any, masks: Any, **options: Any) -> Tensor:
        loss = compute(self, *arguments, masks=masks, **options)
        return loss * math.nan if masks.step in spoiled and trainer.state.rollbacks == 0 else loss

    monkeypatch.setattr(Gradients, "compute", spoil)
    trainer = make_trainer(**CHUNKED | {"eval_every": 100, "save_every": 1_000})
    events = list(trainer)
    assert [event.kind for event in events if event.event == "warning"] == ["non-finite", "rollback"]
    assert [event.step for event in events if isinstance(event, Step)] == [*range(1, bad.start), *range(1, 15)]
    assert trainer.state.step == 14


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_trains_samples_and_evaluates(make_trainer: MakeTrainer, precision: str) -> None:
    device_plan = DevicePlan(
        device=torch.device("cuda"),
        name="GPU",
        precision=precision,
        reason="tests",
        threads=1,  # type: ignore[arg-type]
    )
    assert kinds(list(make_trainer(device_plan=device_plan, dropout=0.1)))[-1] == "finished"


# Commands


def test_stop_finishes_the_step_saves_and_ends(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(steps=100)
    events: list[Event] = []
    for event in trainer:
        events.append(event)
        if isinstance(event, Step) and event.step == 5:
            trainer.stop()
    assert kinds(events)[-3:] == ["step", "saved", "finished"]
    assert isinstance(events[-1], Finished)
    assert (events[-1].outcome, events[-1].step) == ("stopped", 5)
    assert trainer.run.status() == "stopped"
    last = trainer.run.last()
    assert last is not None
    assert last.step == 5


def test_stop_before_the_first_step_leaves_a_run_that_can_be_resumed(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    trainer.stop()
    assert kinds(list(trainer)) == ["started", "sample", "saved", "finished"]
    assert [info.step for info in trainer.run.checkpoints()] == [0]


def test_save_saves_after_the_step(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(eval_every=100, save_every=100)
    events: list[Event] = []
    for event in trainer:
        events.append(event)
        if isinstance(event, Started):
            trainer.save()
    assert kinds(events)[:5] == ["started", "sample", "step", "saved", "step"]


def test_not_advancing_pauses_and_stops_the_clock(make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("shakegpt.training.trainer.time.monotonic", lambda: now)
    events = iter(make_trainer())
    for event in events:
        now += 1000.0  # spent by the caller
        if isinstance(event, Step):
            assert event.seconds == 0.0
    assert isinstance(event, Finished)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_closing_saves_and_stops(make_trainer: MakeTrainer, steps: int) -> None:
    trainer = make_trainer(steps=100, eval_every=100, save_every=100)
    events = iter(trainer)
    while trainer.state.step < steps or steps == 0:
        next(events)
        if steps == 0:
            break
    events.close()  # type: ignore[attr-defined]
    assert kinds(logged(trainer.run))[-2:] == ["saved", "finished"]
    assert [info.step for info in trainer.run.checkpoints()] == [steps]
    assert not trainer.run.is_locked()
    assert trainer.run.status() == "stopped"


def test_closing_after_the_last_event_adds_nothing(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    events = iter(trainer)
    for event in events:
        if isinstance(event, Finished):
            break
    best = trainer.run.best()
    events.close()  # type: ignore[attr-defined]
    assert kinds(logged(trainer.run)).count("finished") == 1
    assert trainer.run.best() == best
    assert trainer.run.status() == "finished"


def test_a_run_is_locked_while_it_is_trained(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    assert not trainer.run.is_locked()
    events = iter(trainer)
    next(events)
    assert trainer.run.is_locked()
    assert trainer.run.status() == "training"
    with pytest.raises(RunBusyError):
        next(iter(trainer))
    list(events)
    assert not trainer.run.is_locked()


def test_the_live_model_is_a_copy_that_training_leaves_alone(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    events = iter(trainer)
    while not isinstance(next(events), Step):
        pass
    language_model = trainer.copy_model()
    before = {name: weight.clone() for name, weight in language_model.model.state_dict().items()}
    assert language_model.step == 1
    assert "live" in language_model.name
    assert all(torch.equal(before[name], weight) for name, weight in trainer.state.model.state_dict().items())
    list(events)
    assert all(torch.equal(before[name], weight) for name, weight in language_model.model.state_dict().items())
    assert not all(torch.equal(before[name], weight) for name, weight in trainer.state.model.state_dict().items())


def test_a_text_too_short_for_a_window_is_refused(make_trainer: MakeTrainer, demo: Corpus) -> None:
    with pytest.raises(CorpusError, match="too short"):
        make_trainer(corpus=Corpus(name="short", text=demo.text[:640], sha256="0" * 64))


def test_a_sample_has_no_prompt_where_the_vocabulary_lacks_it(
    make_trainer: MakeTrainer, corpus_of: Callable[[str], Corpus]
) -> None:
    events = list(make_trainer(corpus=corpus_of("no newline in here " * 80), steps=1))
    assert [event.prompt for event in events if isinstance(event, Sample)] == ["", ""]


def test_a_long_validation_split_is_evaluated_in_part_and_the_figures_say_so(make_trainer: MakeTrainer) -> None:
    part, whole = (
        [event for event in make_trainer(eval_windows=windows) if isinstance(event, Evaluation)]
        for windows in (5, 2048)
    )
    assert [(event.windows, event.all_windows) for event in part] == [(5, 51), (5, 51)]
    assert part[0].subset == "5 of 51 windows"
    assert [(event.windows, event.subset) for event in whole] == [(None, ""), (None, "")]
    assert part[-1].train_loss == whole[-1].train_loss  # the training is the same
