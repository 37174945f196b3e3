"""The bench: every figure is there, and the ratios are those of the rounds. How fast anything is, no test says."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shakegpt.benchmark import benchmark
from shakegpt.benchmark.whole_command import WholeCommand
from shakegpt.cli.bench import _print
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


def fake_command(_: object, preset: str, steps: int) -> WholeCommand:
    assert (preset, steps) == ("nano", 20)
    return WholeCommand(steps, 10, {"start": 2.0, "steps": 5.0, "saving": 0.25}, 10**8)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "_COPIED_FLOATS", 2**10)
        patch.setattr(benchmark, "_MATRIX_SIZE", 32)
        patch.setattr(benchmark, "_SAMPLES", 2)
        patch.setattr(benchmark, "run_whole_command", fake_command)
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
    split = {"start": 2.0, "steps": 5.0, "saving": 0.25}
    assert results["command"] == {"steps": 20, "eval_every": 10, "seconds": 7.25, "split": split}
    assert "presets" not in results  # which a CPU would take hours for
    low, high = train["spread"]
    assert low <= train["tokens_per_second"] <= high


def test_the_results_are_printed_in_lines(results: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    _print(results)
    printed = capsys.readouterr().out
    ratio = results["against"]["train"]["ratio"]
    assert ratio == pytest.approx(results["train"]["tokens_per_second"], rel=0.01)
    assert f"shakegpt is {ratio:.2f} times as fast" in printed
    assert "100 MB for training" in printed
    assert "7.2 s for 20 steps (start 2.0, steps 5.0, saving 0.2)" in printed
    assert max(map(len, printed.splitlines())) <= 120


def test_what_a_gpu_adds_is_printed_in_lines_too(results: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    on_gpu = {
        "tokens_per_second": 7e6,
        "spread": [6.9e6, 7.1e6],
        "step_seconds": 0.00117,
        "launch_bound_share": 0.75,
        "gpu_peak_bytes": 3 * 10**8,
    }
    _print(results | {"presets": {"mini": on_gpu, "baby": on_gpu | {"launch_bound_share": None}}})
    lines = capsys.readouterr().out.splitlines()
    [line] = [line for line in lines if line.startswith("  mini ")]
    assert "7,000,000 characters/s" in line
    assert line.endswith("1.17 ms a step, 300 MB of the GPU; recording saves 75%")
    assert [line for line in lines if line.startswith("  baby ") and line.endswith("not recorded")]
