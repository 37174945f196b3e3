"""A text to train on: found, read, encoded, split, and cut into batches."""

import codecs
import re
from array import array
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from shakegpt.data.catalog import OnProgress, find_corpus
from shakegpt.data.split import check_length, training_characters
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CorpusError, UsageError
from shakegpt.system.files import sha256
from shakegpt.system.seeds import derive_seed

_BYTE_ORDER_MARKS = {  # UTF-32's first: the little-endian one begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Corpus:
    """A text with its vocabulary, as token ids; the first 90 % trains, the last 10 % validates."""

    name: str
    text: str
    sha256: str
    """Of the bytes that the text was read from."""
    first_characters: str = ""
    """What the vocabulary begins with, whether the text has it or not: the characters of the checkpoint that training
    began from."""

    @classmethod
    def load(
        cls,
        name: str,
        *,
        encoding: str = "utf-8",
        vocabulary: Vocabulary | None = None,
        on_progress: OnProgress | None = None,
    ) -> "Corpus":
        """Read a corpus: ``tiny-shakespeare``, ``demo``, a name that was added, or the path of a text file.

        Args:
            name: what to read.
            encoding: the text encoding of a file.
            vocabulary: that of the checkpoint which is to read the text, as in ``decode_text``.
            on_progress: called with (bytes so far, bytes in all) while a download runs.

        Raises:
            CorpusError: it cannot be found, downloaded or read, or is empty.
            UsageError: there is no such encoding.
        """
        found = find_corpus(name, on_progress=on_progress)
        try:
            data = found.path.read_bytes()
        except OSError as error:
            raise CorpusError(f"The corpus {found.path} cannot be read: {error.strerror}.") from error
        text = decode_text(data, found.path, encoding, vocabulary=vocabulary)
        return cls(name=found.name, text=text, sha256=sha256(data))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The first characters, and then those of the whole text that are not among them, sorted."""
        return Vocabulary.of(self.text, first=self.first_characters)

    def beginning_with(self, vocabulary: Vocabulary) -> "Corpus":
        """Return the text with a vocabulary that begins with another one: what that has keeps its id."""
        return replace(self, first_characters=vocabulary.characters)

    @cached_property
    def ids(self) -> Tensor:
        """The whole text as token ids, (N,) int32: half the memory of the int64 that a model takes."""
        stoi = self.vocabulary.stoi
        return torch.frombuffer(array("i", map(stoi.__getitem__, self.text)), dtype=torch.int32)

    @property
    def train(self) -> Tensor:
        """The training split, (N_train,) int32: the first 90 %."""
        return self.ids[: self._boundary]

    @property
    def training_text(self) -> str:
        """The training split as text."""
        return self.text[: self._boundary]

    @property
    def validation_text(self) -> str:
        """The validation split as text."""
        return self.text[self._boundary :]

    @property
    def validation(self) -> Tensor:
        """The validation split, (N_validation,) int32: the last 10 %."""
        return self.ids[self._boundary :]

    def encode_split(self, vocabulary: Vocabulary, split: str) -> Tensor:
        """Return a split as the token ids of another vocabulary, such as a checkpoint's, (N,) int64.

        Args:
            vocabulary: what gives the ids.
            split: ``validation``, ``train``, or ``all`` of the text.

        Raises:
            UsageError: there is no such split, or the text has a character that the vocabulary lacks.
        """
        texts = {"validation": self.validation_text, "train": self.training_text, "all": self.text}
        if split not in texts:
            raise UsageError(f"The split must be validation, train or all, not {split!r}.")
        return torch.tensor(vocabulary.encode(texts[split]))

    @property
    def _boundary(self) -> int:
        return training_characters(len(self.text))

    def check_length(self, block_size: int) -> None:
        """Check that both splits are longer than a window of ``block_size`` characters.

        Raises:
            CorpusError: the text is too short.
        """
        check_length(self.name, len(self.text), block_size)


def decode_text(data: bytes, path: Path, encoding: str = "utf-8", *, vocabulary: Vocabulary | None = None) -> str:
    r"""Decode the bytes that were read from ``path``, as Python reads a text.

    Every line ends in ``\n``. A byte order mark at the beginning makes UTF-8 into UTF-16 or UTF-32. The marks
    themselves are dropped, those inside too, which files have that were put together from several.

    Args:
        data: the bytes.
        path: what messages call them.
        encoding: their encoding.
        vocabulary: that of the checkpoint which is to read the text. Earlier versions learned ``\r`` and inner byte
            order marks as characters; for a checkpoint that knows them they stay: it reads the text it learned from.

    Raises:
        CorpusError: the bytes are not of this encoding (the message gives the offset of the first wrong one, from 0),
            or there is no text in them.
        UsageError: there is no such encoding.
    """
    try:
        if codecs.lookup(encoding).name == "utf-8":
            encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), encoding)
        text = data.decode(encoding).removeprefix("\ufeff")
        text.encode()  # a lone surrogate, which utf-7 allows, could not be written as UTF-8
    except LookupError:
        raise UsageError(f"There is no text encoding {encoding!r}; try utf-8, latin-1 or cp1252.") from None
    except UnicodeError as error:
        where = f": byte {error.start} is 0x{data[error.start]:02x}" if isinstance(error, UnicodeDecodeError) else ""
        raise CorpusError(
            f"The corpus {path} is not {encoding.upper()}{where}; name its encoding, such as --encoding latin-1."
        ) from None
    known = frozenset() if vocabulary is None else vocabulary.stoi.keys()
    if "\ufeff" not in known:
        text = text.replace("\ufeff", "")
    if "\r" not in known:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text:
        raise CorpusError(f"The corpus {path} is empty; give a text of a few thousand characters or more.")
    return text


def draw_starts(characters: int, step: int, *, seed: int, batch_size: int, block_size: int) -> Tensor:
    """Return where the windows of one step begin: random positions in a split, which depend on seed and step alone.

    Args:
        characters: of the split, more than ``block_size``.
        step: the optimizer step.
        seed: the run's seed.
        batch_size: B.
        block_size: T.

    Returns:
        Positions, (B,) int64, on the CPU.
    """
    generator = torch.Generator().manual_seed(derive_seed(seed, "batch", step))
    return torch.randint(characters - block_size, (batch_size,), generator=generator)


def cut_windows(ids: Tensor, starts: Tensor, block_size: int) -> tuple[Tensor, Tensor]:
    """Return the windows of a split that begin at some positions. Computed on the device of ``ids`` and ``starts``.

    Args:
        ids: the split, (N,) integers.
        starts: (B,) int64, each at most N - block_size - 1.
        block_size: T.

    Returns:
        Inputs and targets, (B, T) int64 each; a target is the character after its input.
    """
    positions = starts[:, None] + torch.arange(block_size + 1, device=ids.device)  # (B, T + 1)
    windows = ids[positions].long()
    return windows[:, :-1], windows[:, 1:]


_SPEAKER = re.compile(r"^([A-Z][A-Za-z' -]{0,40}):$", re.MULTILINE)


def speaker_names(text: str) -> list[str]:
    """Return who speaks in a play of Tiny Shakespeare's layout (``NAME:`` alone on a line), most frequent first."""
    return [name for name, _ in Counter(_SPEAKER.findall(text)).most_common()]


def speaker_spans(text: str) -> list[tuple[int, int]]:
    """Return where the speakers' names stand in such a play: each one's first character, and the colon after it."""
    return [match.span(1) for match in _SPEAKER.finditer(text)]
