"""From a request to a trainer: a new run, the same run going on, or a fork that says what it changed."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from shakegpt.config import PRESETS
from shakegpt.errors import CheckpointError, CorpusError, RunBusyError, ShakegptError, UsageError
from shakegpt.evaluation.loss import Loss
from shakegpt.events import Event, Finished, Started, Step, Warning
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.system.device import DevicePlan, choose_device_plan
from shakegpt.training.setup import TrainingRequest, _exactness_warnings, build_trainer
from shakegpt.version import versions
from tests.runs.test_checkpoint import training_record

TrainNano = Callable[..., tuple[Run, list[Event]]]


def steps(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, Step)]


def losses(events: list[Event]) -> list[float]:
    return [event.loss for event in events if isinstance(event, Step)]


def warnings(events: list[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, Warning))


def cut_after(run: Run, step: int) -> None:
    """Make a run as if it had been killed after a checkpoint: without later checkpoints and its last event."""
    import shutil

    for info in run.checkpoints():
        if info.step > step:
            shutil.rmtree(info.path)
    events = [event for event in run.log.events() if event.step <= step and not isinstance(event, Finished)]
    run.metrics_path.unlink()
    for event in events:
        run.log.append(event)
    run.log.close()


# A new run


def test_where_no_corpus_is_named_and_none_can_be_fetched_the_play_that_ships_is_trained_on(store: Store) -> None:
    trainer = build_trainer(store, TrainingRequest(preset="nano"))  # the network refuses, in tests
    assert trainer.corpus.name == "demo"
    note = trainer.run.metadata.corpus_note
    assert note is not None
    assert note.startswith("Tiny Shakespeare could not be fetched")
    started = next(iter(trainer))
    assert isinstance(started, Started)
    assert started.corpus_note == note


@pytest.mark.parametrize(
    ("preset", "changes", "steps"),
    [
        ("mini", {}, 423),  # sixty passes over 28,890 characters, 32 x 128 a step
        ("mini", {"batch_size": 16}, 846),
        ("mini", {"steps": 1_000}, 1_000),
        ("nano", {}, 500),  # 18 passes
    ],
)
def test_by_default_a_run_makes_no_more_passes_than_its_preset_allows(
    store: Store, preset: str, changes: dict[str, int], steps: int
) -> None:
    request = TrainingRequest(preset=preset, corpus="demo", changes=dict(changes))
    assert build_trainer(store, request).config.steps == steps


def test_tiny_shakespeare_keeps_the_steps_of_the_preset() -> None:
    mini = PRESETS["mini"]
    assert mini.default_steps(1_003_854, mini.model_config(65), mini.training_config()) == mini.training["steps"]


def test_a_preset_asked_for_by_its_former_name_is_the_one_of_today(store: Store) -> None:
    trainer = build_trainer(store, TrainingRequest(preset="seed", corpus="demo", changes={"steps": 1}))
    assert trainer.run.metadata.preset == "mini"


def test_a_request_becomes_a_run_with_its_metadata(train_nano: TrainNano) -> None:
    run, _ = train_nano(run_name="lear", steps=3, learning_rate=2e-3, dropout=0.3, seed=11)
    record = Run(run.path).metadata
    assert (record.preset, record.corpus, record.training.steps, record.training.seed) == ("nano", "demo", 3, 11)
    assert (record.training.learning_rate, record.model.dropout) == (2e-3, 0.3)
    assert set(record.versions) == {"shakegpt", "torch", "python"}
    assert record.resumed_from is None
    assert run.status() == "finished"


def test_the_run_is_created_only_when_everything_else_is_valid(private_surroundings: Path, tmp_path: Path) -> None:
    store = Store(private_surroundings)
    (tmp_path / "short.txt").write_text("too short")
    for request, error in (
        (TrainingRequest(preset="huge"), UsageError),
        (TrainingRequest(preset="nano", corpus="demo", changes={"steps": 0}), UsageError),
        (TrainingRequest(preset="nano", corpus="demo", changes={"dropout": 1.5}), UsageError),
        (TrainingRequest(preset="nano", corpus="demo", changes={"batch_size": 9, "accumulate": 2}), UsageError),
        (TrainingRequest(preset="nano", corpus=str(tmp_path / "nowhere.txt")), CorpusError),
        (TrainingRequest(preset="nano", corpus=str(tmp_path / "short.txt")), CorpusError),
        (TrainingRequest(preset="nano", corpus="demo", encoding="klingon"), UsageError),
        (TrainingRequest(preset="nano", corpus="demo", run_name="a b"), ShakegptError),
        (TrainingRequest(preset="nano", corpus="demo", run_name="last"), ShakegptError),
        (TrainingRequest(preset="nano", corpus="demo", resume="nobody"), ShakegptError),
    ):
        with pytest.raises(error) as caught:
            build_trainer(store, request)
        assert str(caught.value).endswith(".")
        assert store.runs() == []


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_missing_device_creates_no_run(private_surroundings: Path, device: str) -> None:
    import torch

    if (torch.cuda if device == "cuda" else torch.backends.mps).is_available():
        pytest.skip(f"{device} is here")
    store = Store(private_surroundings)
    with pytest.raises(ShakegptError, match="--device cpu"):
        build_trainer(store, TrainingRequest(preset="nano", corpus="demo", changes={"device": device}))
    assert store.runs() == []


# Going on


def test_a_resumed_run_goes_on_where_it_was_and_ends_as_if_uncut(macbeth: Run, train_nano: TrainNano) -> None:
    before = {event.step: event for event in macbeth.log.events() if isinstance(event, Step)}
    cut_after(macbeth, 20)
    assert macbeth.status() == "killed"
    run, events = train_nano(resume="macbeth")
    started = events[0]
    assert isinstance(started, Started)
    assert (started.step, started.resumed_from) == (20, "macbeth@20")
    assert run.path == macbeth.path
    assert steps(events) == list(range(21, 31))
    assert losses(events) == [before[step].loss for step in range(21, 31)]
    assert warnings(events) == ""
    assert run.status() == "finished"
    assert [event.step for event in run.snapshot().train.points()] == list(range(1, 31))


def test_the_evaluation_interval_may_change_within_a_run(macbeth: Run, train_nano: TrainNano) -> None:
    cut_after(macbeth, 20)
    run, events = train_nano(resume="macbeth", save_every=7, eval_every=3)
    assert run.name == "macbeth"
    assert steps(events)[0] == 21
    assert {21, 28} & {event.step for event in events if event.event == "saved"}


def test_a_run_that_ended_early_goes_on_once_early_stopping_is_off(
    train_nano: TrainNano, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses_to_come = iter([2.0, 3.0, 3.0, 3.0, 3.0])
    monkeypatch.setattr(
        "shakegpt.training.trainer.evaluate",
        lambda *_, **__: Loss(nats=next(losses_to_come), characters=1, windows=1, all_windows=1),
    )
    run, events = train_nano(run_name="lear", steps=10, eval_every=2, early_stop=2)
    ended = Finished(step=6, outcome="finished", best_val_loss=2.0, best_step=2, seconds=events[-1].seconds,
                     reason="2 evaluations without a new best")  # fmt: skip
    assert events[-1] == ended
    assert (run.status(), steps(events)) == ("finished", [1, 2, 3, 4, 5, 6])
    assert [info.step for info in run.checkpoints()][-1] == 6
    assert train_nano(resume="lear")[1][-1].reason == ended.reason  # with nothing changed, it ends at once
    run, events = train_nano(resume="lear", early_stop=0)
    assert (run.name, run.status(), steps(events)) == ("lear", "finished", [7, 8, 9, 10])
    assert events[-1].reason is None


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        ({"steps": 32}, "steps 30 -> 32"),
        ({"seed": 8}, "seed 7 -> 8"),
        ({"learning_rate": 1e-4}, "learning_rate 0.003 -> 0.0001; min_learning_rate 0.0003 -> 1e-05"),
        ({"dropout": 0.25}, "dropout 0.0 -> 0.25"),
    ],
)
def test_a_changed_configuration_makes_a_fork_that_names_the_changes(
    macbeth: Run, train_nano: TrainNano, changes: dict[str, object], summary: str
) -> None:
    cut_after(macbeth, 25)
    before = sorted(path.name for path in macbeth.checkpoints_folder.iterdir())
    run, events = train_nano(resume="macbeth", **changes)
    assert run.name != "macbeth"
    assert f"This is a new run, {run.name}, forked from macbeth@25: {summary}." in warnings(events)
    assert run.metadata.resumed_from == "macbeth@25"
    assert run.metadata.changes is not None
    assert "; ".join(f"{name} {change}" for name, change in run.metadata.changes.items()) == summary
    assert steps(events)[0] == 26
    assert sorted(path.name for path in macbeth.checkpoints_folder.iterdir()) == before
    assert run.checkpoints()[0].step == 25  # a fork keeps a copy of what it began from


def test_an_earlier_checkpoint_and_another_name_fork_too(macbeth: Run, train_nano: TrainNano) -> None:
    step = macbeth.checkpoints()[0].step
    run, events = train_nano(resume=f"macbeth@{step}")
    assert run.name != "macbeth"
    assert "forked from" in warnings(events)
    assert steps(events)[0] == step + 1
    cut_after(macbeth, 25)
    named, _ = train_nano(resume="macbeth", run_name="fleance")
    assert named.name == "fleance"


def test_a_checkpoint_can_be_named_by_its_path(macbeth: Run, train_nano: TrainNano, tmp_path: Path) -> None:
    import shutil

    moved = tmp_path / "elsewhere"
    shutil.copytree(macbeth.checkpoint_path(25), moved)
    run, events = train_nano(resume=str(moved))
    assert run.name != "macbeth"
    assert steps(events) == [26, 27, 28, 29, 30]


def test_a_run_that_is_done_says_how_to_train_on(macbeth: Run, train_nano: TrainNano) -> None:
    with pytest.raises(UsageError, match=r"already taken 30 of 30 steps; give --steps a larger number"):
        train_nano(resume="macbeth")


def test_a_run_that_another_process_trains_is_refused(macbeth: Run, train_nano: TrainNano) -> None:
    cut_after(macbeth, 25)
    with macbeth.lock(), pytest.raises(RunBusyError, match="is being trained by process"):
        train_nano(resume="macbeth")


def test_a_damaged_last_checkpoint_is_skipped_with_a_warning(macbeth: Run, train_nano: TrainNano) -> None:
    (macbeth.checkpoint_path(30) / "training.safetensors").write_bytes(b"")
    run, events = train_nano(resume="macbeth")
    assert "is damaged" in warnings(events)
    assert steps(events)[0] == 26
    assert run.name == "macbeth"


def test_a_damaged_checkpoint_that_was_named_is_refused(macbeth: Run, train_nano: TrainNano) -> None:
    (macbeth.checkpoint_path(25) / "training.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="damaged"):
        train_nano(resume="macbeth@25")


# The text


def test_a_text_given_as_a_file_is_found_again(
    private_surroundings: Path, train_nano: TrainNano, tmp_path: Path, demo: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "texts" / "my play.txt"
    path.parent.mkdir()
    path.write_text("To be, or not to be: that is the question.\n" * 40)
    monkeypatch.chdir(path.parent)
    run, _ = train_nano(corpus="my play.txt", run_name="lear", steps=6)
    cut_after(run, 5)
    monkeypatch.chdir(tmp_path)
    assert steps(train_nano(resume="lear")[1]) == [6]


def test_a_run_that_learned_carriage_returns_goes_on_with_them(
    train_nano: TrainNano, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run on a file of Windows that an earlier version began, which read the file as it is."""
    from shakegpt.data import corpus

    path = tmp_path / "windows.txt"
    path.write_bytes(b"To be, or not to be: that is the question.\r\n" * 40)
    with monkeypatch.context() as old:
        old.setattr(corpus, "decode_text", lambda data, *_, **__: data.decode())
        run, whole = train_nano(corpus=str(path), run_name="lear", steps=6, eval_every=3, save_every=3)
    cut_after(run, 3)
    _, rest = train_nano(resume="lear")
    assert losses(rest) == losses(whole)[3:]
    assert "\r" in Store.default().open("lear").vocabulary.characters
    train_nano(corpus=str(path), run_name="new", steps=1)
    assert "\r" not in Store.default().open("new").vocabulary.characters


def test_another_text_is_refused(macbeth: Run, private_surroundings: Path, tmp_path: Path, demo: object) -> None:
    from shakegpt.data.corpus import Corpus

    cut_after(macbeth, 25)
    path = tmp_path / "demo.txt"
    path.write_text(Corpus.load("demo").text + "!")
    request = TrainingRequest(resume="macbeth", corpus=str(path))
    with pytest.raises(CorpusError, match="not the text that this run learned from"):
        build_trainer(Store(private_surroundings), request)


def test_a_missing_text_is_an_error_that_names_it(train_nano: TrainNano, tmp_path: Path) -> None:
    path = tmp_path / "gone.txt"
    path.write_text("To be, or not to be: that is the question.\n" * 40)
    run, _ = train_nano(corpus=str(path), run_name="lear", steps=6)
    cut_after(run, 5)
    path.unlink()
    with pytest.raises(CorpusError, match="gone"):
        train_nano(resume="lear")


def test_of_two_runs_begun_in_one_second_the_later_one_is_the_newer(train_nano: TrainNano) -> None:
    store = Store.default()
    for name in ("zoe", "adam"):
        train_nano(run_name=name, steps=1)
    assert [run.name for run in store.runs()] == ["adam", "zoe"]


@pytest.mark.parametrize(
    ("saved", "now", "said"),
    [
        (("H100", "570.1"), ("H100", "570.1"), ""),
        (("H100", "570.1"), ("A100", "570.1"), "GPU H100 -> A100"),
        (("H100", "570.1"), ("H100", "580.2"), "driver 570.1 -> 580.2"),
        (("H100", None), ("H100", "580.2"), "driver None -> 580.2"),
        ((None, None), ("A100", "580.2"), ""),  # an earlier version did not say
    ],
)
def test_a_resume_on_another_gpu_or_driver_is_not_exact(
    saved: tuple[str | None, str | None], now: tuple[str, str], said: str
) -> None:
    plan = DevicePlan(device=torch.device("cuda:1"), name=now[0], precision="bf16", reason="", threads=1, driver=now[1])
    metadata = training_record(
        device="cuda", precision="bf16", threads=1, versions=versions(), gpu=saved[0], driver=saved[1]
    )
    assert _exactness_warnings(metadata, plan) == (
        [f"Going on, but not to the bit as an uncut run would: {said}."] if said else []
    )


def test_a_checkpoint_of_a_gpu_goes_on_on_a_cpu_with_a_warning(cpu_plan: DevicePlan) -> None:
    metadata = training_record(threads=cpu_plan.threads, versions=versions(), device="cuda", gpu="H100", driver="570.1")
    assert _exactness_warnings(metadata, cpu_plan) == [
        "Going on, but not to the bit as an uncut run would: device cuda -> cpu."
    ]


@pytest.fixture
def cpu_plan() -> DevicePlan:
    return choose_device_plan("cpu", "fp32")
