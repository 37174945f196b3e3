"""``generate --json --logprobs N``."""

import json
import math

import numpy as np
import pytest

import shakegpt
from shakegpt.runs.store import Store
from tests.cli.cli_results import Invoke, one_sentence

ARGUMENTS = ("generate", "-c", "macbeth", "--prompt", "ROMEO:", "--length", "12", "--seed", "3", "--json")


def test_each_character_has_its_log_probability_before_and_after_the_filters(store: Store, invoke: Invoke) -> None:
    result = json.loads(invoke(*ARGUMENTS, "--top-k", "3", "--temperature", "0.5", "--logprobs", "5").stdout)
    plain = json.loads(invoke(*ARGUMENTS, "--top-k", "3", "--temperature", "0.5").stdout)
    assert result["text"] == plain["text"]
    assert set(result) == {*plain, "logprobs"}
    assert "".join(row["character"] for row in result["logprobs"]) == result["text"]
    model, context = shakegpt.load("macbeth"), "ROMEO:"
    for row in result["logprobs"]:
        odds = model.distribution(context)
        ids = np.argsort(-odds)[:5]
        assert [entry["character"] for entry in row["likeliest"]] == [model.characters[index] for index in ids]
        before = [entry["logprob_before_filters"] for entry in row["likeliest"]]
        np.testing.assert_allclose(before, np.log(odds[ids]), atol=1e-4)
        kept = odds[ids[:3]] ** 2 / (odds[ids[:3]] ** 2).sum()  # temperature 0.5 squares the odds, top-k keeps three
        after = [entry["logprob_after_filters"] for entry in row["likeliest"]]
        np.testing.assert_allclose(after[:3], np.log(kept), atol=1e-3)
        assert after[3:] == [None, None]
        drawn = model.characters.index(row["character"])
        assert row["logprob_before_filters"] == pytest.approx(math.log(odds[drawn]), abs=1e-4)
        assert row["logprob_after_filters"] == after[ids.tolist().index(drawn)]
        context += row["character"]


def test_several_samples_are_those_without_log_probabilities(store: Store, invoke: Invoke) -> None:
    result = json.loads(invoke(*ARGUMENTS, "--samples", "3", "--logprobs", "0").stdout)
    plain = json.loads(invoke(*ARGUMENTS, "--samples", "3").stdout)
    assert [row["text"] for row in result["samples"]] == [row["text"] for row in plain["samples"]]
    assert [len(row["logprobs"]) for row in result["samples"]] == [12, 12, 12]
    assert result["samples"][0]["logprobs"][0]["likeliest"] == []


@pytest.mark.parametrize("arguments", [(*ARGUMENTS, "--logprobs", "-1"), (*ARGUMENTS[:-1], "--logprobs", "3")])
def test_it_needs_json_and_a_number_that_is_not_negative(
    store: Store, invoke: Invoke, arguments: tuple[str, ...]
) -> None:
    assert "--logprobs" in one_sentence(invoke(*arguments), 2)
