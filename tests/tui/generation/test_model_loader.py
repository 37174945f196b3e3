"""The screen on the real engine: a tiny model of random weights, its stream, and the weights in training."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from types import SimpleNamespace

import pytest
import torch

from shakegpt.config import ModelConfig, SamplingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CheckpointError, ShakegptError, UsageError
from shakegpt.generation.stream import Stream
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.manifest import FileEntry
from shakegpt.tui.context import AppContext
from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.model_loader import DEFAULT_MODEL, ModelLoader
from shakegpt.tui.messages import LIVE
from shakegpt.tui.preferences import Preferences
from tests.tui.fake_model_app import FakeModelApp, until, until_generated

VOCABULARY = Vocabulary("\n :EMORabcdefghijklmnopqrstuvwxyz")


def language_model(name: str, seed: int = 0) -> LanguageModel:
    torch.manual_seed(seed)
    config = ModelConfig(vocab_size=len(VOCABULARY), n_layer=1, n_head=2, d_model=16, d_ff=32, block_size=16)
    return LanguageModel(model=GPT(config).eval(), vocabulary=VOCABULARY, name=name, step=7, val_loss=3.25)


@dataclass(frozen=True)
class Found:
    reference: str
    sha256: str

    @property
    def manifest(self) -> SimpleNamespace:
        return SimpleNamespace(files={"model.safetensors": FileEntry(size=1, sha256=self.sha256)})


@dataclass
class FakeStore:
    """As much of a store as the loader uses."""

    loaded: list[str] = field(default_factory=list)
    best: str = "macbeth@500"
    sha256: str = "0" * 64

    def find(self, reference: str) -> Found:
        if reference.startswith("lear"):
            raise CheckpointError("There is no run lear.")
        return Found(self.best if reference == "macbeth" else reference, self.sha256)

    def default_reference(self) -> str:
        return "pretrained"

    def language_model(self, reference: str) -> LanguageModel:
        self.loaded.append(reference)
        return language_model(reference, seed=len(reference))


def loader_of(store: FakeStore, live: "Future[LanguageModel] | None" = None) -> ModelLoader:
    training = None if live is None else SimpleNamespace(owned=True, alive=True, copy_model=lambda: live)
    return ModelLoader(AppContext(store=store, preferences=Preferences(), training=training))  # type: ignore[arg-type]


def test_a_new_run_of_the_name_of_one_that_is_gone_is_loaded_anew() -> None:
    store = FakeStore()
    loader = loader_of(store)
    first = loader.load("macbeth")
    assert loader.load("macbeth") is first
    store.sha256 = "1" * 64
    assert loader.load("macbeth") is not first
    assert store.loaded == ["macbeth@500", "macbeth@500"]


def opened(loader: ModelLoader, reference: str) -> LanguageModel:
    return loader.open_stream(reference, "a", SamplingConfig).language_model


async def test_the_screen_shows_what_the_engine_streams() -> None:
    async with (app := FakeModelApp(loader_of(FakeStore()))).run_test() as pilot:  # type: ignore[arg-type]
        await pilot.press("enter")
        await until_generated(pilot, app)
        expected = islice(
            Stream(language_model("pretrained", seed=len("pretrained")), "ROMEO:\n", SamplingConfig()), 400
        )
        assert app.generation.left.generated == "".join(character.text for character in expected)


async def test_freezing_and_picking_work_on_the_engine() -> None:
    async with (app := FakeModelApp(loader_of(FakeStore()))).run_test(size=(120, 40)) as pilot:
        await pilot.press("f")
        await until(pilot, lambda: app.generation.left.next_character is not None)
        view = app.generation.left.next_character
        assert view is not None
        assert len(view.choices) == 10
        assert 0 < view.entropy < 5.1
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.generation.left.generated == view.choices[1].character)


async def test_an_unknown_character_is_the_sentence_of_the_engine() -> None:
    async with (app := FakeModelApp(loader_of(FakeStore()))).run_test() as pilot:
        app.generation.prompt.text = "ROMEO?"
        await pilot.press("enter")
        await until(pilot, lambda: app.generation.left.state is GenerationState.FAILED)
        assert app.generation.prompt.text == "ROMEO?"


def test_a_model_is_loaded_once_and_a_better_one_as_well() -> None:
    store = FakeStore()
    loader = loader_of(store)
    for _ in range(2):
        assert opened(loader, "macbeth").name == "macbeth@500"
    store.best = "macbeth@700"
    assert opened(loader, "macbeth").name == "macbeth@700"
    assert store.loaded == ["macbeth@500", "macbeth@700"]


def test_the_default_model_is_loaded_beforehand() -> None:
    store = FakeStore()
    loader = loader_of(store)
    assert loader.preload() == "pretrained"
    assert opened(loader, DEFAULT_MODEL).name == "pretrained"
    assert store.loaded == ["pretrained"]


def test_few_models_are_kept() -> None:
    store = FakeStore()
    loader = loader_of(store)
    for reference in ("a", "b", "c", "d", "a"):
        opened(loader, reference)
    assert store.loaded == ["a", "b", "c", "d", "a"]


def test_the_live_weights_are_copied() -> None:
    live: Future[LanguageModel] = Future()
    live.set_result(language_model("macbeth (live)"))
    model = opened(loader_of(FakeStore(), live), LIVE)
    assert (model.name, model.step, model.val_loss) == ("macbeth (live)", 7, 3.25)


def test_without_a_training_there_are_no_live_weights() -> None:
    with pytest.raises(UsageError, match="Nothing is in training"):
        opened(loader_of(FakeStore()), LIVE)


def test_a_training_that_ends_first_is_a_sentence() -> None:
    live: Future[LanguageModel] = Future()
    live.cancel()
    with pytest.raises(ShakegptError, match="Training ended"):
        opened(loader_of(FakeStore(), live), LIVE)


def test_the_names_in_the_corpora_on_disk_are_offered() -> None:
    assert "HALDEN" in loader_of(FakeStore()).speaker_names()


def test_a_stream_speaks_without_the_muted_heads_that_its_model_has() -> None:
    loader = loader_of(FakeStore())
    loader._context.muted_heads = frozenset({(0, 1), (5, 5)})
    whole, stream = loader.load("macbeth@500"), loader.open_stream("macbeth@500", "ROME", SamplingConfig)
    weight = stream.language_model.model.blocks[0].attention.projection.weight  # type: ignore[union-attr]
    assert stream.language_model.name == "macbeth@500 without head 1.2"
    assert not weight[:, 8:].any()  # type: ignore[index]
    assert whole.model.blocks[0].attention.projection.weight[:, 8:].any()  # type: ignore[union-attr, index]
