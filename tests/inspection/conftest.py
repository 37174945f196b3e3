"""A tiny model with random weights everywhere, so that no bias and no gain is left out unnoticed."""

import pytest
import torch

from shakegpt.model.language_model import LanguageModel


@pytest.fixture
def random_model(tiny_language_model: LanguageModel) -> LanguageModel:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in tiny_language_model.model.named_parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator) + name.endswith("norm.weight"))
    return tiny_language_model
