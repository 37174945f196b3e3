"""The model that ships: what its card says of it is so."""

import re
from pathlib import Path

import pytest

from shakegpt.config import PRESETS, SamplingConfig
from shakegpt.data.corpus import Corpus
from shakegpt.evaluation.loss import evaluate
from shakegpt.generation.stream import Stream
from shakegpt.runs.manifest import MODEL_FILE
from shakegpt.runs.store import Store
from shakegpt.system.paths import asset_path
from shakegpt.system.threads import ThreadPool

MOST_BYTES = 7_000_000


@pytest.fixture(scope="module")
def card() -> str:
    return (asset_path("pretrained") / "README.md").read_text()


def test_it_is_the_mini_preset_without_optimizer_state(tmp_path: Path) -> None:
    checkpoint = Store(tmp_path).open("pretrained")
    shape, mini = checkpoint.config, PRESETS["mini"].model_config(65)
    assert (shape.n_layer, shape.n_head, shape.d_model, shape.d_ff) == (
        mini.n_layer,
        mini.n_head,
        mini.d_model,
        mini.d_ff,
    )
    assert (shape.block_size, shape.vocab_size) == (mini.block_size, 65)
    assert set(checkpoint.manifest.files) == {MODEL_FILE}
    assert sum(path.stat().st_size for path in asset_path("pretrained").iterdir()) <= MOST_BYTES


def test_its_validation_loss_is_the_one_on_its_card(tiny_shakespeare: Corpus, card: str, tmp_path: Path) -> None:
    checkpoint = Store(tmp_path).open("pretrained")
    assert checkpoint.vocabulary == tiny_shakespeare.vocabulary
    loss = evaluate(checkpoint.model(), tiny_shakespeare.validation, pool=ThreadPool(2))
    reported = re.search(r"validation loss \| (\d\.\d{4}) ", card)
    assert reported
    assert f"{loss.nats:.4f}" == reported[1]
    assert checkpoint.manifest.val_loss == pytest.approx(loss.nats, abs=5e-5)
    assert loss.nats <= 1.44


def test_its_greedy_text_is_the_one_on_its_card(card: str, tmp_path: Path) -> None:
    language_model = Store(tmp_path).language_model("pretrained")
    settings = SamplingConfig(temperature=0, length=60)
    text = "".join(character.text for character in Stream(language_model, "ROMEO:\n", settings))
    greedy = re.search(r"<!-- greedy -->\n```\nROMEO:\n(.*?)\n```", card, re.DOTALL)
    assert greedy
    assert greedy[1].startswith(text.rstrip("\n"))


def test_it_is_the_default_model(tmp_path: Path) -> None:
    assert Store(tmp_path).default_reference() == "pretrained"
