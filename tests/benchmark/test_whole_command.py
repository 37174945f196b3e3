"""The whole command as the bench runs it: its wall time is split without a rest, and its settings are its own."""

import json
from pathlib import Path

import pytest

from shakegpt.benchmark import whole_command
from shakegpt.benchmark.whole_command import run_whole_command
from shakegpt.errors import ShakegptError
from shakegpt.system.device import choose_device_plan

CPU = choose_device_plan("cpu", "fp32")


def test_a_training_is_split_into_what_it_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAKEGPT_TRAIN_STEPS", "not a number")  # the command has settings of its own
    found = run_whole_command(CPU, "nano", 50, characters=20_000)
    assert (found.steps, found.eval_every) == (50, 50)
    assert set(found.seconds) == {"start", "steps", "evaluation", "samples", "saving", "end"}
    assert all(seconds > 0 for seconds in found.seconds.values())
    assert found.peak_bytes_over_torch > 1_000_000


def test_an_events_seconds_are_those_since_the_one_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kinds = ["started", "sample", "step", "step", "warning", "evaluation", "inspection", "saved", "finished"]
    lines = tmp_path / "events.jsonl"
    lines.write_text("".join(json.dumps({"event": kind, "eval_every": 7, "step": 1}) + "\n" for kind in kinds))
    arrivals = iter([1.0, 3.0, 6.0, 10.0, 15.0, 21.0, 28.0, 36.0, 45.0])
    monkeypatch.setattr(whole_command.time, "perf_counter", lambda: next(arrivals))
    with lines.open() as file:
        seconds, said = whole_command._split(file, 0.5)
    assert said == {"eval_every": 7}
    assert seconds == {"start": 0.5, "samples": 2, "steps": 3 + 4 + 5, "evaluation": 6 + 7, "saving": 8, "end": 9}


def test_a_training_that_fails_is_an_error_of_one_sentence() -> None:
    with pytest.raises(ShakegptError, match=r"There is no preset 'none'.*\)\.$") as error:
        run_whole_command(CPU, "none", 20)
    assert "\n" not in str(error.value)
