"""The bench: every figure is there, and the ratios are those of the rounds. How fast anything is, no test says."""

import json
import math
from typing import Any

import pytest

from shakegpt import benchmark
from shakegpt.benchmark import Rates
from shakegpt.cli.benching import _print
from shakegpt.device import choose_placement


def test_a_ratio_is_the_median_of_those_within_a_round() -> None:
    ours, theirs = Rates((10.0, 40.0, 90.0)), Rates((10.0, 20.0, 30.0))
    assert ours.over(theirs) == 2.0
    assert ours.median == 40.0
    assert ours.spread() == [10.0, 90.0]


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    start = dict.fromkeys(("help_seconds", "torch_import_seconds", "first_character_seconds"), 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "_COPIED_FLOATS", 2**10)
        patch.setattr(benchmark, "_MATRIX", 32)
        patch.setattr(benchmark, "_SAMPLES", 2)
        patch.setattr(benchmark, "_measure_start", lambda *_: start)
        patch.setattr(benchmark, "_measure_memory", lambda _: {"train_peak_bytes_over_torch": 10**8})
        return benchmark.measure(choose_placement("cpu", "fp32"), preset="nano", rounds=2, seconds=0.0)


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
    side = {"spread": [1.0, 2.0], "ratio": 3.14}
    peer = {
        "name": "transformers",
        "version": "5",
        "precision": "fp32",
        "train": {"tokens_per_second": 1.5, **side},
        "generate": {"characters_per_second": 1.5, **side},
    }
    _print({**figures, "against": peer})
    printed = capsys.readouterr().out
    assert "shakegpt is 3.14 times as fast" in printed
    assert max(map(len, printed.splitlines())) <= 120
