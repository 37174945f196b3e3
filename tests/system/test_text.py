"""Text from strangers is spelled out before it reaches a terminal; JSON and files from strangers are bounded."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.system.files import make_folder, read_bounded, replace_file
from shakegpt.system.json_records import parse_json, parse_record
from shakegpt.system.seeds import derive_seed
from shakegpt.system.text import escape_control_characters, escape_line, is_safe, name_character


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("To be,\n\tor not", "To be,\n\tor not"),
        ("“Ay” — naïve 漢字", "“Ay” — naïve 漢字"),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("a\rb\x08c\x9b", "a\\rb\\x08c\\x9b"),
        ("abc\u202edef\u200b", "abc\\u202edef\\u200b"),
        ("\udcff\ue000\u2028", "\\udcff\\ue000\\u2028"),
    ],
)
def test_what_could_move_a_cursor_is_spelled_out(text: str, told: str) -> None:
    assert escape_control_characters(text) == told


@given(st.text(alphabet=st.characters()))
def test_nothing_unsafe_comes_through(text: str) -> None:
    assert all(is_safe(character) for character in escape_control_characters(text))
    one_line = escape_line(text)
    assert all(is_safe(character) and character not in "\n\t" for character in one_line)
    assert len(one_line.splitlines()) <= 1


def test_a_character_is_named_by_its_mark_and_code_point() -> None:
    assert name_character("é") == "'é' (U+00E9)"
    assert name_character("\n") == r"'\n' (U+000A)"


# Seeds


def test_a_seed_depends_on_every_part_of_its_name() -> None:
    names = [(1, "batch", 5), (1, "batch", 6), (2, "batch", 5), (1, "dropout", 5), (1, "batch", 5, 0), (1, "batch")]
    seeds = [derive_seed(*name) for name in names]
    assert len(set(seeds)) == len(names)
    assert derive_seed(*names[0]) == seeds[0] == 4056541531313688330  # fixed: a run must resume on any machine
    assert all(0 <= seed < 2**63 for seed in seeds)


# Records


@dataclass(frozen=True)
class Card:
    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    name: str
    size: int = 0


def test_a_record_is_what_its_json_says() -> None:
    assert parse_record('{"name": "lear", "size": 3}', Card) == Card("lear", 3)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", '{"size": 3}', '{"name": 3}', '{"name": "x", "size": "3"}', '{"name": "x", "size": 3.5}',
        '{"name": "x", "size": true}', '{"name": "x", "colour": "red"}', '{"name": "x", "name": "y"}',
        '{"name": "x", "size": NaN}', "[" * 100_000,
    ],
)  # fmt: skip
def test_json_that_is_no_such_record_is_refused_in_a_phrase(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        parse_record(text, Card)
    assert "\n" not in str(caught.value)
    assert "http" not in str(caught.value)


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", "NaN", '{"a": {"b": 1, "b": 2}}'])
def test_json_says_only_what_json_can_say(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON number|is repeated"):
        parse_json(text)


# Files


def test_a_file_is_read_within_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(ValueError, match="more than the 4"):
        read_bounded(path, 4)


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "missing"])
def test_what_is_no_regular_file_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    match kind:
        case "link":
            (tmp_path / "other").write_text("secret")
            path.symlink_to(tmp_path / "other")
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)  # whoever reads it the plain way waits for ever
    with pytest.raises((OSError, ValueError)):
        read_bounded(path, 100)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    replace_file(path, b"old")
    assert path.stat().st_mode & 0o777 == 0o600
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_new_folders_are_private(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")} == {0o700}
