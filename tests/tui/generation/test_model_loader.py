"""The screen on the real engine: a tiny model of random weights, its stream, and the weights in training."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice

import pytest
import torch
from fake_model_app import FakeModelApp, until, until_generated

from shakegpt.config import ModelConfig, SamplingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import CheckpointError, ShakegptError, UsageError
from shakegpt.generation.stream import Stream
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from shakegpt.tui.generation.model_loader import AT_HAND, EngineVoices
from shakegpt.tui.messages import LIVE

VOCABULARY = Vocabulary("\n :EMORabcdefghijklmnopqrstuvwxyz")


def speaker(name: str, seed: int = 0) -> LanguageModel:
    torch.manual_seed(seed)
    config = ModelConfig(vocab_size=len(VOCABULARY), n_layer=1, n_head=2, d_model=16, d_ff=32, block_size=16)
    return LanguageModel(model=GPT(config).eval(), vocabulary=VOCABULARY, name=name, step=7, val_loss=3.25)


@dataclass(frozen=True)
class Named:
    reference: str


@dataclass
class Shelf:
    """As much of a store as the voices ask of it."""

    loaded: list[str] = field(default_factory=list)
    best: str = "macbeth@500"

    def find(self, reference: str) -> Named:
        if reference.startswith("lear"):
            raise CheckpointError("There is no run lear.")
        return Named(self.best if reference == "macbeth" else reference)

    def default_reference(self) -> str:
        return "pretrained"

    def language_model(self, reference: str) -> LanguageModel:
        self.loaded.append(reference)
        return speaker(reference, seed=len(reference))


def engine(shelf: Shelf, live: "Future[LanguageModel] | None" = None) -> EngineVoices:
    return EngineVoices(lambda: shelf, lambda: live)  # type: ignore[arg-type, return-value]


async def test_the_screen_shows_what_the_engine_streams() -> None:
    async with (app := FakeModelApp(engine(Shelf()))).run_test() as pilot:  # type: ignore[arg-type]
        await pilot.press("enter")
        await until_generated(pilot, app)
        expected = islice(Stream(speaker("pretrained", seed=len("pretrained")), "ROMEO:\n", SamplingConfig()), 400)
        assert app.generation.left.drawn == "".join(character.text for character in expected)


async def test_freezing_and_picking_work_on_the_engine() -> None:
    async with (app := FakeModelApp(engine(Shelf()))).run_test(size=(120, 40)) as pilot:
        await pilot.press("f")
        await until(pilot, lambda: app.generation.left.outlook is not None)
        outlook = app.generation.left.outlook
        assert outlook is not None
        assert len(outlook.choices) == 10
        assert 0 < outlook.entropy < 5.1
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.generation.left.drawn == outlook.choices[1].character)


async def test_an_unknown_character_is_the_sentence_of_the_engine() -> None:
    async with (app := FakeModelApp(engine(Shelf()))).run_test() as pilot:
        app.generation.prompt.text = "ROMEO?"
        await pilot.press("enter")
        await until(pilot, lambda: app.generation.left.state == "failed")
        assert app.generation.prompt.text == "ROMEO?"


def test_a_model_is_loaded_once_and_a_better_one_anew() -> None:
    shelf = Shelf()
    voices = engine(shelf)
    for _ in range(2):
        assert voices.open("macbeth", "a", SamplingConfig).model == "macbeth@500"
    shelf.best = "macbeth@700"
    assert voices.open("macbeth", "a", SamplingConfig).model == "macbeth@700"
    assert shelf.loaded == ["macbeth@500", "macbeth@700"]


def test_what_speaks_unasked_is_loaded_in_good_time() -> None:
    shelf = Shelf()
    voices = engine(shelf)
    assert voices.prepare() == "pretrained"
    assert voices.open(AT_HAND, "a", SamplingConfig).model == "pretrained"
    assert shelf.loaded == ["pretrained"]


def test_few_models_are_held_at_a_time() -> None:
    shelf = Shelf()
    voices = engine(shelf)
    for reference in ("a", "b", "c", "d", "a"):
        voices.open(reference, "a", SamplingConfig)
    assert shelf.loaded == ["a", "b", "c", "d", "a"]


def test_the_live_weights_are_copied_for_each_passage() -> None:
    live: Future[LanguageModel] = Future()
    live.set_result(speaker("macbeth (live)"))
    opened = engine(Shelf(), live).open(LIVE, "a", SamplingConfig)
    assert (opened.model, opened.step, opened.val_loss) == ("macbeth (live)", 7, 3.25)


def test_without_a_training_there_are_no_live_weights() -> None:
    with pytest.raises(UsageError, match="Nothing is in training"):
        engine(Shelf()).open(LIVE, "a", SamplingConfig)


def test_a_training_that_ends_first_is_a_sentence() -> None:
    live: Future[LanguageModel] = Future()
    live.cancel()
    with pytest.raises(ShakegptError, match="Training ended"):
        engine(Shelf(), live).open(LIVE, "a", SamplingConfig)


def test_the_speakers_of_the_corpora_at_hand_are_offered() -> None:
    assert "HALDEN" in engine(Shelf()).speakers()
