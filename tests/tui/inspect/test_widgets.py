"""What the panes of the inspect screen are drawn from."""

import numpy as np
import pytest

from shakegpt.inspection.trace import inspect
from shakegpt.model.language_model import LanguageModel
from shakegpt.tui.inspect.attention_text import LEVELS, tenths, tint_levels, wrap
from shakegpt.tui.inspect.votes_pane import ranked_votes, signed_bar


@pytest.mark.parametrize("width", [1, 5, 9, 40])
def test_lines_hold_all_of_a_text_and_none_is_too_long(width: int) -> None:
    text = "ROMEO:\n\nO, speak again, bright angel!\nfor"
    lines = wrap(text, width)
    assert "".join(text[start:end] for start, end in lines) == text
    assert all(len(text[start:end].rstrip("\n")) <= width for start, end in lines)
    assert all("\n" not in text[start : end - 1] for start, end in lines)


def test_lines_break_after_a_space() -> None:
    text = "O, speak again"
    assert [text[start:end] for start, end in wrap(text, 10)] == ["O, speak ", "again"]


def test_the_strongest_has_the_strongest_tint_but_not_where_all_are_weak() -> None:
    assert tint_levels(np.array([0.0, 0.001, 0.6, 0.3, 0.05], np.float32)) == [0, 0, LEVELS, 3, 1]
    assert max(tint_levels(np.full(50, 0.02, np.float32))) == 1


@pytest.mark.parametrize(
    ("weight", "shown"), [(0.0, " "), (0.03, "."), (0.1, "1"), (0.59, "5"), (0.95, "9"), (1.0, "9")]
)
def test_a_weight_is_shown_in_tenths(weight: float, shown: str) -> None:
    assert tenths(weight) == shown


@pytest.mark.parametrize(
    ("value", "bars"),
    [
        (1.0, ("    ", "████")),
        (-1.0, ("████", "    ")),
        (0.5, ("    ", "██  ")),
        (-0.125, ("   ▐", "    ")),
        (0.0, ("    ", "    ")),
    ],
)
def test_a_bar_goes_to_its_side(value: float, bars: tuple[str, str]) -> None:
    assert signed_bar(value, 1.0, 4) == bars


def test_the_votes_are_ranked_and_add_up_to_the_logit(tiny_language_model: LanguageModel) -> None:
    text = tiny_language_model.vocabulary.characters[:6]
    trace = inspect(tiny_language_model, text)
    ((answer, _),) = trace.likeliest(-1, 1)
    votes = trace.attribution(answer)
    ranked = ranked_votes(votes, text[-1])
    assert sum(value for _, value, _ in ranked) == pytest.approx(votes.logit, abs=1e-4)
    sizes = [abs(value) for _, value, _ in ranked]
    assert sizes == sorted(sizes, reverse=True)
    layers, heads = votes.heads.shape
    assert {head for _, _, head in ranked if head} == {
        (layer, head) for layer in range(layers) for head in range(heads)
    }
