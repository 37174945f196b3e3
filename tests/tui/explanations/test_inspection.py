"""The explanations of a trace have its figures in them."""

import math

from shakegpt.inspection.heads import score_heads, score_induction
from shakegpt.inspection.trace import inspect
from shakegpt.model.language_model import LanguageModel
from shakegpt.tui.explanations.inspection import explain_trace
from shakegpt.tui.explanations.wording import percent
from shakegpt.tui.inspect.head_measurements import HeadFacts


def test_the_figures_of_the_text_are_in_the_sentences(tiny_language_model: LanguageModel) -> None:
    characters = tiny_language_model.vocabulary.characters
    text = (characters[1:4] * 3)[:7]
    trace = inspect(tiny_language_model, text)
    position, head = 5, (0, 0)
    ((answer, share),) = trace.likeliest(position, 1)
    votes = trace.attribution(answer, position)
    texts = {one.topic: one.text for one in explain_trace(trace, position, head, votes)}
    assert percent(float(trace.attention[0, 0, position].max())) in texts["attention"]
    assert f"over {position + 1} letters" in texts["attention"]
    assert percent(share) in texts["lens"]
    assert f"{votes.logit:+.2f}" in texts["votes"]
    assert f"{float(votes.mlps.sum()):+.2f}" in texts["votes"]
    assert "head 1.1" in texts["mute"]
    assert f"{trace.mean_loss:.3f}" in texts["loss"]
    assert f"{math.exp(trace.mean_loss):.1f}" in texts["loss"]
    assert "votes" not in {one.topic for one in explain_trace(trace, 4, head, votes)}


def test_under_the_mean_it_is_the_mean_that_is_explained(tiny_language_model: LanguageModel) -> None:
    characters = tiny_language_model.vocabulary.characters
    trace = inspect(tiny_language_model, (characters[1:4] * 3)[:7])
    (text,) = (one.text for one in explain_trace(trace, 5, (1, 0), None, mean=True) if one.topic == "attention")
    weights = trace.attention[1, :, 5]
    mean = weights.mean(axis=0)
    assert f"the {len(weights)} heads of block 2" in text
    assert percent(float(mean.max())) in text
    assert percent(float(weights[:, mean.argmax()].max())) in text
    assert percent(float(weights[:, mean.argmax()].min())) in text


def test_the_scores_of_a_head_are_explained_once_they_are_measured(tiny_language_model: LanguageModel) -> None:
    characters = tiny_language_model.vocabulary.characters
    text = characters[1:4] * 60
    scores, induction = score_heads(tiny_language_model, text), score_induction(tiny_language_model)
    facts = HeadFacts(tiny_language_model, "demo", scores=scores, induction=induction)
    trace = inspect(tiny_language_model, text[:7])
    (said,) = (one.text for one in explain_trace(trace, 5, (1, 0), None, facts) if one.topic == "scores")
    assert f"head 2.1 gives {percent(float(scores.previous[1, 0]))} of its attention to the letter before" in said
    assert percent(float(induction[1, 0])) in said
    assert f"{scores.characters:,} letters" in said
    assert "scores" not in {one.topic for one in explain_trace(trace, 5, (1, 0), None)}
