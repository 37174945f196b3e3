"""Looking inside a model from Python: arrays of numpy, of the shapes that the docstrings promise."""

import numpy as np
import pytest

import shakegpt
from shakegpt.runs.store import Store

TEXT = "ROMEO:\nWhat light"


def test_an_inspection_has_the_shapes_of_its_docstring(store: Store) -> None:
    model = shakegpt.load("macbeth")
    trace = model.inspect(TEXT)
    L, H, T, V = model.config.n_layer, model.config.n_head, len(TEXT), len(model.characters)  # noqa: N806
    assert isinstance(trace.attention, np.ndarray)
    assert trace.attention.shape == (L, H, T, T)
    assert trace.lens.shape == (L + 1, T, V)
    assert trace.loss.shape == (T,)
    attribution = trace.attribution("a")
    assert (attribution.heads.shape, attribution.mlps.shape) == ((L, H), (L,))
    assert attribution.total == pytest.approx(attribution.logit, abs=1e-4)
    assert model.inspect(TEXT, muted=[(0, 0)]).attribution("a").heads[0, 0] == 0


def test_scores_are_the_losses_of_an_inspection(store: Store) -> None:
    model = shakegpt.load("macbeth")
    score = model.score(TEXT, top=2)
    np.testing.assert_allclose(score.log_probabilities, -model.inspect(TEXT).loss, atol=1e-5)
    assert [len(score.likeliest(position)) for position in range(3)] == [0, 2, 2]


@pytest.mark.parametrize("text", ["", "R", TEXT, TEXT * 20])
def test_the_odds_of_the_next_character_are_what_generation_draws_from(store: Store, text: str) -> None:
    model = shakegpt.load("macbeth")
    odds = model.distribution(text)
    assert odds.shape == (len(model.characters),)
    assert odds.sum() == pytest.approx(1)
    assert model.characters[odds.argmax()] == model.generate(text, length=1, temperature=0)
    if text:
        np.testing.assert_allclose(odds, model.inspect(text).probabilities()[-1], atol=1e-5)


@pytest.mark.parametrize("look", ["inspect", "score", "distribution"])
def test_a_character_it_does_not_know_is_an_error(store: Store, look: str) -> None:
    with pytest.raises(shakegpt.ShakegptError, match="never seen"):
        getattr(shakegpt.load("macbeth"), look)("ab☂")
