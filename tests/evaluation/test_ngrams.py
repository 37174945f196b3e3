"""Tables of characters, beside a slow one made of dictionaries."""

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.data import catalog
from shakegpt.data.catalog import CORPUS_PATH_VARIABLE, TINY_SHAKESPEARE
from shakegpt.data.corpus import Corpus
from shakegpt.evaluation import ngrams
from shakegpt.evaluation.ngrams import TableLosses, predict_by_tables, table_losses, tables_of_run
from shakegpt.runs.store import Store
from shakegpt.system.paths import corpora_folder

splits = st.lists(st.integers(0, 3), min_size=1, max_size=40)


def probability(training: list[int], history: tuple[int, ...], character: int, vocab_size: int) -> float:
    """Witten and Bell's recursion, counted anew each time."""
    followers = Counter(
        training[end]
        for end in range(len(history), len(training))
        if tuple(training[end - len(history) : end]) == history
    )
    shorter = probability(training, history[1:], character, vocab_size) if history else 1 / vocab_size
    kinds, seen = len(followers), sum(followers.values())
    return (followers[character] + kinds * shorter) / (seen + kinds) if seen else shorter


@given(splits, splits)
def test_the_tables_are_those_of_dictionaries(training: list[int], validation: list[int]) -> None:
    found = predict_by_tables(np.array(training), np.array(validation), 4, longest=4)
    for n in range(1, 5):
        for place, character in enumerate(validation):
            history = tuple(validation[max(0, place - n + 1) : place])
            assert found[n - 1, place] == pytest.approx(-math.log(probability(training, history, character, 4)))


@given(splits)
def test_the_odds_after_any_history_sum_to_one(training: list[int]) -> None:
    for history in ([], [0], [1, 2], [3, 0, 1]):
        losses = [predict_by_tables(np.array(training), np.array([*history, c]), 4)[:, -1] for c in range(4)]
        np.testing.assert_allclose(np.exp(-np.array(losses)).sum(axis=0), 1)


def test_large_vocabularies_do_not_overflow() -> None:
    """Six of 50,000 characters are more groups than 64 bits can number."""
    text = np.random.default_rng(0).integers(0, 50_000, 300)
    losses = predict_by_tables(text, text, 50_000)
    assert (losses[5, 5:] == losses[5, 5:].min()).all()  # each group is there once and has one successor
    assert losses[5, 10] == pytest.approx(-math.log(probability(text.tolist(), tuple(text[5:10]), text[10], 50_000)))


def test_a_corpus_is_counted_once_and_the_result_kept(
    corpus_of: Callable[..., Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = corpus_of("the cat sat on the mat\n" * 30)
    first = table_losses(corpus)
    expected = predict_by_tables(corpus.train.numpy(), corpus.validation.numpy(), len(corpus.vocabulary))
    np.testing.assert_allclose(first.losses, expected[:, 1:].mean(axis=1))
    assert first.uniform == pytest.approx(math.log(len(corpus.vocabulary)))
    monkeypatch.setattr(ngrams, "predict_by_tables", None)  # to count again would fail
    assert table_losses(corpus_of(corpus.text, name="the same text")) == first
    with pytest.raises(TypeError):
        table_losses(corpus_of(corpus.text + "!"))


@pytest.mark.parametrize("content", [b"", b"{", b'{"losses": [1, 2], "uniform": 3}', b'{"losses": "x"}', b"[" * 20_000])
def test_a_spoilt_file_is_written_anew(corpus_of: Callable[..., Corpus], content: bytes) -> None:
    corpus = corpus_of("to be or not to be\n" * 30)
    found = table_losses(corpus)
    (file,) = corpora_folder().iterdir()
    good = file.read_bytes()
    file.write_bytes(content)
    assert table_losses(corpus) == found
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_error(
    corpus_of: Callable[..., Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file in the folder's place")
    assert len(table_losses(corpus_of("to be or not to be\n" * 30)).losses) == 6


@pytest.mark.parametrize(
    ("loss", "beaten"), [(4.0, 0), (3.3, 0), (3.0, 1), (2.4, 2), (1.9, 3), (1.75, 4), (1.68, 4), (1.6, 6)]
)
def test_a_loss_beats_the_tables_up_to_the_first_that_is_better(loss: float, beaten: int) -> None:
    tables = TableLosses(losses=(3.3, 2.5, 2.0, 1.8, 1.67, 1.7), uniform=4.2)
    assert tables.beaten(loss) == beaten


def test_the_tables_of_a_run_are_those_of_its_text(store: Store, demo: Corpus) -> None:
    assert tables_of_run(store, "macbeth") == table_losses(demo)
    assert tables_of_run(store, "lear") is None


@pytest.mark.parametrize(
    "changes", [{"corpus_sha256": "0" * 64}, {"corpus": "lost"}, {"corpus": TINY_SHAKESPEARE}], ids=lambda c: str(c)
)
def test_a_run_whose_text_is_not_here_has_no_tables(
    store: Store, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CORPUS_PATH_VARIABLE, raising=False)
    monkeypatch.setattr(catalog, "_download_tiny_shakespeare", lambda *_: pytest.fail("it was downloaded"))
    file = store.run("macbeth").path / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert tables_of_run(store, "macbeth") is None
