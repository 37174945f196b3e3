"""Training that begins from a checkpoint's weights: the vocabulary grows, the rest is as for any run."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from shakegpt.config import PRESETS
from shakegpt.data.corpus import Corpus
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.events import Started
from shakegpt.export.huggingface import export_files, import_run
from shakegpt.model.gpt import GPT
from shakegpt.runs.checkpoint import read_checkpoint
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.system.seeds import derive_seed
from shakegpt.training.setup import TrainingRequest, build_trainer
from shakegpt.training.trainer import Trainer
from tests.conftest import NANO_CHANGES
from tests.training.test_setup import cut_after

Begin = Callable[..., Trainer]

POEM = "Øde våg; the sea is grey, the ærne soar: 5 of them!\n" * 40


@pytest.fixture
def poem(tmp_path: Path) -> str:
    """The path of a text that has characters which the demo has not, and lacks most of its."""
    path = tmp_path / "poem.txt"
    path.write_text(POEM)
    return str(path)


@pytest.fixture
def begin(store: Store, poem: str) -> Begin:
    """``begin(steps=4)``: the trainer of a run that begins from macbeth, on the poem."""

    def build(corpus: str = poem, begin_from: str = "macbeth", **changes: object) -> Trainer:
        chosen = NANO_CHANGES | {"steps": 4, "sample_length": 0, "eval_every": 2, "save_every": 2, "keep": 9} | changes
        request = TrainingRequest(corpus=corpus, run_name="sea", changes=chosen, begin_from=begin_from)
        return build_trainer(store, request)

    return build


def test_known_characters_keep_their_rows_and_new_ones_are_drawn(store: Store, begin: Begin) -> None:
    old = store.open("macbeth")
    trainer = begin()
    vocabulary, count = trainer.corpus.vocabulary, len(old.vocabulary)
    assert vocabulary.characters == old.vocabulary.characters + "5Øåæ"
    weights = trainer.state.model.state_dict()
    drawn = GPT(trainer.state.model.config, seed=derive_seed(7, "weights")).state_dict()["token_embedding.weight"]
    assert torch.equal(weights["token_embedding.weight"][count:], drawn[count:])
    for name, weight in old.weights.items():
        assert torch.equal(weights[name][: len(weight)], weight), name
    assert vocabulary.decode(trainer.corpus.ids.tolist()) == POEM


def test_where_it_began_is_recorded_and_told(store: Store, begin: Begin) -> None:
    events = list(begin())
    assert isinstance(events[0], Started)
    best = store.find("macbeth")
    count = len(store.open("macbeth").vocabulary)
    assert (events[0].begun_from, events[0].new_characters) == (best.reference, 4)
    assert events[0].begun_note == f"Begun from {best.reference}: {count} characters keep their weights, 4 are new."
    metadata = store.run("sea").metadata
    assert (metadata.begun_from, metadata.new_characters) == (best.reference, 4)
    assert metadata.begun_from_sha256 == store.open("macbeth").manifest.files["model.safetensors"].sha256
    assert "begun_from" not in (store.run("macbeth").path / "run.json").read_text()  # older versions read it


def weights_bytes(run: Run, step: int) -> bytes:
    return (run.checkpoint_path(step) / "model.safetensors").read_bytes()


def test_a_cut_run_goes_on_to_the_same_bytes(store: Store, begin: Begin) -> None:
    trainer = begin()
    list(trainer)
    uncut = weights_bytes(trainer.run, 4)
    cut_after(trainer.run, 2)
    resumed = build_trainer(store, TrainingRequest(resume="sea"))
    events = list(resumed)
    assert weights_bytes(trainer.run, 4) == uncut
    assert isinstance(events[0], Started)
    assert events[0].begun_from == trainer.run.metadata.begun_from
    assert not [event for event in events if event.event == "warning"]
    assert resumed.copy_model().vocabulary == store.open("sea").vocabulary


def test_a_fork_of_it_knows_where_it_began_and_goes_on_too(store: Store, begin: Begin) -> None:
    list(begin())
    fork = build_trainer(store, TrainingRequest(resume="sea", changes={"steps": 8}))
    list(fork)
    assert fork.run.metadata.begun_from == store.run("sea").metadata.begun_from
    cut_after(fork.run, 6)
    again = build_trainer(store, TrainingRequest(resume=fork.run.name))
    assert again.run.name == fork.run.name
    list(again)
    checkpoint = read_checkpoint(fork.run.checkpoint_path(8))
    folder = store.find(f"{fork.run.name}@6").path  # by itself, it may know more characters than its text has
    assert list(build_trainer(store, TrainingRequest(resume=str(folder), corpus=fork.run.corpus_source)))
    assert checkpoint.vocabulary == store.open("sea").vocabulary


def test_a_run_that_began_with_nothing_still_has_the_characters_of_its_text_alone(
    store: Store,
) -> None:
    corpus = Corpus.load("demo")
    assert corpus.beginning_with(corpus.vocabulary).vocabulary == corpus.vocabulary
    assert store.open("macbeth").vocabulary == corpus.vocabulary


@pytest.mark.parametrize(
    ("preset", "changes", "reason"),
    [
        ("mini", {}, "has n_layer 1, not 2: a training that begins from it keeps its shape"),
        (None, {"d_model": 128}, "has d_model 64, not 128"),
        (None, {"block_size": 32}, "has block_size 64, not 32"),
    ],
)
def test_another_shape_is_one_clear_error(
    store: Store, poem: str, preset: str | None, changes: dict[str, int], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        build_trainer(store, TrainingRequest(preset=preset, corpus=poem, changes=dict(changes), begin_from="macbeth"))
    assert [run.name for run in store.runs()] == ["macbeth"]


def test_the_shape_that_it_has_may_be_said_and_dropout_changed(store: Store, poem: str) -> None:
    changes = {"d_model": 64, "dropout": 0.25}
    trainer = build_trainer(
        store, TrainingRequest(preset="nano", corpus=poem, changes=changes, begin_from="macbeth@last")
    )
    assert trainer.state.model.config.dropout == 0.25


def test_its_training_is_gentler_than_that_of_the_preset(begin: Begin) -> None:
    usual, gentle = PRESETS["nano"], PRESETS["nano"].gentle()
    assert gentle.training_config().learning_rate < usual.training_config().learning_rate
    assert gentle.default_steps(28_890, usual.model_config(62), usual.training_config()) < 500
    assert begin().config.learning_rate == gentle.training_config().learning_rate
    assert gentle.training_config(learning_rate=1e-6).min_learning_rate == 1e-7


def test_a_model_that_was_imported_can_be_gone_on_with_though_it_has_weights_only(
    store: Store, macbeth: Run, poem: str, tmp_path: Path
) -> None:
    info = store.find("macbeth")
    folder = tmp_path / "hf"
    folder.mkdir()
    for name, content in export_files(store.open("macbeth"), name="macbeth", metadata=store.metadata(info)).items():
        (folder / name).write_bytes(content)
    import_run(store, folder, "returned")
    trainer = build_trainer(store, TrainingRequest(corpus=poem, changes={"steps": 1}, begin_from="returned"))
    assert trainer.run.metadata.preset == "nano"  # the nearest in size
    assert trainer.corpus.vocabulary.characters.startswith(store.open("macbeth").vocabulary.characters)


def test_a_damaged_or_missing_checkpoint_is_named(store: Store, poem: str) -> None:
    with pytest.raises(ShakegptError, match="no run othello"):
        build_trainer(store, TrainingRequest(corpus=poem, begin_from="othello"))


# A shape of one's own


def test_a_shape_goes_on_top_of_a_preset_and_is_kept_by_a_resume(store: Store) -> None:
    changes = {"steps": 4, "n_layer": 2, "d_model": 32, "block_size": 16, "batch_size": 4, "sample_length": 0}
    trainer = build_trainer(store, TrainingRequest(preset="nano", corpus="demo", run_name="thin", changes=changes))
    config = trainer.state.model.config
    assert (config.n_layer, config.n_head, config.d_model, config.d_ff, config.block_size) == (2, 4, 32, 128, 16)
    list(trainer)
    with pytest.raises(UsageError, match="keeps its shape: leave n_layer out"):
        build_trainer(store, TrainingRequest(resume="thin", changes={"n_layer": 3}))
    more = build_trainer(store, TrainingRequest(resume="thin", changes={"steps": 5}))
    assert more.state.model.config == config


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"d_model": 250}, r"d_model \(250\) must be a multiple of the number of heads \(8\)"),
        ({"n_layer": 0}, "The number of layers must be a whole number of at least 1"),
        ({"n_layer": 900, "d_model": 8_000}, "is too large for shakegpt; choose a smaller shape"),
        ({"block_size": 900_000, "n_layer": 10}, "is too large for shakegpt"),
        ({"block_size": 4_000}, "too short"),
    ],
)
def test_a_shape_that_cannot_be_is_an_error_before_a_run_is_made(
    private_surroundings: Path, changes: dict[str, int], reason: str
) -> None:
    store = Store(private_surroundings)
    with pytest.raises(ShakegptError, match=reason):
        build_trainer(store, TrainingRequest(corpus="demo", changes=dict(changes)))
    assert store.runs() == []
