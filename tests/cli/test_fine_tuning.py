"""``train --from``, from the command line to a model that speaks of what it has learned."""

import json
from pathlib import Path

import pytest

from shakegpt.config import PRESETS
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, objects, one_sentence

POEM = "Øde våg; the sea is grey, the ærne soar: 5 of them!\n" * 40
TRAIN = ["train", "--run", "sea", "--steps", "4", "--eval-every", "2", "--device", "cpu", "--precision", "fp32"]


@pytest.fixture
def poem(tmp_path: Path) -> str:
    """The path of a text with four characters that macbeth has not met."""
    path = tmp_path / "poem.txt"
    path.write_text(POEM)
    return str(path)


def test_a_run_on_another_text_begins_gently_with_what_its_model_knows(
    store: Store, macbeth: Run, poem: str, invoke: Invoke
) -> None:
    known = store.open("macbeth").vocabulary.characters
    done = invoke(*TRAIN, "--from", "macbeth", "--corpus", poem)
    assert done.exit_code == 0, done.output
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("Begun from")]
    reference = store.find("macbeth").reference
    assert said == f"Begun from {reference}: {len(known)} characters keep their weights, 4 are new."
    (record,) = objects(invoke("runs", "show", "sea", "--json").stdout)
    gentle = PRESETS["nano"].gentle().training_config().learning_rate
    assert record["record"]["training"]["learning_rate"] == gentle < macbeth.metadata.training.learning_rate
    assert record["record"]["new_characters"] == 4
    assert store.open("sea").vocabulary.characters == known + "5Øåæ"
    speech = ["generate", "--prompt", "Øde", "--length", "3", "--seed", "1", "--json"]
    assert json.loads(invoke(*speech, "--checkpoint", "sea").stdout)["characters"] == 3
    assert "'Ø' (U+00D8)" in one_sentence(invoke(*speech, "--checkpoint", "macbeth"), 2)


def test_the_rate_may_be_chosen_all_the_same(store: Store, poem: str, invoke: Invoke) -> None:
    done = invoke(*TRAIN, "--from", "macbeth", "--corpus", poem, "--learning-rate", "2e-3", "--json")
    started, first, *_ = objects(done.stdout)
    assert (started["begun_from"], started["new_characters"]) == (store.find("macbeth").reference, 4)
    assert store.run("sea").metadata.training.learning_rate == 2e-3
    assert first["event"] in ("sample", "step")


def test_an_imported_model_can_be_gone_on_with(store: Store, poem: str, invoke: Invoke, tmp_path: Path) -> None:
    folder = str(tmp_path / "hf")
    for command in (["export", "macbeth", folder], ["import", folder, "--run", "returned"]):
        assert invoke(*command).exit_code == 0
    done = invoke(*TRAIN, "--from", "returned", "--corpus", poem)
    assert done.exit_code == 0, done.output
    assert "Begun from returned@" in done.stderr
    assert "4 are new" in done.stderr
    assert store.open("sea").vocabulary.characters.endswith("5Øåæ")
    assert store.run("sea").snapshot().best is not None


def test_a_shape_of_the_environment_is_for_models_that_begin_with_nothing(
    store: Store, poem: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHAKEGPT_TRAIN_N_LAYER", "7")
    monkeypatch.setenv("SHAKEGPT_TRAIN_FROM", "macbeth")
    done = invoke(*TRAIN, "--corpus", poem)
    assert done.exit_code == 0, done.output
    assert store.run("sea").metadata.model.n_layer == store.run("macbeth").metadata.model.n_layer


@pytest.mark.parametrize("command", [TRAIN, ["lr-find"]])
@pytest.mark.parametrize(
    ("reference", "more", "code", "message"),
    [
        ("othello", [], 1, "There is no run othello"),
        ("macbeth@21", [], 1, "has no checkpoint 21; it has best, last and"),
        ("pretrained@best", [], 1, "pretrained is the name of one checkpoint"),
        ("/nowhere", [], 1, "/nowhere is not a checkpoint"),
        ("macbeth", ["--n-layer", "3"], 2, "has n_layer 1, not 3: a training that begins from it keeps its shape"),
        ("macbeth", ["--preset", "baby"], 2, "has n_layer 1, not 6"),
    ],
)
def test_what_cannot_be_begun_from_is_said_in_one_sentence(
    command: list[str], reference: str, more: list[str], code: int, message: str, store: Store, poem: str,
    invoke: Invoke,
) -> None:  # fmt: skip
    assert message in one_sentence(invoke(*command, "--from", reference, "--corpus", poem, *more), code)
    assert [run.name for run in store.runs()] == ["macbeth"]


def test_a_run_is_resumed_or_begun_but_not_both(store: Store, invoke: Invoke) -> None:
    sentence = one_sentence(invoke("train", "--from", "macbeth", "--resume", "macbeth"), 2)
    assert "give --resume or --from, not both" in sentence
