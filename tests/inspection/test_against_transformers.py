"""A trace beside what ``transformers`` computes from the same weights, and the figures made of it."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from shakegpt.data.corpus import Corpus
from shakegpt.export.bundle import write_bundle
from shakegpt.export.huggingface import export_files
from shakegpt.inspection.heads import score_heads
from shakegpt.inspection.trace import inspect
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.store import Store

WINDOWS = 3

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of transformers' own making
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return Store(tmp_path_factory.mktemp("home")).language_model("pretrained")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("exported") / "pretrained"
    checkpoint = Store(tmp_path_factory.mktemp("home")).open("pretrained")
    write_bundle(folder, export_files(checkpoint, name="pretrained"))
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()


def test_attention_and_lens_are_those_of_transformers(shipped: LanguageModel, theirs: Any, demo: Corpus) -> None:
    text = demo.text[:128]
    ids = torch.tensor([shipped.vocabulary.encode(text)])
    with torch.no_grad():
        found = theirs(ids, labels=ids, output_attentions=True, output_hidden_states=True)
        # All hidden states but the last, which transformers has normalised, and the logits.
        lens = [theirs.lm_head(theirs.transformer.ln_f(state)) for state in found.hidden_states[:-1]]
    trace = inspect(shipped, text)
    np.testing.assert_allclose(trace.attention, torch.cat(found.attentions), atol=1e-5)
    np.testing.assert_allclose(trace.lens, torch.cat([*lens, found.logits]), atol=1e-3)
    assert trace.mean_loss == pytest.approx(float(found.loss), abs=1e-5)


def test_a_muted_head_is_one_whose_rows_of_their_projection_are_zero(
    shipped: LanguageModel, theirs: Any, demo: Corpus
) -> None:
    text, width = demo.text[:64], shipped.model.config.d_model // shipped.model.config.n_head
    projection = theirs.transformer.h[0].attn.c_proj.weight
    kept = projection.detach().clone()
    with torch.no_grad():
        projection[3 * width : 4 * width] = 0
        expected = theirs(torch.tensor([shipped.vocabulary.encode(text)])).logits[0]
        projection.copy_(kept)
    np.testing.assert_allclose(inspect(shipped, text, muted=[(0, 3)]).lens[-1], expected, atol=1e-3)


def test_head_scores_are_means_over_their_attention(shipped: LanguageModel, theirs: Any, demo: Corpus) -> None:
    size = shipped.model.config.block_size
    ids = torch.tensor(shipped.vocabulary.encode(demo.validation_text[: WINDOWS * size])).view(WINDOWS, size)
    with torch.no_grad():
        attention = torch.stack(theirs(ids, output_attentions=True).attentions)  # (L, B, H, T, T)
    scores = score_heads(shipped, demo.validation_text, windows=WINDOWS)
    for distance in range(8):
        expected = attention.diagonal(-distance, dim1=3, dim2=4).mean(dim=(1, 3))
        np.testing.assert_allclose(scores.back[..., distance], expected, atol=1e-5)
    entropy = -(attention * attention.clamp(min=1e-30).log2()).sum(dim=-1).mean(dim=(1, 3))
    np.testing.assert_allclose(scores.entropy, entropy, atol=1e-4)
