import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import UsageError


def test_characters_are_in_code_point_order() -> None:
    vocabulary = Vocabulary.of("to be, or not")
    assert vocabulary.characters == " ,benort"
    assert vocabulary.itos == tuple(" ,benort")
    assert vocabulary.stoi["b"] == 2
    assert len(vocabulary) == 8


@given(st.text(min_size=1))
def test_decoding_undoes_encoding(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert [vocabulary.stoi[character] for character in vocabulary.itos] == list(range(len(vocabulary)))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("abxa", "'x' (U+0078), character 3"),
        ("é", "'é' (U+00E9), character 1"),
        ("ab\x1b", r"'\x1b' (U+001B), character 3"),  # escaped: an error must not colour the terminal
        ("a\n", r"'\n' (U+000A), character 2"),
    ],
)
def test_an_unknown_character_is_named_with_its_position(text: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        Vocabulary("ab").encode(text)
    assert named in str(caught.value)
    assert "2 characters: ab" in str(caught.value)


def test_an_unknown_id_is_an_error() -> None:
    with pytest.raises(IndexError):
        Vocabulary("ab").decode([2])


@pytest.mark.parametrize("characters", ["", "aba"])
def test_a_vocabulary_has_each_character_once(characters: str) -> None:
    with pytest.raises(ValueError, match="character"):
        Vocabulary(characters)


def test_equal_characters_make_equal_vocabularies() -> None:
    assert Vocabulary("ab") == Vocabulary.of("ba")
    assert hash(Vocabulary("ab")) == hash(Vocabulary.of("ba"))
    assert Vocabulary("ab") != Vocabulary("ba")
    assert Vocabulary("ab") != "ab"


def test_a_large_vocabulary_is_described_briefly() -> None:
    described = Vocabulary("".join(map(chr, range(0x4E00, 0x4E00 + 3_000)))).describe()
    assert described.startswith("3000 characters: ")
    assert len(described) < 130
