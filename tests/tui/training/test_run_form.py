from pathlib import Path

import pytest

from shakegpt.tui.training.run_form import DEFAULTS, field_error, training_request, valid_values


def form(**typed: str) -> dict[str, str]:
    return {**DEFAULTS, **typed}


def test_an_empty_form_is_the_preset() -> None:
    request = training_request(form())
    assert (request.preset, request.corpus, request.run_name, request.changes) == ("mini", "tiny-shakespeare", None, {})


def test_everything_that_is_typed_is_in_the_request(tmp_path: Path) -> None:
    request = training_request(
        form(
            preset="nano",
            corpus="file",
            file=f" {tmp_path} ",
            run="macbeth",
            steps="5,000",
            learning_rate="1e-3",
            device="cpu",
            precision="fp32",
        )
    )
    assert (request.preset, request.corpus, request.run_name) == ("nano", str(tmp_path), "macbeth")
    assert request.changes == {"steps": 5000, "learning_rate": 1e-3, "device": "cpu", "precision": "fp32"}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("steps", "abc", "This must be a whole number, not 'abc'."),
        ("steps", "2.5", "This must be a whole number, not '2.5'."),
        ("steps", "0", "The number of steps must be a whole number of at least 1"),
        ("batch_size", "-1", "The batch size must be a whole number of at least 1"),
        ("learning_rate", "fast", "This must be a number such as 1e-3, not 'fast'."),
        ("learning_rate", "0", "The learning rate must be a number above 0"),
        ("learning_rate", "nan", "The learning rate must be a number above 0"),
        ("learning_rate", "inf", "The learning rate must be a number above 0"),
        ("ema", "1", "The decay of the average of the weights must be a number of at least 0"),
        ("seed", "-3", "The seed must be a whole number of at least 0"),
        ("run", "../up", "A run cannot be called '../up'"),
    ],
)
def test_an_invalid_field_has_an_error(name: str, text: str, sentence: str) -> None:
    assert field_error(form(**{name: text}), name).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("steps", ""),
        ("steps", " 12 "),
        ("batch_size", "7"),
        ("learning_rate", "1e-5"),
        ("seed", "0"),
        ("run", "lear-2"),
    ],
)
def test_a_good_field_has_no_error(name: str, text: str) -> None:
    assert field_error(form(**{name: text}), name) == ""


def test_the_limits_depend_on_the_preset() -> None:
    assert "multiple" in field_error(form(preset="gpt2", batch_size="6"), "batch_size")
    assert field_error(form(preset="mini", batch_size="6"), "batch_size") == ""


@pytest.mark.parametrize(
    ("preset", "shape", "text", "words"),
    [
        ("nano", "", "a" * 650, ""),
        (
            "nano",
            "",
            "a" * 640,
            "play.txt is too short: its validation split has 64 characters and one window",
        ),
        ("nano", "", "é" * 640, "at least 650 characters"),
        ("nano", "", "é" * 650, ""),
        ("mini", "", "a" * 650, "at least 1,290 characters"),
        ("nano", "block_size=16", "a" * 640, ""),
        ("nano", "nonsense", "a" * 650, ""),
    ],
)
def test_a_text_that_is_too_short_for_the_model_is_refused_in_the_form(
    tmp_path: Path, preset: str, shape: str, text: str, words: str
) -> None:
    path = tmp_path / "play.txt"
    path.write_text(text, encoding="utf-8")
    error = field_error(form(preset=preset, shape=shape, corpus="file", file=str(path)), "file")
    assert words in error
    assert bool(error) == bool(words)


def test_a_file_must_be_there(tmp_path: Path) -> None:
    text = tmp_path / "play.txt"
    text.write_text("ROMEO:\n" * 200, encoding="utf-8")
    assert field_error(form(corpus="file", file=str(text)), "file") == ""
    assert "is a folder" in field_error(form(corpus="file", file=str(tmp_path)), "file")
    assert "There is no file" in field_error(form(corpus="file", file=str(tmp_path / "none")), "file")
    assert "Choose a text file" in field_error(form(corpus="file"), "file")
    assert field_error(form(corpus="demo", file="nowhere"), "file") == ""


def test_a_remembered_preset_has_its_name_of_today() -> None:
    assert valid_values({"preset": "seed"})["preset"] == "mini"


def test_remembered_fields_that_are_no_longer_valid_are_the_defaults_again() -> None:
    remembered = valid_values({"preset": "huge", "device": "abacus", "steps": "12", "unknown": "x"})
    assert remembered == {**DEFAULTS, "steps": "12"}


def test_a_shape_goes_on_top_of_the_preset() -> None:
    request = training_request(form(shape="n_layer=3 --d-model=64"))
    assert (request.preset, request.changes) == ("mini", {"n_layer": 3, "d_model": 64})
    assert "multiple" in field_error(form(shape="d_model=250"), "shape")
    assert field_error(form(shape="wide"), "shape").startswith("Write it as n_layer=4 d_model=128")


def test_a_checkpoint_to_begin_from_brings_its_shape_and_preset() -> None:
    request = training_request(form(begin_from=" pretrained ", shape="n_layer=3"))
    assert (request.preset, request.begin_from, request.changes) == (None, "pretrained", {})
    assert valid_values({"begin_from": "lear"})["begin_from"] == ""
