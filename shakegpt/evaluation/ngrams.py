"""What tables reach: counts of the last few characters, the ladder that a GPT has to climb.

A table of n characters holds how often each group of n characters is in the training split, and so predicts a
character from the n - 1 before it. A group that was seen seldom or never leans on the next shorter one (Witten-Bell
interpolation: Witten & Bell 1991, IEEE Trans. Inf. Theory 37), and that of one character on equal odds for all.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from shakegpt.data.catalog import TINY_SHAKESPEARE, known_corpora
from shakegpt.data.corpus import Corpus
from shakegpt.errors import ShakegptError
from shakegpt.runs.store import Store
from shakegpt.system.files import make_folder, read_bounded, replace_file
from shakegpt.system.json_records import StrictRecord, parse_record
from shakegpt.system.paths import corpora_folder

LONGEST = 6
"""Characters: longer tables of a text of a million characters predict worse."""
_MOST_TRAINING, _MOST_VALIDATION = 2_000_000, 200_000  # characters: a longer text is counted from its beginning
_MOST_BYTES = 10_000  # of a file in the cache


@dataclass(frozen=True)
class TableLosses(StrictRecord):
    """What the tables of 1 to ``LONGEST`` characters reach on a corpus: the file that is kept beside cached texts."""

    losses: tuple[float, ...]
    """Nats per character over the validation split, all but its first character, the shortest table first."""
    uniform: float
    """ln V: the loss of equal odds for all V characters."""

    def beaten(self, loss: float) -> int:
        """Return how many characters the best table has that a loss is better than; 0 where it beats none.

        A longer table may be worse than a shorter one: a loss that beats it without beating the shorter does not count.
        """
        worse = [loss < table for table in self.losses]
        return worse.index(False) if False in worse else len(worse)


def table_losses(corpus: Corpus) -> TableLosses:
    """Return what tables reach on a corpus: computed once for each text, and kept in the cache of corpora.

    Of a text beyond some two million characters, the first are counted and the first of the validation split predicted.
    """
    file = corpora_folder() / f"{hashlib.sha256(corpus.text.encode()).hexdigest()[:32]}.tables.json"
    with suppress(OSError, ValueError):
        found = parse_record(read_bounded(file, _MOST_BYTES), TableLosses)
        if len(found.losses) == LONGEST:
            return found
    training, validation = corpus.train[:_MOST_TRAINING].numpy(), corpus.validation[:_MOST_VALIDATION].numpy()
    size = len(corpus.vocabulary)
    by_character = predict_by_tables(training, validation, size)[:, 1:]  # a model predicts all but the first
    found = TableLosses(losses=tuple(by_character.mean(axis=1).tolist()), uniform=float(np.log(size)))
    with suppress(OSError):  # a cache that cannot be written costs a second the next time
        make_folder(file.parent)
        replace_file(file, json.dumps(asdict(found)).encode())
    return found


def tables_of_run(store: Store, run: str) -> TableLosses | None:
    """Return what tables reach on the text of a run; ``None`` where that is not on this machine, or has changed.

    Nothing is downloaded for this.
    """
    tiny_is_here = next(entry.on_disk for entry in known_corpora() if entry.name == TINY_SHAKESPEARE)
    try:
        trained = store.run(run)
        if trained.corpus_source == TINY_SHAKESPEARE and not tiny_is_here:
            return None
        corpus = Corpus.load(trained.corpus_source, encoding=trained.metadata.encoding)
    except (ShakegptError, OSError):
        return None
    return table_losses(corpus) if corpus.sha256 == trained.metadata.corpus_sha256 else None


def predict_by_tables(
    training: NDArray[np.integer], validation: NDArray[np.integer], vocab_size: int, longest: int = LONGEST
) -> NDArray[np.float64]:
    """Return the loss of each character of a split under the tables of another.

    P_n(c | h) = (count(h c) + T(h) P_{n-1}(c | h')) / (count(h) + T(h)), where h are the n - 1 characters before c, h'
    is h without its first, T(h) how many different characters follow h, and P_0 = 1 / V. Where h was never seen,
    P_n = P_{n-1}; so at the beginning of the split, before which nothing is known.

    Args:
        training: token ids, (M,): what the tables count.
        validation: token ids, (N,): what they predict.
        vocab_size: V.
        longest: the characters of the longest table.

    Returns:
        Nats, (longest, N), the shortest table first.
    """
    border = len(training)
    both = np.concatenate([training, validation]).astype(np.int64)
    group = np.zeros(len(both) + 1, np.int64)  # at i: the number of the group of n - 1 characters that ends before i
    groups = 1
    probabilities = np.full(len(validation), 1 / vocab_size)
    losses = np.empty((longest, len(validation)))
    for n in range(1, longest + 1):
        # A group is numbered by the one before its last character and that character, so numbers stay small.
        numbers, group_of = np.unique(group[:-1] * vocab_size + both, return_inverse=True)
        counts = np.bincount(group_of[n - 1 : border], minlength=len(numbers))
        before = numbers // vocab_size  # of each group, the number of the one that its last character follows
        seen = np.bincount(before, weights=counts, minlength=groups)
        kinds = np.bincount(before, weights=counts > 0, minlength=groups)
        known = np.flatnonzero(seen[group[border:-1]] > 0)
        known = known[known >= n - 1]  # groups that begin in the training split are none
        history, grams = group[border:-1][known], group_of[border:][known]
        probabilities[known] = (counts[grams] + kinds[history] * probabilities[known]) / (
            seen[history] + kinds[history]
        )
        losses[n - 1] = -np.log(probabilities)
        group, groups = np.concatenate([[0], group_of]), len(numbers)
    return losses
