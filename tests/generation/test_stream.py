"""A stream of characters, from a model whose next logits are known."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.config import ModelConfig, SamplingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import UsageError
from shakegpt.generation.filters import softmax
from shakegpt.generation.samples import generate_samples
from shakegpt.generation.stream import Stream, draw, encode_prompt
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel

ALPHABET = "\nabcd"
PLAIN = SamplingConfig(temperature=1.0, length=40)


def known_model() -> GPT:
    """A model whose blocks add nothing, so that its logits are what the embeddings and the final norm say."""
    size = len(ALPHABET)
    model = GPT(
        ModelConfig(vocab_size=size, n_layer=1, n_head=1, d_model=size + 1, d_ff=1, block_size=32), seed=0
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


def thinks(logits: list[float]) -> LanguageModel:
    """A model that always has the same opinion."""
    model = known_model()
    with torch.no_grad():
        model.final_norm.bias[0] = 1.0
        model.token_embedding.weight[:, 0] = torch.tensor(logits)
    return LanguageModel(model=model, vocabulary=Vocabulary(ALPHABET), name="known")


def says(script: str) -> LanguageModel:
    """A model that writes a script after a prompt of one character, and then newlines.

    It goes by the position alone, and its last dimension makes its opinion at each position another.
    """
    model = known_model()
    size = len(ALPHABET)
    with torch.no_grad():
        model.token_embedding.weight[:, :size] = torch.eye(size)
        model.final_norm.weight.fill_(40.0)
        for position in range(model.config.block_size):
            character = script[position] if position < len(script) else "\n"
            model.position_embedding.weight[position, ALPHABET.index(character)] = 1e3
            model.position_embedding.weight[position, size] = 10.0 * position
    return LanguageModel(model=model, vocabulary=Vocabulary(ALPHABET), name="known")


def generated(stream: Stream) -> str:
    return "".join(character.text for character in stream)


# Drawing


@given(st.lists(st.floats(-8, 8), min_size=1, max_size=6), st.data())
def test_draws_follow_the_distribution(logits: list[float], data: st.DataObject) -> None:
    """Evenly spaced numbers fall on each character as often as it is probable: the inverse of the distribution."""
    cut = data.draw(st.sets(st.integers(0, len(logits) - 1), max_size=len(logits) - 1))
    row = np.array([-math.inf if index in cut else logit for index, logit in enumerate(logits)])
    count = 500
    drawn = draw(np.broadcast_to(row, (count, len(row))), (np.arange(count) + 0.5) / count)
    expected = (softmax(row) * count).tolist()
    counts = np.bincount(drawn, minlength=len(logits)).tolist()
    assert all(abs(one - other) <= 1 + 1e-6 for one, other in zip(counts, expected, strict=True))
    assert not cut & set(drawn.tolist())


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-53])
def test_a_cut_character_is_never_drawn(uniform: float) -> None:
    """At both ends of the range too, where rounding would reach for what was cut."""
    assert draw(np.array([-math.inf, 0.1, -math.inf, 0.3, -math.inf]), np.float64(uniform)) in (1, 3)


def test_a_seed_fixes_what_is_generated() -> None:
    language_model = thinks([0.0, 1.0, 1.0, 0.5, 0.2])
    first, again, other = (generated(Stream(language_model, "a", replace(PLAIN, seed=seed))) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 40
    samples = [generated(Stream(language_model, "a", PLAIN, sample=sample)) for sample in range(3)]
    assert len(set(samples)) == 3


def test_the_global_generator_is_neither_used_nor_moved() -> None:
    language_model = thinks([0.0] * 5)
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    text = generated(Stream(language_model, "a", PLAIN))
    assert torch.rand(1) == expected
    assert generated(Stream(language_model, "a", PLAIN)) == text


def test_greed_takes_the_likeliest_whatever_the_seed() -> None:
    language_model = thinks([0.0, 1.0, 1.5, 1.4, 1.5])
    for seed in range(3):
        assert generated(Stream(language_model, "a", replace(PLAIN, temperature=0.0, seed=seed))) == "b" * 40


def test_temperature_brings_diversity() -> None:
    language_model = thinks([0.0, 1.0, 2.0, 3.0, 4.0])
    texts = [
        generated(Stream(language_model, "a", replace(PLAIN, temperature=t, length=400))) for t in (0.1, 1.0, 50.0)
    ]
    shares = [text.count("d") / 400 for text in texts]
    expected = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])
    for share, temperature in zip(shares, (0.1, 1.0, 50.0), strict=True):
        assert share == pytest.approx((expected / temperature).softmax(0)[4].item(), abs=0.08)


# What a character says of itself


def test_a_character_knows_what_it_was_drawn_from() -> None:
    logits = [0.0, 1.0, 2.0, 3.0, 4.0]
    stream = Stream(thinks(logits), "a", replace(PLAIN, temperature=2.0, top_k=2))
    character = next(stream)
    distribution = character.distribution
    assert distribution.model_probabilities == pytest.approx(torch.tensor(logits).softmax(0).tolist())
    assert distribution.uncut_probabilities == pytest.approx((torch.tensor(logits) / 2).softmax(0).tolist())
    assert distribution.probabilities[:3] == (0.0, 0.0, 0.0)
    assert sum(distribution.probabilities) == pytest.approx(1)
    assert character.probability == distribution.model_probabilities[character.index]
    assert ALPHABET[character.index] == character.text
    d, c, b = distribution.likeliest(3)
    assert (d.character, c.character, b.character) == ("d", "c", "b")
    assert (d.cut, c.cut, b.cut) == (False, False, True)
    p = distribution.probabilities[4]
    assert distribution.entropy == pytest.approx(-p * math.log2(p) - (1 - p) * math.log2(1 - p))


def test_certainty_has_no_entropy() -> None:
    assert Stream(thinks([0.0, 1.0, 0.0, 0.0, 0.0]), "a", replace(PLAIN, top_k=1)).peek().entropy == 0


# Prompts


def test_what_was_generated_is_read_before_the_next_character() -> None:
    stream = Stream(says("abcd"), "a", replace(PLAIN, length=4))
    assert generated(stream) == "abcd"
    assert stream.finish == "length"


def test_an_empty_prompt_begins_a_speech() -> None:
    assert encode_prompt(Vocabulary("\nab"), "") == [0]
    assert encode_prompt(Vocabulary("xyz"), "") == [0]
    assert encode_prompt(Vocabulary("a\nb"), "") == [1]


def test_an_unknown_character_of_the_prompt_is_named() -> None:
    with pytest.raises(UsageError, match=r"'z' \(U\+007A\), character 3"):
        Stream(thinks([0.0] * 5), "abz", PLAIN)


def test_a_long_prompt_and_a_long_text_go_on_past_the_window(tiny_language_model: LanguageModel) -> None:
    text = generated(Stream(tiny_language_model, "abcdefghij" * 9, replace(PLAIN, length=100)))
    assert len(text) == 100


# Length and stop texts


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_stream_ends_at_its_length(length: int) -> None:
    stream = Stream(says("abcdabcd"), "a", replace(PLAIN, length=length))
    assert generated(stream) == "abcdabcd"[:length]
    assert (stream.finish, stream.count) == ("length", length)
    assert next(stream, None) is None


def stopped_by_hand(text: str, stops: tuple[str, ...], length: int) -> tuple[str, str]:
    """Brute force: the text before the first stop that is complete, as soon as it is."""
    for end in range(1, length + 1):
        starts = [text[:end].find(stop) for stop in stops if text[:end].endswith(stop)]
        if starts:
            return text[: min(starts)], "stop"
    return text[:length], "length"


texts = st.text("ab", min_size=12, max_size=12)
stop_sets = st.lists(st.text("ab", min_size=1, max_size=5), max_size=3).map(tuple)


@given(texts, stop_sets, st.integers(0, 12))
def test_a_stop_text_is_found_across_any_split(text: str, stops: tuple[str, ...], length: int) -> None:
    settings = replace(PLAIN, stop=stops, length=length)
    expected = stopped_by_hand(text, stops, length)
    stream = Stream(says(text), "a", settings)
    assert (generated(stream), stream.finish) == expected
    (sample,) = generate_samples(says(text), "a", settings, 1)
    assert (sample.text, sample.finish) == expected


@given(texts, stop_sets)
def test_a_character_is_held_back_exactly_while_it_may_begin_a_stop_text(text: str, stops: tuple[str, ...]) -> None:
    """Each comes out with the first draw after which neither it nor one before it may begin a stop text."""

    def undecided(place: int, drawn: int) -> bool:
        return any(stop.startswith(text[start:drawn]) for start in range(place + 1) for stop in stops)

    language_model = says(text)
    step_by_step = Stream(language_model, "a", PLAIN)
    opinions = []
    for _ in text:
        opinions.append(step_by_step.peek().model_probabilities)
        step_by_step.step()
    opinions.append(step_by_step.peek().model_probabilities)
    assert len(set(opinions)) == len(opinions)  # so an opinion tells how many characters were drawn

    stream = Stream(language_model, "a", replace(PLAIN, stop=stops, length=len(text)))
    for place, _ in enumerate(stream):
        drawn = opinions.index(stream.peek().model_probabilities)
        if drawn == len(text) or any(stop in text[:drawn] for stop in stops):
            break  # decided by the end, which lets all go
        assert drawn == next(draws for draws in range(place + 1, 99) if not undecided(place, draws))


def test_a_text_that_only_began_like_a_stop_comes_out_whole() -> None:
    stream = Stream(says("abcabd"), "a", replace(PLAIN, stop=("abd", "cc"), length=6))
    assert [character.text for character in itertools.islice(stream, 3)] == ["a", "b", "c"]
    assert next(stream, None) is None
    assert (stream.finish, stream.count) == ("stop", 3)


def test_an_unfinished_beginning_comes_out_at_the_end() -> None:
    stream = Stream(says("aab"), "a", replace(PLAIN, stop=("abcd",), length=3))
    assert generated(stream) == "aab"
    assert stream.finish == "length"


# Settings changed meanwhile


def test_the_settings_are_read_before_every_character() -> None:
    language_model = thinks([0.0, 1.0, 2.0, 3.0, 4.0])
    settings = replace(PLAIN, top_k=1, length=4)
    stream = Stream(language_model, "a", lambda: settings)
    assert next(stream).text == "d"
    settings = replace(settings, top_k=5, temperature=1e9)
    later = next(stream)
    assert later.distribution.probabilities == pytest.approx((0.2,) * 5)
    settings = replace(settings, temperature=0.0)
    assert next(stream).text == "d"
    settings = replace(settings, length=3)
    assert next(stream, None) is None
    assert stream.finish == "length"
    settings = replace(settings, length=4)
    assert next(stream).text == "d"


def test_repetition_looks_at_the_prompt_and_at_what_was_generated() -> None:
    language_model = thinks([1.0, 4.0, 3.9, 3.8, 3.7])
    settings = replace(PLAIN, temperature=0.0, repetition_penalty=2.0, length=4)
    assert generated(Stream(language_model, "a", settings)) == "bcda"  # each was likeliest among those not yet seen


def test_repetition_forgets_what_has_left_the_window() -> None:
    language_model = thinks([1.0, 4.0, 3.9, 1.0, 1.0])
    stream = Stream(language_model, "a" + "b" * 32, replace(PLAIN, temperature=0.0, repetition_penalty=3.0))
    assert next(stream).text == "a"


# By hand


def stepped(stream: Stream, choice: str | None = None) -> str:
    return "".join(character.text for character in stream.step(choice))


def test_peeking_draws_nothing() -> None:
    language_model = thinks([0.0] * 5)
    plain = generated(Stream(language_model, "a", PLAIN))
    stream = Stream(language_model, "a", PLAIN)
    text = ""
    for character in stream:
        text += character.text
        assert stream.peek().probabilities == pytest.approx((0.2,) * 5)
        stream.peek()
    assert text == plain


def test_a_character_chosen_by_hand_is_read_like_one_drawn() -> None:
    stream = Stream(says("abcd"), "a", PLAIN)
    assert stepped(stream, "d") == "d"
    assert stepped(stream) == "b"  # the second of the script: one character was generated
    assert stream.count == 2


def test_a_character_chosen_by_hand_changes_what_comes_next(tiny_language_model: LanguageModel) -> None:
    by_hand, prompted = Stream(tiny_language_model, "a", PLAIN), Stream(tiny_language_model, "ab", PLAIN)
    before = by_hand.peek().model_probabilities
    by_hand.step("b")
    assert by_hand.peek().model_probabilities == pytest.approx(prompted.peek().model_probabilities, abs=1e-5)
    assert by_hand.peek().model_probabilities != pytest.approx(before, abs=1e-3)


def test_a_step_goes_past_the_length_and_a_stop_text() -> None:
    stream = Stream(says("abcd"), "a", replace(PLAIN, length=1))
    assert generated(stream) == "a"
    assert stepped(stream) == "b"
    stopped = Stream(says("abcd"), "a", replace(PLAIN, stop=("ab",)))
    assert (generated(stopped), stopped.finish) == ("", "stop")
    assert stepped(stopped) == "c"
    assert stopped.finish is None


def test_a_choice_comes_after_the_characters_held_back() -> None:
    stream = Stream(says("aacd"), "a", replace(PLAIN, stop=("ab",)))
    assert next(stream).text == "a"  # the second one is held back: it may begin the stop text
    assert stepped(stream, "d") == "ad"
    assert stream.count == 3
    assert next(stream).text == "d"


def test_a_step_that_completes_a_stop_text_ends_the_stream() -> None:
    stream = Stream(says("aabc"), "a", replace(PLAIN, stop=("ab",)))
    assert (stepped(stream), stream.finish) == ("a", None)
    assert (stepped(stream, "b"), stream.finish) == ("b", "stop")
    assert next(stream, None) is None


def test_a_character_chosen_by_hand_has_to_be_known() -> None:
    stream = Stream(says("abcd"), "a", PLAIN)
    with pytest.raises(UsageError, match="'z'"):
        stream.step("z")
    assert stream.count == 0
    assert stepped(stream) == "a"


def test_what_was_held_back_can_be_released_and_still_begins_a_stop_text() -> None:
    stream = Stream(says("aabc"), "a", replace(PLAIN, stop=("ab",)))
    assert next(stream).text == "a"
    assert [character.text for character in stream.release()] == ["a"]
    assert stream.release() == []
    assert (generated(stream), stream.finish, stream.count) == ("", "stop", 2)


def test_after_the_end_a_stream_is_extended_by_its_length() -> None:
    stream = Stream(says("abcdabcd"), "a", replace(PLAIN, length=3))
    assert generated(stream) == "abc"
    stream.extend()
    assert stream.finish is None
    assert (generated(stream), stream.finish, stream.count) == ("dab", "length", 6)


def test_after_a_stop_text_a_stream_is_extended_to_the_next_one() -> None:
    stream = Stream(says("abcdabcd"), "a", replace(PLAIN, stop=("cd",), length=8))
    assert (generated(stream), stream.finish) == ("ab", "stop")
    stream.extend()
    assert (generated(stream), stream.finish) == ("ab", "stop")
