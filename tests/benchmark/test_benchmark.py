"""The bench: every figure is there, and the ratios are those of the rounds. How fast anything is, no test says."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shakegpt.benchmark import benchmark
from shakegpt.benchmark.benchmark import measure_memory
from shakegpt.cli.bench import _print
from shakegpt.errors import ShakegptError
from shakegpt.system.device import choose_device_plan


class FakeBaseline:
    """Does a character a second."""

    version = "5"

    def rate(self, task: str, seconds: float) -> float:
        assert task in ("train", "generate")
        return 1.0


@contextmanager
def fake_baseline(*_: object, **__: object) -> Iterator[FakeBaseline]:
    yield FakeBaseline()


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "_COPIED_FLOATS", 2**10)
        patch.setattr(benchmark, "_MATRIX_SIZE", 32)
        patch.setattr(benchmark, "_SAMPLES", 2)
        patch.setattr(benchmark, "measure_memory", lambda _: 10**8)
        patch.setattr(benchmark, "start_baseline", fake_baseline)
        return benchmark.measure(
            choose_device_plan("cpu", "fp32"), preset="nano", against="transformers", rounds=2, seconds=0.0
        )


def test_the_results_that_other_programs_rely_on(results: dict[str, Any]) -> None:
    assert json.loads(json.dumps(results, allow_nan=False)) == results
    assert results["device"] == "cpu"
    assert results["precision"] == "fp32"
    train, generate = results["train"], results["generate"]
    rates = (train["tokens_per_second"], train["matmul_fraction"], generate["characters_per_second"])
    assert all(math.isfinite(rate) and rate > 0 for rate in rates)
    assert train["step_seconds"] == pytest.approx(16 * 64 / train["tokens_per_second"], rel=1e-3)
    assert results["memory"] == {"train_peak_bytes_over_torch": 10**8}
    low, high = train["spread"]
    assert low <= train["tokens_per_second"] <= high


def test_the_results_are_printed_in_lines(results: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    _print(results)
    printed = capsys.readouterr().out
    ratio = results["against"]["train"]["ratio"]
    assert ratio == pytest.approx(results["train"]["tokens_per_second"], rel=0.01)
    assert f"shakegpt is {ratio:.2f} times as fast" in printed
    assert "100 MB for training" in printed
    assert max(map(len, printed.splitlines())) <= 120


def test_memory_is_that_of_a_training_with_settings_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAKEGPT_TRAIN_STEPS", "not a number")
    assert measure_memory("nano", characters=20_000) > 1_000_000


def test_a_training_that_fails_is_an_error_of_one_sentence() -> None:
    with pytest.raises(ShakegptError, match=r"There is no preset 'none'.*\)\.$") as error:
        measure_memory("none")
    assert "\n" not in str(error.value)
