"""The card of an export, read by Hugging Face's own library."""

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from shakegpt.data.catalog import TINY_SHAKESPEARE, TINY_SHAKESPEARE_SHA256
from shakegpt.export.model_card import model_card
from shakegpt.runs.checkpoint import Checkpoint
from shakegpt.runs.run import RunMetadata
from shakegpt.runs.store import Store
from shakegpt.system.paths import asset_path


@pytest.fixture(scope="session")
def checkpoint(trained_home: Path) -> Checkpoint:
    return Store(trained_home).open("macbeth")


@pytest.fixture(scope="session")
def metadata(trained_home: Path) -> RunMetadata:
    return Store(trained_home).run("macbeth").metadata


def test_the_front_matter_is_what_the_hub_reads(checkpoint: Checkpoint, metadata: RunMetadata) -> None:
    loss = checkpoint.manifest.val_loss
    assert loss is not None
    data = ModelCard(model_card(checkpoint, name="macbeth@30", metadata=metadata)).data
    assert (data.license, data.library_name, data.pipeline_tag) == ("mit", "transformers", "text-generation")
    assert data.language == ["en"]
    assert data.tags is not None
    assert {"shakegpt", "gpt2", "character-level"} <= set(data.tags)
    assert data.metrics == ["perplexity"]
    assert data.model_name == "macbeth@30"
    results = {result.metric_type: result for result in data.eval_results or []}
    assert results["loss"].metric_value == pytest.approx(loss, abs=1e-4)
    assert results["perplexity"].metric_value == pytest.approx(2.718281828**loss, rel=1e-3)
    assert (results["loss"].dataset_name, results["loss"].dataset_split) == ("demo", "validation")


def test_the_card_says_how_the_model_was_made(checkpoint: Checkpoint, metadata: RunMetadata) -> None:
    card = model_card(checkpoint, name="macbeth@30", metadata=metadata)
    assert f"| parameters | {checkpoint.config.parameters:,} |" in card
    assert f"demo, SHA-256 {metadata.corpus_sha256}" in card
    assert f"{checkpoint.manifest.step} of 30, of 8 x 64 characters" in card
    assert "betas 0.9 and 0.99" in card
    assert "seed 7, preset `nano`" in card
    assert "## What it writes" in card


def test_a_text_of_the_users_own_has_no_license_yet(checkpoint: Checkpoint, metadata: RunMetadata) -> None:
    own = replace(metadata, corpus="my play", corpus_file="/home/me/my play.txt")
    card = model_card(checkpoint, name="mine", metadata=own)
    data = ModelCard(card).data
    assert (data.license, data.language) == ("unknown", None)
    assert "Choose a license" in card
    assert "/home/me" not in card


def test_the_card_of_weights_that_nothing_is_known_of(checkpoint: Checkpoint) -> None:
    unknown = replace(checkpoint, manifest=replace(checkpoint.manifest, val_loss=None))
    card = model_card(unknown, name='odd: "name" # here', metadata=None)
    data = ModelCard(card).data
    assert (data.license, data.eval_results) == ("unknown", None)
    assert "validation loss" not in card


def test_no_text_closes_the_fence_of_the_sample(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    from shakegpt.data.vocabulary import Vocabulary

    characters = checkpoint.vocabulary.characters
    ticks = Vocabulary("`" + "".join(chr(0x4E00 + place) for place in range(len(characters) - 1)))
    card = model_card(replace(checkpoint, vocabulary=ticks), name="ticks", metadata=None)
    sample = card.split("with seed 1 of shakegpt:\n\n")[1].split("\n\n## ")[0].splitlines()
    fence = sample[0].removesuffix("text")
    assert sample[-1] == fence
    assert not any(fence in line for line in sample[1:-1])


def test_the_model_that_ships_names_its_text(private_surroundings: Path) -> None:
    store = Store(private_surroundings)
    info, checkpoint = store.read("pretrained")
    metadata = store.metadata(info)
    assert metadata is not None
    assert (metadata.corpus, metadata.corpus_sha256) == (TINY_SHAKESPEARE, TINY_SHAKESPEARE_SHA256)
    assert metadata.model == checkpoint.config
    data = ModelCard(model_card(checkpoint, name="pretrained", metadata=metadata)).data
    assert data.datasets == ["karpathy/tiny_shakespeare"]


def test_the_card_of_the_model_that_ships_has_the_same_front_matter(private_surroundings: Path) -> None:
    data = ModelCard((asset_path("pretrained") / "README.md").read_text()).data
    loss = Store(private_surroundings).find("pretrained").val_loss
    assert (data.license, data.pipeline_tag) == ("mit", "text-generation")
    results = {result.metric_type: result.metric_value for result in data.eval_results or []}
    assert results["loss"] == pytest.approx(loss, abs=1e-4)


def test_a_checkpoint_named_by_its_path_is_known_by_its_run(store: Store) -> None:
    path = store.find("macbeth").path
    assert store.metadata(store.find(f"{path}/")) == store.run("macbeth").metadata
    assert store.metadata(store.find("macbeth")) == store.run("macbeth").metadata
