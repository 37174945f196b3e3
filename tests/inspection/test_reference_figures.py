"""The figures of the model that ships, beside those that ``reference_figures.py`` computed with transformers.

They are of one checkpoint: once another ships, the script has to be run on that one. It was checked on the checkpoint
that shipped before, against figures that others had computed, and agreed to the last digit.
"""

import math

import numpy as np
import pytest
import torch

from shakegpt.data.corpus import Corpus
from shakegpt.evaluation.loss import loss_by_position
from shakegpt.evaluation.ngrams import predict_by_tables, table_losses
from shakegpt.inspection.heads import mute_costs, score_heads, score_induction
from shakegpt.inspection.trace import inspect
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.manifest import MODEL_FILE
from shakegpt.runs.store import Store
from shakegpt.system.threads import ThreadPool

FIGURES_OF = "4f14e1442e02102a4f85998a1e1ee5da231e3e3cbdacc90e94125239419e27d2"
LOSS_BY_POSITION = {
    range(1): 2.523,
    range(1, 2): 1.987,
    range(2, 4): 1.768,
    range(4, 8): 1.539,
    range(8, 16): 1.474,
    range(16, 32): 1.413,
    range(32, 64): 1.402,
    range(64, 128): 1.417,
}
LENS_LOSSES = [10.85, 2.54, 1.31]  # after the embedding and each block, over the first 100 windows
TABLES = [3.348, 2.492, 1.987, 1.685, 1.557, 1.573]  # over the first 20,000 characters of the validation split


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    store = Store(tmp_path_factory.mktemp("home"))
    if store.open("pretrained").manifest.files[MODEL_FILE].sha256 != FIGURES_OF:
        pytest.fail("another model ships now: compute its figures with tests.inspection.reference_figures")
    return store.language_model("pretrained")


@pytest.fixture(scope="module")
def validation(tiny_shakespeare: Corpus) -> str:
    return tiny_shakespeare.text[len(tiny_shakespeare.training_text) :]


def test_the_loss_by_position(shipped: LanguageModel, tiny_shakespeare: Corpus) -> None:
    found = loss_by_position(shipped.model, tiny_shakespeare.validation, pool=ThreadPool(2))
    assert {positions: round(float(found[positions].mean()), 3) for positions in LOSS_BY_POSITION} == LOSS_BY_POSITION


def test_where_the_heads_look(shipped: LanguageModel, validation: str) -> None:
    scores = score_heads(shipped, validation, pool=ThreadPool(2))
    assert np.round(scores.previous[0], 2).tolist() == [0.04, 0.05, 0.0, 1.0, 0.9, 0.01, 0.23, 0.01]
    assert scores.previous[1].max() < 0.2


@pytest.mark.slow  # sixteen passes over 25,600 characters
def test_what_muting_a_head_costs(shipped: LanguageModel, validation: str) -> None:
    costs = mute_costs(shipped, validation, pool=ThreadPool(2))
    ranges = [(round(float(block.min()), 3), round(float(block.max()), 3)) for block in costs]
    assert ranges == [(0.008, 0.037), (0.001, 0.008)]


def test_the_losses_of_the_lens(shipped: LanguageModel, validation: str) -> None:
    """From 100 traces: of each window, but for its last character, whose successor a trace of it does not know."""
    ids = torch.tensor(shipped.vocabulary.encode(validation[: 128 * 100 + 1]))
    losses = np.zeros(3)
    for start in range(0, 128 * 100, 128):
        lens = torch.from_numpy(inspect(shipped, validation[start : start + 128]).lens).double()  # (3, T, V)
        targets = ids[start + 1 : start + 129].expand(3, -1)[..., None]
        losses -= lens.log_softmax(dim=-1).gather(-1, targets).mean(dim=(1, 2)).numpy()
    assert [round(loss, 2) for loss in losses / 100] == LENS_LOSSES


def test_no_head_is_an_induction_head(shipped: LanguageModel) -> None:
    assert score_induction(shipped).max() <= 0.01


def test_what_the_tables_reach(tiny_shakespeare: Corpus) -> None:
    training, beginning = tiny_shakespeare.train.numpy(), tiny_shakespeare.validation[:20_000].numpy()
    losses = predict_by_tables(training, beginning, 65)
    assert np.round(losses.mean(axis=1), 3).tolist() == TABLES


def test_the_ladder_of_the_whole_split_ends_where_the_shipped_model_stands(tiny_shakespeare: Corpus) -> None:
    tables = table_losses(tiny_shakespeare)
    assert round(tables.uniform, 3) == 4.174 == round(math.log(65), 3)
    assert min(tables.losses) == tables.losses[4]
    assert tables.beaten(1.4388) == 6
