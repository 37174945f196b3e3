"""Muting a head is zeroing its columns."""

import pytest
import torch

from shakegpt.config import SamplingConfig
from shakegpt.errors import UsageError
from shakegpt.generation.stream import Stream
from shakegpt.inspection.head import head_name
from shakegpt.inspection.muting import all_heads, mute
from shakegpt.model.language_model import LanguageModel

IDS = torch.tensor([[1, 4, 2, 12, 7]])


def zero_by_hand(language_model: LanguageModel, heads: list[tuple[int, int]]) -> None:
    with torch.no_grad():
        for layer, head in heads:
            for column in range(4 * head, 4 * head + 4):  # 12 wide, three heads
                language_model.model.blocks[layer].attention.projection.weight[:, column] = 0


@pytest.mark.parametrize("heads", [[(0, 0)], [(1, 2)], [(0, 1), (1, 0), (1, 1)], [(0, 0), (0, 1), (0, 2)]])
def test_a_muted_copy_computes_what_zeroed_columns_do(
    random_model: LanguageModel, heads: list[tuple[int, int]]
) -> None:
    with torch.no_grad():
        before = random_model.model(IDS)
        muted = mute(random_model, heads)
        found = muted.model(IDS)
        assert torch.equal(random_model.model(IDS), before)  # the original still speaks with all heads
        zero_by_hand(random_model, heads)
        assert torch.equal(found, random_model.model(IDS))
    assert not torch.equal(found, before)


def test_a_muted_copy_generates_what_zeroed_columns_do(random_model: LanguageModel) -> None:
    settings = SamplingConfig(length=30, seed=4, temperature=1.0)  # longer than three windows
    whole = "".join(character.text for character in Stream(random_model, "a", settings))
    muted = "".join(character.text for character in Stream(mute(random_model, [(0, 2)]), "a", settings))
    zero_by_hand(random_model, [(0, 2)])
    assert muted == "".join(character.text for character in Stream(random_model, "a", settings))
    assert muted != whole


def test_only_the_projections_with_muted_heads_are_copied(random_model: LanguageModel) -> None:
    muted = mute(random_model, [(1, 0)]).model
    own = {
        name for name, parameter in muted.named_parameters() if parameter is not random_model.model.get_parameter(name)
    }
    assert own == {"blocks.1.attention.projection.weight"}


def test_heads_are_named_from_one_and_all_of_them_listed(random_model: LanguageModel) -> None:
    assert head_name((0, 3)) == "1.4"
    assert mute(random_model, [(0, 1)]).name == "tiny without head 1.2"
    assert mute(random_model, [(1, 0), (0, 1), (1, 0)]).name == "tiny without heads 1.2, 2.1"
    assert mute(random_model, []) is random_model
    assert all_heads(random_model.model.config) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]


@pytest.mark.parametrize("head", [(2, 0), (0, 3), (-1, 0), (0, -1)])
def test_a_head_that_is_not_there_is_an_error(random_model: LanguageModel, head: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="2 blocks of 3 heads"):
        mute(random_model, [head])
