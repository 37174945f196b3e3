"""``shakegpt lr-find``: its curve, its suggestion, its picture, and nothing else."""

from pathlib import Path

import pytest

from tests.cli.cli_results import Invoke, objects, one_sentence

NANO = [
    "lr-find",
    "--preset",
    "nano",
    "--corpus",
    "demo",
    "--device",
    "cpu",
    "--precision",
    "fp32",
    "--batch-size",
    "4",
]


def test_it_suggests_a_rate_in_words_and_in_json(private_surroundings: Path, invoke: Invoke, tmp_path: Path) -> None:
    picture = tmp_path / "rates.svg"
    text = invoke(*NANO, "--plot", str(picture)).stdout
    assert "X suggestion" in text
    assert "falls fastest at" in text
    assert picture.read_text().startswith("<?xml")
    (result,) = objects(invoke(*NANO, "--json").stdout)
    assert f"Try --learning-rate {result['suggestion'] * 1e3:g}e-3" in text
    assert 1e-3 < result["suggestion"] < 0.1
    assert set(result["points"][0]) == {"learning_rate", "loss", "smoothed"}
    assert not private_surroundings.exists()


@pytest.mark.parametrize("arguments", [["--low", "0"], ["--low", "1", "--high", "0.1"]])
def test_a_range_that_is_none_is_refused(invoke: Invoke, arguments: list[str]) -> None:
    assert "below --high" in one_sentence(invoke(*NANO, *arguments), 2)
