"""``shakegpt score``."""

import json
from pathlib import Path

import pytest

import shakegpt
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, one_sentence

TEXT = "ROMEO:\nWhat light through yonder window breaks?\n"


def test_json_has_the_log_probability_of_each_character(store: Store, invoke: Invoke) -> None:
    result = json.loads(invoke("score", "macbeth", "-", "--json", stdin=TEXT).stdout)
    expected = shakegpt.load("macbeth").score(TEXT)
    assert {"checkpoint", "text", "loss", "characters"} <= set(result)
    assert result["checkpoint"] == store.find("macbeth").reference
    assert result["text"] == TEXT == "".join(row["character"] for row in result["characters"])
    assert result["loss"] == pytest.approx(expected.loss)
    assert result["characters"][0] == {"character": "R", "logprob": None}
    for row, logprob in zip(result["characters"][1:], expected.log_probabilities[1:], strict=True):
        assert row["logprob"] == pytest.approx(logprob)
        assert set(row) == {"character", "logprob"}


def test_top_adds_the_likeliest(store: Store, invoke: Invoke) -> None:
    result = json.loads(invoke("score", "macbeth", "-", "--json", "--top", "2", stdin=TEXT).stdout)
    model = shakegpt.load("macbeth")
    assert result["characters"][0]["likeliest"] == []
    for position in (1, 20, 47):
        odds = model.distribution(TEXT[:position])
        first, second = result["characters"][position]["likeliest"]
        assert first["character"] == model.characters[odds.argmax()]
        assert first["logprob"] >= second["logprob"] >= result["characters"][position]["logprob"] or (
            result["characters"][position]["character"] in (first["character"], second["character"])
        )
    lines = invoke("score", "macbeth", "-", "--top", "2", stdin=TEXT).stdout.splitlines()
    assert sum(line.lstrip().startswith('"') for line in lines) == len(TEXT)


@pytest.mark.parametrize("arguments", [("macbeth", "{file}"), ("macbeth",), ("macbeth", "-"), ("{file}",), ("-",)])
def test_a_text_comes_from_a_file_or_from_standard_input(
    store: Store, invoke: Invoke, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """A single argument that is a file, or -, is the text; the model is then the default one."""
    file = tmp_path / "speech.txt"
    file.write_text(TEXT)
    given = [argument.format(file=file) for argument in arguments]
    result = json.loads(invoke("score", *given, "--json", stdin=TEXT).stdout)
    assert result["text"] == TEXT
    named = arguments[0] if arguments[0] == "macbeth" else store.default_reference()
    assert result["checkpoint"] == store.find(named).reference


def test_the_checkpoint_can_be_an_option_as_elsewhere(store: Store, invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT)
    expected = invoke("score", "macbeth@20", "-", "--json", stdin=TEXT).stdout
    assert invoke("score", "-c", "macbeth@20", str(tmp_path / "text"), "--json").stdout == expected
    assert invoke("score", "--checkpoint", "macbeth@20", "--json", stdin=TEXT).stdout == expected
    both = invoke("score", "macbeth@20", "-", "-c", "macbeth", stdin=TEXT)
    assert "was given twice" in one_sentence(both, 2)


def test_what_people_read_says_how_the_text_was_read(store: Store, invoke: Invoke) -> None:
    size = shakegpt.load("macbeth").config.block_size
    text = (TEXT * 20)[: 2 * size + 7]
    shown = invoke("score", "macbeth", "-", stdin=text).stdout
    score = shakegpt.load("macbeth").score(text)
    assert f"{score.loss:.4f} nats per character" in shown
    assert f"Windows overlap by half: after the first, each character has at least {size // 2 + 1}" in shown
    worst = int(score.log_probabilities[1:].argmin()) + 1
    assert sum("[" in line for line in shown.splitlines()) == 10
    assert any(f"at {worst + 1:>7,}" in line for line in shown.splitlines())
    assert "overlap" not in invoke("score", "macbeth", "-", stdin=TEXT[:size]).stdout


def test_line_ends_and_byte_order_marks_are_read_as_in_a_corpus(store: Store, invoke: Invoke, tmp_path: Path) -> None:
    file = tmp_path / "speech.txt"
    file.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert json.loads(invoke("score", "macbeth", str(file), "--json").stdout)["text"] == TEXT


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (("macbeth", "-"), "", 2, "at least two characters"),
        (("macbeth", "-"), "ab☂", 2, "never seen"),
        (("macbeth", "-"), b"ab\xff", 1, "byte 2 is 0xff"),
        (("macbeth", "nowhere.txt"), "", 1, "nowhere.txt cannot be read"),
        (("nobody", "-"), "ab", 1, "There is no run nobody"),
        (("macbeth", "-", "--top", "-1"), "ab", 2, "at least 0, not -1"),
    ],
)
def test_what_cannot_be_scored_is_said_in_a_sentence(
    store: Store, invoke: Invoke, arguments: tuple[str, ...], stdin: str | bytes, code: int, message: str
) -> None:
    assert message in one_sentence(invoke("score", *arguments, stdin=stdin), code)
