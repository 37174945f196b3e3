"""How fast this machine trains: from its own runs only, the newest of each preset."""

import json
from pathlib import Path

import pytest

from shakegpt.config import PRESETS
from shakegpt.events import Finished, Step
from shakegpt.runs.run import Run, RunMetadata
from shakegpt.runs.speed import Speed, expected_speed, measured_speeds
from shakegpt.runs.store import Store


def put_run(store: Store, name: str, preset: str, speed: float | None, *, day: int = 1, host: str | None = None) -> Run:
    run = store.create(
        RunMetadata(
            preset=preset,
            model=PRESETS[preset].model_config(65),
            training=PRESETS[preset].training_config(),
            corpus="demo",
            corpus_sha256="0" * 64,
            created=f"2026-11-{day:02}T20:00:00+00:00",
            versions={},
        ),
        name,
    )
    run.lock().close()
    if host is not None:
        (run.path / "lock").write_text(json.dumps({"pid": 1, "host": host}))
    if speed is not None:
        run.log.append(
            Step(
                step=8,
                loss=2.0,
                perplexity=7.4,
                learning_rate=1e-3,
                grad_norm=0.5,
                tokens_per_second=3 * speed,  # without evaluations
                seconds=8192 / speed,
                tokens=8192,
            )
        )
    run.log.append(Finished(step=8, outcome="finished", best_val_loss=None, best_step=None, seconds=1.0))
    run.log.close()
    return run


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_the_newest_run_of_each_preset_counts(store: Store) -> None:
    put_run(store, "old", "nano", 10_000.0, day=1)
    put_run(store, "new", "nano", 30_000.0, day=2)
    put_run(store, "mini", "mini", 5_000.0, day=1)
    speeds = measured_speeds(store)
    assert {preset: speed.tokens_per_second for preset, speed in speeds.items()} == pytest.approx(
        {"nano": 30_000.0, "mini": 5_000.0}
    )
    assert speeds["nano"].parameters == PRESETS["nano"].model_config(65).parameters


def test_another_machine_does_not_count(store: Store) -> None:
    put_run(store, "gpu", "nano", 900_000.0, host="gpu-box.example")
    put_run(store, "none", "nano", None)
    assert measured_speeds(store) == {}


@pytest.mark.parametrize(
    ("preset", "parameters", "expected"),
    [
        ("mini", 1_000, (500.0, True)),
        ("baby", 4_000, (125.0, False)),  # four times the weights of mini take four times as long
        ("gpt2", 40_000, None),  # too far from anything measured
        ("nano", 100, None),  # a small model is not as many times faster
    ],
)
def test_a_speed_is_worked_out_only_from_a_similar_model(
    preset: str, parameters: int, expected: tuple[float, bool] | None
) -> None:
    assert expected_speed({"mini": Speed(1_000, 500.0)}, preset, parameters) == expected
