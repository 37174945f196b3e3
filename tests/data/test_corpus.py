"""A text becomes token ids, splits and batches; one that cannot is reported in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.data.catalog import TINY_SHAKESPEARE_SHA256
from shakegpt.data.corpus import Corpus, cut_windows, decode_text, draw_starts, speaker_names
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CorpusError, UsageError
from shakegpt.system.files import sha256

CorpusOf = Callable[..., Corpus]


def one_sentence(error: Exception) -> str:
    text = str(error)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_tiny_shakespeare_is_split_as_published(tiny_shakespeare: Corpus) -> None:
    assert len(tiny_shakespeare.text) == 1_115_394
    assert tiny_shakespeare.train.shape == (1_003_854,)
    assert tiny_shakespeare.validation.shape == (111_540,)
    assert tiny_shakespeare.sha256 == TINY_SHAKESPEARE_SHA256
    assert (
        tiny_shakespeare.vocabulary.decode(tiny_shakespeare.validation[:24].tolist()) == "?\n\nGREMIO:\nGood morrow, "
    )


def test_tiny_shakespeare_has_65_characters(tiny_shakespeare: Corpus) -> None:
    assert tiny_shakespeare.vocabulary.characters == (
        "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    )


def test_the_demo_text_is_a_play_of_25_kb_or_more(demo: Corpus) -> None:
    assert len(demo.text.encode()) >= 25_000
    assert demo.text.isascii()
    assert len(speaker_names(demo.text)) >= 3
    demo.check_length(128)  # the default preset's window fits its validation split


def test_the_demo_text_has_no_character_that_tiny_shakespeare_lacks(demo: Corpus, tiny_shakespeare: Corpus) -> None:
    assert set(demo.vocabulary.characters) <= set(tiny_shakespeare.vocabulary.characters)


@pytest.mark.parametrize("length", [10, 11, 19, 20, 1001])
def test_the_splits_share_nothing_and_lose_nothing(corpus_of: CorpusOf, length: int) -> None:
    corpus = corpus_of("".join(chr(97 + index % 26) for index in range(length)))
    assert torch.equal(torch.cat([corpus.train, corpus.validation]), corpus.ids)
    assert len(corpus.train) == length * 9 // 10
    assert corpus.vocabulary.decode(corpus.ids.tolist()) == corpus.text
    assert corpus.ids.dtype == torch.int32


def test_ids_of_another_vocabulary(corpus_of: CorpusOf) -> None:
    corpus = corpus_of("abcabcabca")
    other = Vocabulary("zcba")
    assert corpus.encode_split(other, "validation").tolist() == [3]
    assert other.decode(corpus.encode_split(other, "train").tolist()) == "abcabcabc"
    with pytest.raises(UsageError, match="'c'"):
        corpus.encode_split(Vocabulary("ab"), "train")


@pytest.mark.parametrize(("block_size", "least"), [(1, 11), (8, 81), (64, 641)])
def test_a_validation_split_holds_a_window_or_the_text_is_too_short(
    corpus_of: CorpusOf, block_size: int, least: int
) -> None:
    corpus_of("ab" * 5_000).check_length(block_size)
    corpus_of("a" * (10 * (block_size + 1))).check_length(block_size)  # what the message advises does suffice
    with pytest.raises(CorpusError, match="too short") as caught:
        corpus_of("a" * (least - 1)).check_length(block_size)
    assert f"at least {10 * (block_size + 1):,} characters" in one_sentence(caught.value)


# Reading


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "my play.txt"
    path.write_bytes("Ünïcode\nstays\n".encode())
    corpus = Corpus.load(str(path))
    assert corpus.text == "Ünïcode\nstays\n"
    assert corpus.name == "my play"
    assert corpus.sha256 == sha256(path.read_bytes())


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"O Romeo\r\nwherefore\r\n", "O Romeo\nwherefore\n"),
        (b"O Romeo\rwherefore\r", "O Romeo\nwherefore\n"),
        (b"\r\n\r\n\r\r\n", "\n\n\n\n"),
        (b"\xef\xbb\xbfO Romeo", "O Romeo"),
        (b"\xef\xbb\xbf\xef\xbb\xbfO Romeo", "O Romeo"),
        (b"O Romeo\r\n\xef\xbb\xbfwherefore", "O Romeo\nwherefore"),  # two files of Windows, one after the other
        ("\ufeffO Romeo\r\né".encode("utf-16-le"), "O Romeo\né"),
        ("\ufeffO Romeo\r\né".encode("utf-16-be"), "O Romeo\né"),
        ("\ufeffO Romeo\r\né".encode("utf-32-le"), "O Romeo\né"),
        ("\ufeffO Romeo\r\né".encode("utf-32-be"), "O Romeo\né"),
    ],
)
def test_a_text_is_read_as_python_reads_text(tmp_path: Path, data: bytes, text: str) -> None:
    """Line ends become newlines, and a byte order mark tells the encoding and is no character of the text."""
    path = tmp_path / "windows.txt"
    path.write_bytes(data)
    assert Corpus.load(str(path)).text == text
    assert Corpus.load(str(path)).sha256 == sha256(data)  # of what is on disk


def test_utf_16_without_its_mark_is_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes("O Romeo\r\n".encode("utf-16-le"))
    assert Corpus.load(str(path), encoding="utf-16-le").text == "O Romeo\n"


def test_a_cut_utf_16_file_is_reported_by_that_name(tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes("\ufeffO Romeo".encode("utf-16-le") + b"!")
    with pytest.raises(CorpusError, match="is not UTF-16: byte 16 is 0x21"):
        Corpus.load(str(path))


def test_a_checkpoint_that_learned_carriage_returns_reads_them(tmp_path: Path) -> None:
    """Runs of earlier versions did: resumed and evaluated, they read the text that they learned from."""
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbfO Romeo\r\n\xef\xbb\xbfwherefore")
    learned = Vocabulary.of("O Romeo\r\n\ufeffwherefore")
    assert Corpus.load(str(path), vocabulary=learned).text == "O Romeo\r\n\ufeffwherefore"
    assert Corpus.load(str(path), vocabulary=Vocabulary("\nab")).text == "O Romeo\nwherefore"


def test_a_named_encoding_is_used(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_bytes("Ophélie".encode("latin-1"))
    assert Corpus.load(str(path), encoding="latin-1").text == "Ophélie"


@pytest.mark.parametrize(
    ("data", "offset", "byte"), [(b"good\xffbad", 4, "0xff"), (b"\x80", 0, "0x80"), (b"cut \xc3", 4, "0xc3")]
)
def test_bytes_that_are_not_utf8_are_reported_with_their_offset(
    tmp_path: Path, data: bytes, offset: int, byte: str
) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(data)
    with pytest.raises(CorpusError) as caught:
        Corpus.load(str(path))
    message = one_sentence(caught.value)
    assert f"is not UTF-8: byte {offset} is {byte}" in message
    assert "--encoding" in message
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("encoding", ["klingon", "hex", "base64", ""])
def test_an_encoding_that_does_not_exist_is_wrong_usage(encoding: str) -> None:
    with pytest.raises(UsageError, match="no text encoding") as caught:
        decode_text(b"text", Path("text.txt"), encoding)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("utf-16", b"odd"),
        ("undefined", b"text"),
        ("punycode", b"hello there"),
        ("utf-7", b"a+2AA-b"),
        ("ascii", b"\xff"),
    ],
)
def test_bytes_that_are_not_of_the_encoding_are_a_clear_error(encoding: str, data: bytes) -> None:
    with pytest.raises(CorpusError, match=encoding.upper()) as caught:
        decode_text(data, Path("text.txt"), encoding)
    one_sentence(caught.value)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"], ids=["nothing", "a byte order mark only"])
def test_an_empty_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "empty.txt"
    path.write_bytes(data)
    with pytest.raises(CorpusError, match="is empty") as caught:
        Corpus.load(str(path))
    one_sentence(caught.value)


def test_an_unreadable_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("secret")

    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CorpusError, match="cannot be read: Permission denied"):
        Corpus.load(str(path))


# Batches


def draw_batch(
    ids: torch.Tensor, step: int, *, seed: int, batch_size: int, block_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    starts = draw_starts(len(ids), step, seed=seed, batch_size=batch_size, block_size=block_size)
    return cut_windows(ids, starts, block_size)


def test_a_batch_is_windows_of_the_text_and_their_next_characters(demo: Corpus) -> None:
    inputs, targets = draw_batch(demo.train, 3, seed=1, batch_size=5, block_size=16)
    assert inputs.shape == targets.shape == (5, 16)
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    for row, after in zip(inputs, targets, strict=True):
        window = demo.vocabulary.decode([*row.tolist(), after[-1].item()])
        assert window in demo.text[: len(demo.train)]


def test_a_batch_depends_on_seed_and_step_alone(demo: Corpus) -> None:
    def draw(step: int, seed: int = 1) -> torch.Tensor:
        return draw_batch(demo.train, step, seed=seed, batch_size=4, block_size=8)[0]

    first = draw(7)
    torch.rand(100)
    draw(8)
    assert torch.equal(draw(7), first)
    assert not torch.equal(draw(8), first)
    assert not torch.equal(draw(7, seed=2), first)


@given(st.integers(1, 12), st.integers(1, 40), st.integers(0, 50))
def test_every_window_lies_within_the_split(block_size: int, more: int, step: int) -> None:
    ids = torch.arange(block_size + more)
    inputs, targets = draw_batch(ids, step, seed=0, batch_size=16, block_size=block_size)
    assert inputs.min() >= 0
    assert targets.max() < len(ids)
    assert torch.equal(targets, inputs + 1)


def test_the_first_and_the_last_window_are_drawn_too() -> None:
    ids = torch.arange(6)
    starts = torch.cat([draw_batch(ids, step, seed=0, batch_size=8, block_size=4)[0][:, 0] for step in range(20)])
    assert sorted(set(starts.tolist())) == [0, 1]


def test_speakers_are_listed_most_frequent_first() -> None:
    assert speaker_names("ROMEO:\nO!\n\nNurse:\nAy.\n\nROMEO:\nHow now: say\nmore:\n") == ["ROMEO", "Nurse"]
