"""The heads' scores, beside loops over single windows and positions."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from shakegpt.config import ModelConfig
from shakegpt.data.corpus import speaker_spans
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import UsageError
from shakegpt.evaluation.loss import evaluate
from shakegpt.inspection.heads import HeadScores, loss_without, mute_costs, score_heads, score_induction
from shakegpt.inspection.muting import mute
from shakegpt.inspection.trace import inspect
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.threads import ThreadPool

SIZE = 8  # the tiny model's window
PLAY = "ab\n\nA:\nBc d\nD:\ncd\ne\nC:\nab \n\nBA:\nfad\n aA:\nAB:\ncccccccccc\nABCDABCDA:\nadAD" * 2
"""With names at the borders of windows, across them, and in windows without."""


@pytest.fixture
def actor(random_model: LanguageModel) -> LanguageModel:
    """A model that knows capitals: names are made of them."""
    return replace(random_model, vocabulary=Vocabulary("\n ABCDabcdef:"))


def scores_by_hand(language_model: LanguageModel, text: str, windows: int) -> dict[str, np.ndarray]:
    """Position by position, on the trace of each window."""
    found: dict[str, list[np.ndarray]] = {
        name: [] for name in ("previous", "itself", "newline", "speaker", "distance", "entropy")
    }
    back: list[list[np.ndarray]] = [[] for _ in range(8)]
    for start in range(0, windows * SIZE, SIZE):
        attention = inspect(language_model, text[start : start + SIZE]).attention.astype(np.float64)  # (L, H, T, T)
        for t in range(SIZE):
            row = attention[:, :, t]
            if t > 0:
                found["previous"].append(row[..., t - 1])
            found["itself"].append(row[..., t])
            for distance in range(t + 1):
                back[distance].append(row[..., t - distance])
            newline = text.rfind("\n", start, start + t)
            if newline >= 0:
                found["newline"].append(row[..., newline - start])
            spoken = [span for span in speaker_spans(text) if span[1] <= start + t]
            if spoken and spoken[-1][0] >= start:
                found["speaker"].append(row[..., spoken[-1][0] - start : spoken[-1][1] - start].sum(axis=-1))
            found["distance"].append(sum(row[..., s] * (t - s) for s in range(t + 1)))
            found["entropy"].append(sum(p * -np.log2(np.where(p > 0, p, 1)) for p in np.moveaxis(row, -1, 0)))
    means = {name: np.mean(rows, axis=0) for name, rows in found.items()}
    return means | {"back": np.stack([np.mean(rows, axis=0) for rows in back], axis=-1)}


def test_where_a_name_stands_is_from_its_first_character_to_the_colon() -> None:
    assert [PLAY[start:end] for start, end in speaker_spans(PLAY)][:6] == ["A", "D", "C", "BA", "AB", "ABCDABCDA"]
    assert all(PLAY[end] == ":" for _, end in speaker_spans(PLAY))


@pytest.mark.parametrize("windows", [1, 5, 17])
def test_scores_are_means_over_positions(actor: LanguageModel, windows: int) -> None:
    scores = score_heads(actor, PLAY, windows=windows)
    expected = scores_by_hand(actor, PLAY, windows)
    assert scores.characters == windows * SIZE
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(scores, name), value, atol=1e-6, err_msg=name)


def test_threads_change_no_score(actor: LanguageModel) -> None:
    alone, shared = score_heads(actor, PLAY), score_heads(actor, PLAY, pool=ThreadPool(2))
    assert (alone.speaker == shared.speaker).all()
    assert alone.characters == len(PLAY) // SIZE * SIZE  # fewer windows than were asked for


def test_a_text_without_newlines_and_names_has_no_such_scores(actor: LanguageModel) -> None:
    scores = score_heads(actor, "abcdef" * 9)
    assert np.isnan(scores.newline).all()
    assert np.isnan(scores.speaker).all()
    assert np.isfinite(scores.previous).all()


def test_induction_is_attention_to_what_followed_before(random_model: LanguageModel) -> None:
    """The mean of several texts, each read twice, beside single traces of the same texts."""
    from shakegpt.system.seeds import derive_seed

    generator = torch.Generator().manual_seed(derive_seed(3, "induction"))
    rows = []
    for ids in torch.randint(13, (8, 4), generator=generator).tolist():
        attention = inspect(random_model, random_model.vocabulary.decode(ids) * 2).attention
        rows += [attention[:, :, t, t - 3] for t in range(4, 8)]  # t - 4 has the same character, t - 3 the next
    np.testing.assert_allclose(score_induction(random_model, seed=3), np.mean(rows, axis=0), atol=1e-6)
    assert (score_induction(random_model, seed=3) == score_induction(random_model, seed=3)).all()


def test_a_head_that_copies_by_position_alone_is_found(random_model: LanguageModel) -> None:
    """A head built to look three characters back does what an induction head does on a period of four."""
    model = random_model.model
    with torch.no_grad():
        attention = model.blocks[0].attention
        attention.query_key_value.weight.zero_()
        attention.query_key_value.bias.zero_()
        model.token_embedding.weight.zero_()
        model.position_embedding.weight.copy_(torch.eye(8, 12))
        # Normalised one-hot positions stay apart: each query below is that of one position, each key that of the one
        # three before it.
        queries, keys = torch.zeros(12, 12), torch.zeros(12, 12)
        for t in range(4, 8):
            queries[t - 4, t] = 30.0  # head 0 is 4 wide: a direction for each of the four
            keys[t - 4, t - 3] = 30.0
        attention.query_key_value.weight[:12], attention.query_key_value.weight[12:24] = queries, keys
    scores = score_induction(random_model)
    assert scores[0, 0] > 0.99
    assert (scores[0, 1:] < 0.3).all()


def test_what_muting_costs_is_a_difference_of_losses(actor: LanguageModel) -> None:
    windows = 6
    ids = torch.tensor(actor.vocabulary.encode(PLAY[: windows * SIZE + 1]))
    whole = evaluate(actor.model, ids).nats
    costs = mute_costs(actor, PLAY, windows=windows)
    assert costs.shape == (2, 3)
    for layer in range(2):
        for head in range(3):
            alone = evaluate(mute(actor, [(layer, head)]).model, ids).nats
            assert costs[layer, head] == pytest.approx(alone - whole, abs=1e-5)
    assert (mute_costs(actor, PLAY, windows=windows, pool=ThreadPool(2)) == costs).all()
    assert np.abs(costs).min() > 1e-4


def test_several_heads_are_muted_together(actor: LanguageModel) -> None:
    heads = [(0, 0), (1, 2)]
    ids = torch.tensor(actor.vocabulary.encode(PLAY[: 6 * SIZE + 1]))
    found = loss_without(actor, heads, PLAY, windows=6)
    assert found == pytest.approx(evaluate(mute(actor, heads).model, ids).nats, abs=1e-5)
    assert loss_without(actor, [], PLAY, windows=6) == pytest.approx(evaluate(actor.model, ids).nats, abs=1e-5)
    with pytest.raises(UsageError, match=r"no head 3\.1"):
        loss_without(actor, [(2, 0)], PLAY)


def test_costs_that_were_not_measured_are_not_numbers(actor: LanguageModel) -> None:
    assert np.isnan(mute_costs(actor, PLAY, stop=lambda: True)).all()
    answers = iter([False] * 2 * 3 + [True] * 99)  # two batches a pass: all heads, then the first two alone
    costs = mute_costs(actor, PLAY, windows=8, stop=lambda: next(answers))
    assert np.isfinite(costs[0, :2]).all()
    assert np.isnan(costs.flatten()[2:]).all()


@pytest.mark.parametrize(("text", "needed"), [("abcdefa", 8), ("abcdefab", 9)])
def test_a_text_shorter_than_a_window_is_an_error(actor: LanguageModel, text: str, needed: int) -> None:
    with pytest.raises(UsageError, match=f"a window takes {needed}"):
        score_heads(actor, text) if needed == 8 else mute_costs(actor, text)
    assert not math.isnan(score_heads(actor, "abcdefab").previous[0, 0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"back": [0.4, 0.95]}, "looks at the character before: 95 %"),
        ({"back": [0.5]}, "looks at the character itself: 50 %"),
        ({"back": [0.1, 0.1, 0.1, 0.94]}, "looks at the character 3 back: 94 %"),
        ({"newline": 0.31, "speaker": np.nan}, "looks at the last newline: 31 %"),
        ({"speaker": 0.38, "newline": np.nan}, "looks at the speaker's name: 38 %"),
        ({"back": [0.1, 0.29]}, "spreads over about 8 characters, 12 back on average"),
        ({"entropy": 0.1}, "spreads over about 1 character, 12 back on average"),
    ],
)
def test_a_head_is_described_by_what_it_looks_at_most(changes: dict[str, Any], sentence: str) -> None:
    values = {"newline": 0.1, "speaker": 0.1, "distance": 12.2, "entropy": 3.0} | changes
    back = (values.pop("back", []) + [0.1] * 7 + [np.nan])[:8]  # of a window of seven characters
    scores = {name: np.array([[0.0, value]]) for name, value in values.items()}
    assert HeadScores(back=np.array([[[0.0] * 8, back]]), **scores, characters=7).describe((0, 1)) == sentence


def test_a_window_shorter_than_the_distances_leaves_the_far_ones_out(tiny_config: ModelConfig) -> None:
    model = GPT(replace(tiny_config, block_size=3), seed=1)
    scores = score_heads(LanguageModel(model=model, vocabulary=Vocabulary("\n abcdefghij:"), name="small"), "abcabc")
    assert np.isfinite(scores.back[..., :3]).all()
    assert np.isnan(scores.back[..., 3:]).all()
    assert "the character" in scores.describe((0, 0))
