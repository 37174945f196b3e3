"""``shakegpt evaluate``."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from shakegpt.data.corpus import Corpus
from shakegpt.evaluation.loss import evaluate
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, objects, one_sentence


def test_evaluate_json_is_the_full_pass(store: Store, invoke: Invoke, demo: Corpus) -> None:
    (result,) = objects(invoke("evaluate", "macbeth@30", "--json").stdout)
    assert {
        "checkpoint", "corpus", "split", "characters", "loss", "perplexity", "bits_per_character", "parameters",
    } == set(result)  # fmt: skip
    loss = evaluate(store.open("macbeth@30").model(), demo.validation)
    info = store.find("macbeth@30")
    assert (result["checkpoint"], result["corpus"], result["split"]) == ("macbeth@30", "demo", "validation")
    assert result["characters"] == len(demo.validation) - 1
    assert result["loss"] == pytest.approx(loss.nats, rel=1e-6) == pytest.approx(info.val_loss, rel=1e-6)
    assert result["perplexity"] == pytest.approx(loss.perplexity)
    assert result["bits_per_character"] == pytest.approx(loss.bits_per_character)
    assert result["parameters"] == info.parameters


def test_evaluate_prints_the_same_for_people(store: Store, invoke: Invoke) -> None:
    done = invoke("evaluate", "macbeth@30", "--split", "train")
    assert done.exit_code == 0
    assert re.search(r"loss +\d\.\d{4} nats", done.stdout)
    assert "train split of demo" in done.stdout


def test_evaluate_refuses_a_text_with_unknown_characters(store: Store, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "greek.txt").write_text("μῆνιν ἄειδε θεὰ " * 99)
    message = one_sentence(invoke("evaluate", "macbeth", "--corpus", str(tmp_path / "greek.txt")), 1)
    assert "has never seen" in message


def test_evaluate_refuses_an_unknown_split(store: Store, invoke: Invoke) -> None:
    assert "'test'" in one_sentence(invoke("evaluate", "macbeth", "--split", "test"), 2)


def test_evaluate_finds_the_file_that_a_run_learned_from(
    train_nano: Callable[..., tuple[Run, object]], invoke: Invoke, tmp_path: Path
) -> None:
    path = tmp_path / "my play.txt"
    path.write_text("To be, or not to be: that is the question.\n" * 40)
    train_nano(corpus=str(path), run_name="lear", steps=2)
    (result,) = objects(invoke("evaluate", "lear", "--json").stdout)
    assert result["corpus"] == "my play"


def test_the_model_may_be_named_by_an_option(store: Store, invoke: Invoke) -> None:
    (option,) = objects(invoke("evaluate", "-c", "macbeth@30", "--json").stdout)
    (argument,) = objects(invoke("evaluate", "macbeth@30", "--json").stdout)
    assert option == argument
    assert "given twice" in one_sentence(invoke("evaluate", "macbeth", "-c", "macbeth"), 2)


def test_a_part_of_the_split_is_said_to_be_one(store: Store, invoke: Invoke) -> None:
    result = objects(invoke("evaluate", "macbeth", "--eval-windows", "5", "--json").stdout)[0]
    assert (result["windows"], result["all_windows"], result["characters"]) == (5, 51, 5 * 64)
    assert "over 320 characters in 5 of 51 windows" in invoke("evaluate", "macbeth", "--eval-windows", "5").stdout
    assert "windows" not in invoke("evaluate", "macbeth").stdout
