"""How text breaks into lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.tui.generation.line_wrapping import Flow


def lines(flow: Flow) -> list[str]:
    return ["".join(flow.characters[slice(*flow.span(line))]) for line in range(flow.lines)]


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
    flow = Flow(10)
    flow.append(text)
    assert lines(flow) == expected


@given(st.text(alphabet="ab \n語", max_size=80), st.integers(2, 12))
def test_growing_a_character_at_a_time_gives_the_lines_of_the_whole(text: str, width: int) -> None:
    whole, grown = Flow(width), Flow(width)
    whole.append(text)
    for character in text:
        changed = grown.append(character)
        assert changed >= grown.lines - 2, "only the last line, or the one before it, may look different"
    assert lines(grown) == lines(whole)
    assert "".join(grown.characters) == text


@given(st.text(alphabet="abc \n", max_size=60), st.integers(1, 12), st.integers(0, 60))
def test_truncated_text_is_laid_out_as_if_it_had_never_been_longer(text: str, width: int, length: int) -> None:
    flow, short = Flow(width), Flow(width)
    flow.append(text)
    flow.truncate(min(length, len(text)))
    short.append(text[:length])
    assert lines(flow) == lines(short)
    flow.append("more")
    short.append("more")
    assert lines(flow) == lines(short)


@given(st.text(alphabet="ab \n語", max_size=60), st.integers(1, 12), st.integers(1, 12))
def test_resizing_gives_the_lines_of_the_new_width(text: str, first: int, second: int) -> None:
    flow, fresh = Flow(first), Flow(second)
    flow.append(text)
    flow.resize(second)
    fresh.append(text)
    assert lines(flow) == lines(fresh)


def test_the_line_of_a_character_is_found() -> None:
    flow = Flow(4)
    flow.append("ab cd ef")
    assert [flow.line_of(index) for index in range(8)] == [0, 0, 0, 1, 1, 1, 2, 2]
