"""The heads' scores that a training notes, against those of the inspection."""

import math

import numpy as np
import pytest
import torch

from shakegpt.data.corpus import Corpus
from shakegpt.events import Evaluation, Inspection
from shakegpt.inspection.heads import score_heads
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.store import Store
from shakegpt.training.head_scores import inspect_heads


def test_the_scores_are_those_of_the_inspection(store: Store, demo: Corpus) -> None:
    checkpoint = store.open("macbeth@last")
    language_model = LanguageModel(model=checkpoint.model(), vocabulary=checkpoint.vocabulary, name="macbeth")
    found = inspect_heads(language_model, demo.validation_text, 30)
    assert found is not None
    size = language_model.model.config.block_size
    expected = score_heads(language_model, demo.validation_text, windows=found.characters // size)
    assert found.step == 30
    np.testing.assert_allclose(found.previous_character, expected.previous, atol=1e-4)


@pytest.mark.parametrize("case", ["short text", "not finite"])
def test_what_cannot_be_measured_is_left_out(tiny_language_model: LanguageModel, demo: Corpus, case: str) -> None:
    text = tiny_language_model.vocabulary.characters[0] * (200 if case == "not finite" else 1)
    if case == "not finite":
        with torch.no_grad():
            next(tiny_language_model.model.parameters()).fill_(math.nan)
    assert inspect_heads(tiny_language_model, text, 1) is None


def test_a_training_notes_its_heads_at_each_evaluation(store: Store) -> None:
    events = list(store.run("macbeth").log.events())
    evaluated = [event.step for event in events if isinstance(event, Evaluation)]
    inspected = [event for event in events if isinstance(event, Inspection)]
    assert [event.step for event in inspected] == evaluated
    assert np.shape(inspected[-1].previous_character) == (1, 4)
    assert all(0 < share < 1 for share in inspected[-1].previous_character[0])
