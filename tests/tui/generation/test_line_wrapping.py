"""How text breaks into lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.tui.generation.line_wrapping import WrappedText


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("to be", ["to be"]),
        ("to be or not", ["to be or ", "not"]),
        ("to be or\nnot", ["to be or", "not"]),
        ("abcdefghijklm", ["abcdefghij", "klm"]),
        ("a abcdefghijkl", ["a ", "abcdefghij", "kl"]),
        ("0123456789   next", ["0123456789   ", "next"]),
        ("\n\n", ["", "", ""]),
        ("日本語日本語", ["日本語日本", "語"]),
    ],
)
def test_lines_break_after_spaces_where_they_can(text: str, expected: list[str]) -> None:
    wrapped = WrappedText(10)
    wrapped.append(text)
    assert wrapped.lines() == expected


@given(st.text(alphabet="ab \n語", max_size=80), st.integers(2, 12))
def test_growing_a_character_at_a_time_gives_the_lines_of_the_whole(text: str, width: int) -> None:
    whole, grown = WrappedText(width), WrappedText(width)
    whole.append(text)
    for character in text:
        changed = grown.append(character)
        assert changed >= grown.line_count - 2, "only the last line, or the one before it, may look different"
    assert grown.lines() == whole.lines()
    assert "".join(grown.characters) == text


@given(st.text(alphabet="abc \n", max_size=60), st.integers(1, 12), st.integers(0, 60))
def test_truncated_text_is_laid_out_as_if_it_had_never_been_longer(text: str, width: int, length: int) -> None:
    wrapped, short = WrappedText(width), WrappedText(width)
    wrapped.append(text)
    wrapped.truncate(min(length, len(text)))
    short.append(text[:length])
    assert wrapped.lines() == short.lines()
    wrapped.append("more")
    short.append("more")
    assert wrapped.lines() == short.lines()


@given(st.text(alphabet="ab \n語", max_size=60), st.integers(1, 12), st.integers(1, 12))
def test_resizing_gives_the_lines_of_the_new_width(text: str, first: int, second: int) -> None:
    wrapped, fresh = WrappedText(first), WrappedText(second)
    wrapped.append(text)
    wrapped.resize(second)
    fresh.append(text)
    assert wrapped.lines() == fresh.lines()


def test_the_line_of_a_character_is_found() -> None:
    wrapped = WrappedText(4)
    wrapped.append("ab cd ef")
    assert [wrapped.line_of(index) for index in range(8)] == [0, 0, 0, 1, 1, 1, 2, 2]
