"""The generation thread: its commands, and its updates."""

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from shakegpt.config import SamplingConfig
from shakegpt.errors import CheckpointError
from shakegpt.tui.generation.generation_thread import GenerationOptions, GenerationState, GenerationThread, Update
from tests.processes import PATIENCE
from tests.tui.fake_model_loader import FakeModelLoader

if TYPE_CHECKING:
    from shakegpt.generation.stream import Stream


class Listener:
    """Collects a thread's updates, and waits for those to come."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.updates: list[Update] = []

    def __call__(self, thread: GenerationThread) -> None:
        with self.changed:
            self.updates.append(thread.collect())
            self.changed.notify_all()

    @property
    def text(self) -> str:
        return "".join(character.text for update in self.updates for character in update.characters)

    def wait(self, happened: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(happened, PATIENCE)

    def wait_for(self, state: GenerationState) -> Update:
        self.wait(lambda: bool(self.updates) and self.updates[-1].state is state)
        return self.updates[-1]


class Generation:
    """A thread on a fake model, with settings that a test changes."""

    def __init__(self, loader: FakeModelLoader, *, show_next: bool = False, paused: bool = False, **settings: Any):
        self.settings = SamplingConfig(**{"length": 12, **settings})
        self.loader = loader
        self.listener = Listener()
        self.thread = GenerationThread(
            partial(loader.open_stream, "pretrained", "ROMEO:", lambda: self.settings),
            on_update=self.listener,
            options=GenerationOptions(show_next=show_next),
            paused=paused,
        )

    def __enter__(self) -> "Generation":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.close()
        if self.loader.gate is not None:
            self.loader.let(10_000)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


def test_it_generates_up_to_the_length() -> None:
    with Generation(FakeModelLoader("O speak again, bright angel!")) as generation:
        update = generation.listener.wait_for(GenerationState.FINISHED)
        assert generation.listener.text == "O speak agai"
        assert update.model is not None
        assert update.model.name == "pretrained"


def test_resuming_at_the_end_generates_as_many_again() -> None:
    with Generation(FakeModelLoader("abcdefghij"), length=4) as generation:
        generation.listener.wait_for(GenerationState.FINISHED)
        generation.thread.resume()
        assert generation.thread.collect().state is GenerationState.GENERATING, "at once"
        generation.listener.wait(lambda: len(generation.listener.text) == 8)
        assert generation.listener.text == "abcdefgh"


def test_resuming_at_the_end_counts_by_the_length_of_now() -> None:
    with Generation(FakeModelLoader("abcdefghij"), length=4) as generation:
        generation.listener.wait_for(GenerationState.FINISHED)
        generation.settings = replace(generation.settings, length=6)
        generation.thread.resume()
        generation.listener.wait(lambda: generation.listener.text == "abcdefghij")


def test_resuming_after_a_pause_generates_the_rest() -> None:
    loader = FakeModelLoader("abcdefghij", gated=True)
    with Generation(loader, length=5) as generation:
        loader.let(2)
        generation.listener.wait(lambda: len(generation.listener.text) >= 1)
        generation.thread.pause()
        loader.let(1)
        generation.listener.wait_for(GenerationState.PAUSED)
        generation.thread.resume()
        loader.let(10)
        generation.listener.wait_for(GenerationState.FINISHED)
        assert generation.listener.text == "abcde"


def test_a_pause_acts_between_two_characters() -> None:
    loader = FakeModelLoader("abcdefghij", gated=True)
    with Generation(loader, length=10) as generation:
        loader.let(1)
        generation.listener.wait(lambda: generation.listener.text == "a")
        generation.thread.pause()
        loader.let(5)  # the current draw may still be made, and no other
        generation.listener.wait_for(GenerationState.PAUSED)
        assert generation.listener.text in ("a", "ab")


def test_a_setting_acts_on_the_very_next_character() -> None:
    loader = FakeModelLoader("abcdefghij", gated=True)
    with Generation(loader, length=6, paused=True) as generation:
        for number, temperature in enumerate((0.5, 1.0, 1.5), 1):
            generation.settings = replace(generation.settings, temperature=temperature)
            generation.thread.step()
            loader.let(1)
            generation.listener.wait(lambda number=number: len(generation.listener.text) == number)
        assert [settings.temperature for settings in loader.streams[0].used] == [0.5, 1.0, 1.5]


def test_a_character_can_be_chosen_by_hand() -> None:
    with Generation(FakeModelLoader("abc"), show_next=True, paused=True) as generation:
        assert generation.listener.wait_for(GenerationState.PAUSED).next_character is not None
        generation.thread.step("z")
        generation.thread.step()
        generation.listener.wait(lambda: len(generation.listener.text) == 2)
        assert generation.listener.text == "zb"


def test_a_step_at_the_end_goes_past_it() -> None:
    with Generation(FakeModelLoader("abcdefghij"), length=3) as generation:
        generation.listener.wait_for(GenerationState.FINISHED)
        generation.thread.step()
        generation.listener.wait_for(GenerationState.PAUSED)
        generation.thread.resume()
        generation.listener.wait_for(GenerationState.FINISHED)
        assert generation.listener.text == "abcdef", "the step was the first of as many again"


def test_a_stop_text_ends_it() -> None:
    with Generation(FakeModelLoader("Ay me!\n\nmore"), length=100, stop=("\n\n",)) as generation:
        generation.listener.wait_for(GenerationState.FINISHED)
        assert generation.listener.text.strip() == "Ay me!"
        generation.thread.resume()
        generation.listener.wait(lambda: generation.listener.text.count("Ay me!") == 2)


def test_a_step_that_completes_a_stop_text_ends_it() -> None:
    with Generation(FakeModelLoader("a\n\nmore"), stop=("\n\n",), paused=True) as generation:
        generation.listener.wait_for(GenerationState.PAUSED)
        for _ in range(3):
            generation.thread.step()
        generation.listener.wait_for(GenerationState.FINISHED)


def test_while_it_is_paused_the_next_character_follows_the_settings() -> None:
    with Generation(FakeModelLoader("abc"), show_next=True, paused=True) as generation:
        generation.listener.wait_for(GenerationState.PAUSED)
        generation.settings = replace(generation.settings, top_k=2)
        generation.thread.refresh_next()
        generation.listener.wait(lambda: _cut(generation.listener.updates[-1]) == 8)


def _cut(update: Update) -> int:
    return 0 if update.next_character is None else sum(choice.cut for choice in update.next_character.choices)


def test_the_length_is_read_before_every_character() -> None:
    loader = FakeModelLoader("abcdefghij", gated=True)
    with Generation(loader, length=10) as generation:
        loader.let(1)
        generation.listener.wait(lambda: generation.listener.text == "a")
        generation.settings = replace(generation.settings, length=3)
        loader.let(9)
        generation.listener.wait_for(GenerationState.FINISHED)
        assert generation.listener.text == "abc"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CheckpointError("There is no run lear."), "There is no run lear."),
        (MemoryError(), "There is not enough memory to load this model; choose a smaller one with c."),
        (RuntimeError("odd"), "The model could not generate text: RuntimeError: odd"),
    ],
)
def test_an_error_is_one_sentence(error: Exception, sentence: str) -> None:
    listener = Listener()

    def fail() -> "Stream":
        raise error

    thread = GenerationThread(fail, on_update=listener, options=GenerationOptions())
    thread.start()
    assert listener.wait_for(GenerationState.FAILED).error == sentence
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_characters_travel_together() -> None:
    """However fast the model, the screen gets about thirty updates a second."""
    with Generation(FakeModelLoader("abcdefghij"), length=5_000) as generation:
        generation.listener.wait_for(GenerationState.FINISHED)
        assert len(generation.listener.text) == 5_000
        assert len(generation.listener.updates) < 1_000


def test_no_update_is_announced_before_the_last_one_is_collected() -> None:
    calls: list[GenerationThread] = []
    thread = GenerationThread(
        partial(FakeModelLoader("abc").open_stream, "pretrained", "", lambda: SamplingConfig(length=50)),
        on_update=calls.append,
        options=GenerationOptions(),
    )
    thread.start()
    thread.join(0.3)
    assert len(calls) == 1
    thread.close()
    thread.join(PATIENCE)
    assert len(thread.collect().characters) == 50
