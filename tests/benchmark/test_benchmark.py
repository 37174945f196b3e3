"""The bench: every figure is there, and the ratios are those of the rounds. How fast anything is, no test says."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shakegpt.benchmark import benchmark
from shakegpt.cli.bench import _print
from shakegpt.system.device import choose_device_plan


class FakePeer:
    """Does a character a second."""

    version = "5"

    def rate(self, task: str, seconds: float) -> float:
        assert task in ("train", "generate")
        return 1.0


@contextmanager
def fake_peer(*_: object, **__: object) -> Iterator[FakePeer]:
    yield FakePeer()


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    names = ("help_seconds", "torch_import_seconds", "first_character_seconds", "first_paint_seconds")
    together = {"processes": 2, "tokens_per_second": 1000.0, "over_threads": 1.25}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "_COPIED_FLOATS", 2**10)
        patch.setattr(benchmark, "_MATRIX", 32)
        patch.setattr(benchmark, "_SAMPLES", 2)
        patch.setattr(benchmark, "measure_start", lambda *_: dict.fromkeys(names, 0.5))
        patch.setattr(benchmark, "measure_memory", lambda _: {"train_peak_bytes_over_torch": 10**8})
        patch.setattr(benchmark, "measure_distributed", lambda *_, **__: together)
        patch.setattr(benchmark, "start_baseline", fake_peer)
        return benchmark.measure(
            choose_device_plan("cpu", "fp32"), preset="nano", against="transformers", rounds=2, seconds=0.0
        )


def test_the_figures_that_other_programs_rely_on(figures: dict[str, Any]) -> None:
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    assert figures["device"] == "cpu"
    assert figures["precision"] == "fp32"
    train, generate = figures["train"], figures["generate"]
    rates = (train["tokens_per_second"], train["matmul_fraction"], generate["characters_per_second"])
    assert all(math.isfinite(rate) and rate > 0 for rate in rates)
    low, high = train["spread"]
    assert low <= train["tokens_per_second"] <= high


def test_the_figures_are_printed_in_lines(figures: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    _print(figures)
    printed = capsys.readouterr().out
    ratio = figures["against"]["train"]["ratio"]
    assert ratio == pytest.approx(figures["train"]["tokens_per_second"], rel=0.01)
    assert f"shakegpt is {ratio:.2f} times as fast" in printed
    assert "2 processes       1,000 characters/s of training under torchrun, 1.25 times threads in one" in printed
    assert "0.50 s from starting the app" in printed
    assert max(map(len, printed.splitlines())) <= 120


def test_what_this_machine_has_not_is_left_out_or_told(
    figures: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    start = figures["start"] | {"first_paint_seconds": None}
    _print({**figures, "start": start, "distributed": None})
    printed = capsys.readouterr().out
    assert "first paint" not in printed
    assert "2 processes" not in printed
    _print({**figures, "distributed": {"processes": 2, "tokens_per_second": None, "failure": "No\x1b network."}})
    assert "could not train as one: No" in (printed := capsys.readouterr().out)
    assert "\x1b" not in printed
