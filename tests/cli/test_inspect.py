"""``shakegpt inspect``."""

import json
from pathlib import Path

import numpy as np
import pytest

import shakegpt
from shakegpt.inspection.heads import mute_costs, score_heads
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, one_sentence

TEXT = "ROMEO:\nWhat light"
ARGUMENTS = ("inspect", "macbeth", "--text", TEXT, "--characters", "200")


def test_json_holds_what_a_trace_holds(store: Store, invoke: Invoke) -> None:
    result = json.loads(invoke(*ARGUMENTS, "--json").stdout)
    trace = shakegpt.load("macbeth").inspect(TEXT)
    assert (result["text"], result["skipped"], result["muted"]) == (TEXT, 0, [])
    np.testing.assert_allclose(result["attention"], trace.attention, atol=1e-6)
    assert result["characters"][0] == {"character": "R", "loss": None}
    np.testing.assert_allclose([row["loss"] for row in result["characters"][1:]], trace.loss[1:], atol=1e-5)
    assert result["loss"] == pytest.approx(trace.mean_loss)
    for layer, rows in enumerate(result["lens"]):
        for position, row in enumerate(rows):
            likeliest = trace.likeliest(position, 5, layer=layer)
            assert [entry["character"] for entry in row] == [character for character, _ in likeliest]
            np.testing.assert_allclose([entry["probability"] for entry in row], [p for _, p in likeliest], atol=1e-6)
    assert result["decided_at"] == [trace.decided_at(position) for position in range(len(TEXT))]
    found, (answer, _) = result["attribution"], trace.likeliest()[0]
    assert (found["character"], found["position"]) == (answer, len(TEXT) - 1)
    parts = np.sum(found["heads"]) + np.sum(found["mlps"]) + np.sum(found["biases"])
    assert parts + found["token"] + found["place"] + found["constant"] == pytest.approx(found["logit"], abs=1e-4)


def test_the_heads_are_scored_on_the_text_the_model_was_trained_on(store: Store, invoke: Invoke, demo: object) -> None:
    heads = json.loads(invoke(*ARGUMENTS, "--json", "--costs").stdout)["heads"]
    language_model, size = store.language_model("macbeth"), shakegpt.load("macbeth").config.block_size
    text, windows = demo.validation_text, 200 // size  # type: ignore[attr-defined]
    expected = score_heads(language_model, text, windows=windows)
    assert (heads["corpus"], heads["characters"]) == ("demo", windows * size)
    for name in ("previous", "itself", "newline", "distance", "entropy"):
        np.testing.assert_allclose(heads[name], getattr(expected, name), atol=1e-6)
    np.testing.assert_allclose(heads["mute_cost"], mute_costs(language_model, text, windows=windows), atol=1e-5)
    assert json.loads(invoke(*ARGUMENTS, "--json").stdout)["heads"]["mute_cost"] is None
    assert json.loads(invoke(*ARGUMENTS[:-1], "0", "--json").stdout)["heads"] is None


def test_the_checkpoint_can_be_an_option_as_elsewhere(store: Store, invoke: Invoke) -> None:
    text = ("--text", "To be", "--characters", "0", "--json")
    assert invoke("inspect", "-c", "macbeth@20", *text).stdout == invoke("inspect", "macbeth@20", *text).stdout
    assert "was given twice" in one_sentence(invoke("inspect", "macbeth@20", "-c", "macbeth", *text), 2)


def test_what_people_read_names_the_answer_and_every_head(store: Store, invoke: Invoke) -> None:
    model = shakegpt.load("macbeth")
    shown = invoke(*ARGUMENTS, "--costs").stdout
    answer, odds = model.inspect(TEXT).likeliest()[0]
    assert r'reads 17 characters: "ROMEO:\nWhat light"' in shown
    assert f'"{answer}" {odds:6.1%}' in shown
    assert f'What adds to the logit of "{answer}"' in shown
    for layer in range(model.config.n_layer):
        for head in range(model.config.n_head):
            assert f"\n  {layer + 1}.{head + 1} " in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_a_muted_head_adds_nothing(store: Store, invoke: Invoke) -> None:
    result = json.loads(invoke(*ARGUMENTS, "--mute", "1.1", "--json").stdout)
    assert result["muted"] == ["1.1"]
    assert result["attribution"]["heads"][0][0] == 0
    assert "(muted)" in invoke(*ARGUMENTS, "--mute", "1.1").stdout


def test_without_a_text_it_reads_the_validation_split_and_a_pipe_is_read(
    store: Store, invoke: Invoke, demo: object
) -> None:
    size = shakegpt.load("macbeth").config.block_size
    beginning = demo.validation_text[:size]  # type: ignore[attr-defined]
    assert json.loads(invoke("inspect", "macbeth", "--json").stdout)["text"] == beginning
    assert json.loads(invoke("inspect", "macbeth", "--json", stdin=TEXT).stdout)["text"] == TEXT
    assert json.loads(invoke("inspect", "macbeth", "--text", "-", "--json", stdin=TEXT).stdout)["text"] == TEXT
    long = TEXT * 20
    result = json.loads(invoke("inspect", "macbeth", "--json", "--characters", "0", stdin=long).stdout)
    assert (result["text"], result["skipped"]) == (long[-size:], len(long) - size)


def test_the_shipped_model_is_scored_without_a_download(invoke: Invoke) -> None:
    """Nothing is cached here, and no network: the text that ships does."""
    done = invoke("inspect", "pretrained", "--text", TEXT, "--characters", "128", "--json")
    assert json.loads(done.stdout)["heads"]["corpus"] == "demo"
    assert "not on this machine" in done.stderr


def test_a_text_that_is_gone_leaves_the_heads_without_scores(store: Store, invoke: Invoke, tmp_path: Path) -> None:
    path = store.run("macbeth").path / "run.json"
    path.write_text(path.read_text().replace('"demo"', '"gone"'))
    done = invoke(*ARGUMENTS, "--json")
    assert json.loads(done.stdout)["heads"] is None
    assert "The heads are not scored: There is no corpus gone" in done.stderr


def test_a_picture_of_where_the_heads_look(store: Store, invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "heads.svg"
    done = invoke(*ARGUMENTS, "--plot", str(path))
    assert (done.exit_code, done.stdout) == (0, f"{path}\n")
    assert "looked at" in path.read_text()
    both = invoke(*ARGUMENTS, "--plot", str(path), "--json")
    assert json.loads(both.stdout)["text"] == TEXT


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("macbeth", "--text", ""), 2, "text is empty"),
        (("macbeth", "--text", "ab☂"), 2, "never seen"),
        (("macbeth", "--text", "ab", "--mute", "1"), 2, "such as 1.4, not '1'"),
        (("macbeth", "--text", "ab", "--mute", "9.1"), 2, "There is no head 9.1"),
        (("macbeth", "--text", "ab", "--mute", "0.1"), 2, "There is no head 0.1"),
        (("macbeth", "--text", "ab", "--plot", "heads.pdf"), 2, ".svg or .png"),
        (("nobody",), 1, "There is no run nobody"),
    ],
)
def test_what_cannot_be_inspected_is_said_in_a_sentence(
    store: Store, invoke: Invoke, arguments: tuple[str, ...], code: int, message: str
) -> None:
    assert message in one_sentence(invoke("inspect", *arguments), code)
