"""The explanations of the knobs and the odds have their values in them."""

from dataclasses import replace

import pytest

from shakegpt.config import SamplingConfig
from shakegpt.generation.stream import Choice
from shakegpt.tui.explanations.generation import explain_generation
from shakegpt.tui.generation.generation_thread import NextCharacterView

CHOICES = (Choice("e", 0.62, 0.8), Choice(" ", 0.25, 0.2), Choice("q", 0.02, 0.0))
VIEW = NextCharacterView(CHOICES, 1.0, cut=0.13, drawn=" ", rank=2, drawn_choice=CHOICES[1])
SETTINGS = SamplingConfig(temperature=0.5, top_k=40, top_p=0.9, min_p=0.05, seed=4711)


@pytest.mark.parametrize(
    ("topic", "figures"),
    [
        ("odds", ['"e"', "62 %", "13 %", "2.0 equally likely", "1.0 bits"]),
        ("surprise", ['"space"', "25 %", "2.0 bits", "number 2"]),
        ("temperature", ["At 0.50", "4.0 times"]),
        ("top_k", ["40 letters", "13 %"]),
        ("top_p", ["0.90", "90 %"]),
        ("min_p", ["0.05", "5.0 %", "62 %", "3.1 %"]),
        ("seed", ["4,711"]),
    ],
)
def test_the_values_are_in_the_text(topic: str, figures: list[str]) -> None:
    (text,) = (one.text for one in explain_generation(SETTINGS, VIEW) if one.topic == topic)
    assert [figure for figure in figures if figure not in text] == []


def test_knobs_that_are_off_say_so() -> None:
    texts = {one.topic: one.text for one in explain_generation(SamplingConfig(temperature=0), None)}
    assert not {"odds", "surprise"} & set(texts)
    assert "likeliest letter is always taken" in texts["temperature"]
    assert all("off" in texts[topic] for topic in ("top_k", "top_p", "min_p"))


def test_while_one_walks_back_it_is_the_marked_letter_that_is_explained() -> None:
    walked = replace(VIEW, position=7)
    texts = {one.topic: one.text for one in explain_generation(SETTINGS, walked)}
    assert "last" not in texts["surprise"]
    assert 'walked to, "space", had a probability of 25 %' in texts["surprise"]
    assert '"space" was drawn, which had 25 %' in texts["odds"]
    assert "begins a branch" in texts["odds"]
    assert "one letter is drawn from it at random" in explain_generation(SETTINGS, VIEW)[0].text
