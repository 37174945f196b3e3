"""The new-run form with several values in a field: a sweep, how long it takes, and what it runs."""

from dataclasses import replace
from pathlib import Path

import pytest

from shakegpt.config import PRESETS
from shakegpt.runs.run import RunMetadata
from shakegpt.runs.speed import Speed
from shakegpt.runs.store import Store
from shakegpt.runs.sweeps import SweepPlan, load_plan
from shakegpt.training.sweep import START_SECONDS
from shakegpt.tui.training.run_form import DEFAULTS, Machine, field_error, plan, training_request
from shakegpt.tui.training.sweep_form import begin_sweep, describe_sweep, varied_options

VALUES = DEFAULTS | {"preset": "nano", "corpus": "demo"}


@pytest.mark.parametrize(
    ("name", "text", "varied"),
    [
        ("steps", "9,000", {}),
        ("steps", "500, 1,000", {"steps": ["500", "1", "000"]}),
        ("steps", "200, 400", {"steps": ["200", "400"]}),
        ("learning_rate", "1e-3,2e-3,1e-3", {"learning-rate": ["1e-3", "2e-3"]}),
        ("seed", "100,200", {"seed": ["100", "200"]}),
        ("seed", "1337", {}),
    ],
)
def test_commas_separate_values_but_not_thousands(name: str, text: str, varied: dict[str, list[str]]) -> None:
    assert varied_options(VALUES | {name: text}) == varied


@pytest.mark.parametrize(
    ("text", "error"), [("1e-3,", "each side"), ("1e-3,x", "a number such as"), ("1e-3,0", "above 0")]
)
def test_each_value_is_checked(text: str, error: str) -> None:
    assert error in field_error(VALUES | {"learning_rate": text}, "learning_rate")
    assert describe_sweep(VALUES | {"learning_rate": text}, Machine()) == "" or text == "1e-3,"


def test_it_says_how_many_runs_and_how_long() -> None:
    values = VALUES | {"learning_rate": "1e-3,3e-3", "seed": "1,2,3", "steps": "100"}
    assert describe_sweep(VALUES, Machine()) == ""
    assert describe_sweep(values, Machine()) == "This makes 6 runs, a sweep: time not known yet."
    machine = Machine("cpu", {"nano": Speed(58_000, 16 * 64 * 10.0)})  # ten steps a second
    each = 10 + START_SECONDS
    assert describe_sweep(values, machine) == f"This makes 6 runs, a sweep: about {6 * each:.0f} s here in all."


def test_runs_at_the_same_time_share_the_threads_that_the_speed_was_measured_with() -> None:
    values = VALUES | {"learning_rate": "1e-3,3e-3", "steps": "100"}
    machine = Machine("cpu", {"nano": Speed(58_000, 16 * 64 * 10.0, threads=2)}, cores=2)
    each = 20 + START_SECONDS  # with half the threads
    said = f"This makes 2 runs, a sweep, 2 at a time: about {each:.0f} s here in all."
    assert describe_sweep(values, machine) == said
    gpus = replace(machine, visible_gpus=("0", "1", "2"))
    assert ", 2 at a time: about" in describe_sweep(values, gpus)
    assert "at a time" not in describe_sweep(values | {"device": "cuda:1"}, gpus)


def test_the_time_is_that_of_the_shape_the_text_and_the_checkpoint_to_begin_from() -> None:
    machine = Machine("cpu", {"nano": Speed(58_000, 16 * 64 * 10.0), "mini": Speed(1_629_440, 5 * 32 * 128)})
    values = VALUES | {"seed": "1,2"}

    def seconds(start: RunMetadata | None = None, **changes: str) -> float:
        words = describe_sweep(values | changes, machine, start).split(":")[1].split()
        return float(words[1]) * {"s": 1, "min": 60, "h": 3600}[words[2]]

    usual = seconds()
    assert usual == pytest.approx(2 * (plan(values, "nano", machine).steps / 10 + START_SECONDS), rel=0.1)
    assert seconds(steps="100") == pytest.approx(2 * (10 + START_SECONDS), rel=0.1)
    assert seconds(shape="d_model=128") > 2 * usual
    assert "perhaps" in describe_sweep(values | {"shape": "d_model=128"}, machine)
    preset = PRESETS["mini"]
    start = RunMetadata(
        preset="mini", model=preset.model_config(65), training=preset.training_config(), corpus="tiny-shakespeare",
        corpus_sha256="0" * 64, created="2026-11-20T20:00:00+00:00", versions={},
    )  # fmt: skip
    begins = {"begin_from": "pretrained"}
    assert describe_sweep(values | begins, machine).endswith("time not known yet.")
    assert seconds(start, steps="100", **begins) == pytest.approx(2 * (20 + START_SECONDS), rel=0.1)


def test_it_plans_the_runs_and_begins_them(private_surroundings, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    begun: list[SweepPlan] = []
    monkeypatch.setattr("shakegpt.tui.training.sweep_form.begin_in_background", lambda _, plan: begun.append(plan))
    store = Store(private_surroundings)
    values = VALUES | {"learning_rate": "1e-3,3e-3", "steps": "9,000", "device": "cpu"}
    plan = begin_sweep(store, values, training_request(values))
    assert begun == [plan] == [load_plan(store, "sweep")]
    assert plan.arguments(plan.runs[1]) == [
        "train", "--steps", "9000", "--device", "cpu", "--preset", "nano", "--corpus", "demo",
        "--learning-rate", "3e-3", "--run", "sweep-02",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "arguments"),
    [
        ({"shape": "n_layer=2 d_ff=512"}, ["--n-layer", "2", "--d-ff", "512", "--preset", "nano", "--corpus", "demo"]),
        ({"begin_from": "pretrained", "shape": "n_layer=2"}, ["--from", "pretrained", "--corpus", "demo"]),
        ({"ema": "0.999"}, ["--ema", "0.999", "--preset", "nano", "--corpus", "demo"]),
        ({"corpus": "file", "file": "play.txt"}, ["--preset", "nano", "--corpus", str(Path("play.txt").absolute())]),
    ],
)
def test_a_sweep_has_all_that_stands_in_the_form(
    private_surroundings: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], arguments: list[str]
) -> None:
    monkeypatch.setattr("shakegpt.tui.training.sweep_form.begin_in_background", lambda *_: None)
    values = VALUES | {"seed": "1,2"} | changes
    planned = begin_sweep(Store(private_surroundings), values, training_request(values))
    assert planned.arguments(planned.runs[0]) == ["train", *arguments, "--seed", "1", "--run", "sweep-01"]
