"""Untrusted text is escaped before it reaches a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.system.text import escape_control_characters, escape_line, is_safe, name_character


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("To be,\n\tor not", "To be,\n\tor not"),
        ("“Ay” — naïve 漢字", "“Ay” — naïve 漢字"),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("a\rb\x08c\x9b", "a\\rb\\x08c\\x9b"),
        ("abc\u202edef\u200b", "abc\\u202edef\\u200b"),
        ("\udcff\ue000\u2028", "\\udcff\\ue000\\u2028"),
    ],
)
def test_what_could_move_a_cursor_is_escaped(text: str, message: str) -> None:
    assert escape_control_characters(text) == message


@given(st.text(alphabet=st.characters()))
def test_nothing_unsafe_comes_through(text: str) -> None:
    assert all(is_safe(character) for character in escape_control_characters(text))
    one_line = escape_line(text)
    assert all(is_safe(character) and character not in "\n\t" for character in one_line)
    assert len(one_line.splitlines()) <= 1


def test_a_character_is_named_by_itself_and_its_code_point() -> None:
    assert name_character("é") == "'é' (U+00E9)"
    assert name_character("\n") == r"'\n' (U+000A)"
