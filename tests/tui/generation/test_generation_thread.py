"""The thread that speaks: its orders, and what it tells."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fake_model_loader import FakeModelLoader

from shakegpt.config import SamplingConfig
from shakegpt.errors import CheckpointError
from shakegpt.tui.generation.generation_thread import News, Opened, Voice

PATIENCE = 20


class Listener:
    """Collects a voice's news, and waits for what is to come."""

    def __init__(self) -> None:
        self.heard = threading.Condition()
        self.news: list[News] = []

    def __call__(self, voice: Voice) -> None:
        with self.heard:
            self.news.append(voice.collect())
            self.heard.notify_all()

    @property
    def text(self) -> str:
        return "".join(character.text for news in self.news for character in news.drawn)

    def wait(self, happened: Callable[[], bool]) -> None:
        with self.heard:
            assert self.heard.wait_for(happened, PATIENCE)

    def wait_for(self, state: str) -> News:
        self.wait(lambda: bool(self.news) and self.news[-1].state == state)
        return self.news[-1]


class Speech:
    """A voice on fake models, with settings that a test turns."""

    def __init__(self, voices: FakeModelLoader, **options: Any) -> None:
        self.settings = SamplingConfig(length=options.pop("length", 12))
        self.voices = voices
        self.listener = Listener()
        self.voice = Voice(
            lambda settings: voices.open("pretrained", "ROMEO:", settings),
            lambda: self.settings,
            on_news=self.listener,
            **options,
        )

    def __enter__(self) -> "Speech":
        self.voice.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.voice.close()
        if self.voices.gate is not None:
            self.voices.gate.release(10_000)
        self.voice.join(PATIENCE)
        assert not self.voice.is_alive()


def test_a_voice_speaks_until_its_length() -> None:
    with Speech(FakeModelLoader("O speak again, bright angel!")) as speech:
        assert speech.listener.wait_for("ended").finish == "length"
        assert speech.listener.text == "O speak agai"


def test_going_on_speaks_as_many_again() -> None:
    with Speech(FakeModelLoader("abcdefghij"), length=4) as speech:
        speech.listener.wait_for("ended")
        speech.voice.go_on()
        speech.listener.wait(lambda: len(speech.listener.text) == 8)
        assert speech.listener.text == "abcdefgh"


def test_going_on_after_a_stop_speaks_what_was_left() -> None:
    voices = FakeModelLoader("abcdefghij", gated=True)
    with Speech(voices, length=5) as speech:
        voices.let(2)
        speech.listener.wait(lambda: len(speech.listener.text) >= 1)
        speech.voice.stop()
        voices.let(1)
        speech.listener.wait_for("resting")
        speech.voice.go_on()
        voices.let(10)
        speech.listener.wait_for("ended")
        assert speech.listener.text == "abcde"


def test_a_stop_acts_between_two_characters() -> None:
    voices = FakeModelLoader("abcdefghij", gated=True)
    with Speech(voices, length=10) as speech:
        voices.let(1)
        speech.listener.wait(lambda: speech.listener.text == "a")
        speech.voice.stop()
        voices.let(5)  # the draw at hand may still be made, and no other
        speech.listener.wait_for("resting")
        assert speech.listener.text in ("a", "ab")


def test_a_knob_acts_on_the_very_next_character() -> None:
    voices = FakeModelLoader("abcdefghij", gated=True)
    with Speech(voices, length=6, rest=True) as speech:
        for number, temperature in enumerate((0.5, 1.0, 1.5), 1):
            speech.settings = replace(speech.settings, temperature=temperature)
            speech.voice.step()
            voices.let(1)
            speech.listener.wait(lambda number=number: len(speech.listener.text) == number)
        assert [settings.temperature for settings in voices.streams[0].used] == [0.5, 1.0, 1.5]


def test_a_character_can_be_chosen_by_hand() -> None:
    with Speech(FakeModelLoader("abc"), rest=True) as speech:
        assert speech.listener.wait_for("resting").outlook is not None
        speech.voice.step("z")
        speech.voice.step()
        speech.listener.wait(lambda: len(speech.listener.text) == 2)
        assert speech.listener.text == "zb"


def test_a_passage_ends_at_the_text_it_is_to_end_at() -> None:
    with Speech(FakeModelLoader("Ay me!\n\nmore"), length=100, until="\n\n") as speech:
        assert speech.listener.wait_for("ended").finish == "stop"
        assert speech.listener.text == "Ay me!\n\n"
        speech.voice.go_on()
        speech.listener.wait(lambda: speech.listener.text.count("Ay me!") == 2)


def test_while_it_rests_the_outlook_follows_the_knobs() -> None:
    with Speech(FakeModelLoader("abc"), rest=True) as speech:
        speech.listener.wait_for("resting")
        speech.settings = replace(speech.settings, top_k=2)
        speech.voice.look()
        speech.listener.wait(lambda: _cut(speech.listener.news[-1]) == 8)


def _cut(news: News) -> int:
    return 0 if news.outlook is None else sum(choice.cut for choice in news.outlook.choices)


def test_the_length_is_read_before_every_character() -> None:
    voices = FakeModelLoader("abcdefghij", gated=True)
    with Speech(voices, length=10) as speech:
        voices.let(1)
        speech.listener.wait(lambda: speech.listener.text == "a")
        speech.settings = replace(speech.settings, length=3)
        voices.let(9)
        speech.listener.wait_for("ended")
        assert speech.listener.text == "abc"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CheckpointError("There is no run lear."), "There is no run lear."),
        (MemoryError(), "There is not enough memory to load this model; choose a smaller one with o."),
        (RuntimeError("odd"), "The model could not speak: RuntimeError: odd"),
    ],
)
def test_a_mishap_is_one_sentence(error: Exception, sentence: str) -> None:
    listener = Listener()

    def fail(settings: Callable[[], SamplingConfig]) -> Opened:
        raise error

    voice = Voice(fail, SamplingConfig, on_news=listener)
    voice.start()
    assert listener.wait_for("failed").error == sentence
    voice.join(PATIENCE)
    assert not voice.is_alive()


def test_characters_travel_together() -> None:
    """However fast the model, the screen hears of it about thirty times a second."""
    with Speech(FakeModelLoader("abcdefghij"), length=5_000) as speech:
        speech.listener.wait_for("ended")
        assert len(speech.listener.text) == 5_000
        assert len(speech.listener.news) < 1_000


def test_nothing_is_announced_twice_before_it_is_collected() -> None:
    calls: list[Voice] = []
    voice = Voice(
        lambda settings: FakeModelLoader("abc").open("pretrained", "", settings),
        lambda: SamplingConfig(length=50),
        on_news=calls.append,
        pace=0,
    )
    voice.start()
    voice.join(0.3)
    assert len(calls) == 1
    voice.close()
    voice.join(PATIENCE)
    assert len(voice.collect().drawn) == 50
