"""Scores, character by character."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from shakegpt.config import ModelConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import UsageError
from shakegpt.evaluation.loss import evaluate
from shakegpt.evaluation.score import score
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.threads import ThreadPool

SIZE = 8  # the tiny model's window


def text_of(length: int) -> str:
    ids = torch.randint(13, (length,), generator=torch.Generator().manual_seed(length))
    return "".join("\n abcdefghij:"[index] for index in ids.tolist())


def score_by_hand(language_model: LanguageModel, text: str) -> list[torch.Tensor]:
    """The log-probabilities at each place but the first, a pass for each: the windows begin at 0, 4, 8 and so on."""
    ids, rows = language_model.vocabulary.encode(text), []
    for place in range(1, len(ids)):
        start = 0 if place <= SIZE else (place - SIZE + 3) // 4 * 4
        with torch.no_grad():
            logits = language_model.model(torch.tensor([ids[start:place]]))[0, -1]
        rows.append(logits.double().log_softmax(0))
    return rows


@pytest.mark.parametrize("length", [2, 3, 8, 9, 10, 12, 13, 14, 17, 21, 22, 60])
def test_every_character_is_predicted_from_half_a_window_or_all_there_is(
    tiny_language_model: LanguageModel, length: int
) -> None:
    text = text_of(length)
    expected = score_by_hand(tiny_language_model, text)
    found = score(tiny_language_model, text, top=3)
    assert found.log_probabilities.shape == (length,)
    assert math.isnan(found.log_probabilities[0])
    assert found.likeliest(0) == []
    for place, row in enumerate(expected, start=1):
        index = tiny_language_model.vocabulary.stoi[text[place]]
        assert found.log_probabilities[place] == pytest.approx(float(row[index]), abs=1e-4)
        best = row.topk(3)
        names = [tiny_language_model.vocabulary.itos[index] for index in best.indices]
        assert [name for name, _ in found.likeliest(place)] == names
        np.testing.assert_allclose([value for _, value in found.likeliest(place)], best.values, atol=1e-4)
    assert found.loss == pytest.approx(-np.mean(found.log_probabilities[1:]))


def test_the_context_it_promises_is_the_least_beyond_the_first_window(tiny_language_model: LanguageModel) -> None:
    """A change further back than the promise may change nothing, and one within it does, at every place."""
    text = text_of(24)
    found = score(tiny_language_model, text)
    assert found.context == SIZE // 2 + 1
    seen_from = np.zeros(24, int)  # how far back a change of one character is seen at each place
    for changed in range(24):
        other = "j" if text[changed] != "j" else "a"
        rewritten = score(tiny_language_model, text[:changed] + other + text[changed + 1 :])
        places = np.flatnonzero(rewritten.log_probabilities != found.log_probabilities)
        places = places[places > changed]
        seen_from[places] = np.maximum(seen_from[places], places - changed)
    changes = seen_from[SIZE + 1 :]
    assert min(changes) >= found.context
    assert max(changes) <= SIZE


def test_within_a_window_it_is_what_evaluate_reports(tiny_language_model: LanguageModel) -> None:
    text = text_of(SIZE + 1)
    ids = torch.tensor(tiny_language_model.vocabulary.encode(text))
    found, loss = score(tiny_language_model, text), evaluate(tiny_language_model.model, ids)
    assert found.loss == pytest.approx(loss.nats, abs=1e-5)
    assert found.perplexity == pytest.approx(loss.perplexity, rel=1e-4)
    assert found.bits_per_character == pytest.approx(loss.bits_per_character, rel=1e-4)


def test_threads_change_no_bit_and_the_likeliest_are_at_most_all(tiny_language_model: LanguageModel) -> None:
    text = text_of(100)
    alone, shared = score(tiny_language_model, text, top=99), score(tiny_language_model, text, pool=ThreadPool(2))
    assert alone.log_probabilities[1:].tolist() == shared.log_probabilities[1:].tolist()
    assert alone.likeliest_ids.shape == (100, 13)
    assert shared.likeliest_ids.shape == (100, 0)
    np.testing.assert_allclose(np.exp(alone.likeliest_log_probabilities[1:]).sum(axis=1), 1)


@pytest.mark.parametrize(
    ("text", "top", "message"),
    [("", 0, "at least two characters"), ("a", 0, "at least two"), ("abZ", 0, "never seen"), ("ab", -1, "not -1")],
)
def test_what_cannot_be_scored_is_said_in_a_sentence(
    tiny_language_model: LanguageModel, text: str, top: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        score(tiny_language_model, text, top=top)


@pytest.mark.parametrize("block_size", [1, 2, 3, 5])
def test_windows_of_any_size_meet(tiny_config: ModelConfig, block_size: int) -> None:
    model = GPT(replace(tiny_config, block_size=block_size), seed=1)
    language_model = LanguageModel(model=model, vocabulary=Vocabulary("\n abcdefghij:"), name="small")
    for length in range(2, 14):
        assert np.isfinite(score(language_model, text_of(length)).log_probabilities[1:]).all()
