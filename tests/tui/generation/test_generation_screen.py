"""The generation screen by its keys."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_model_app import FakeModelApp, until, until_generated
from fake_model_loader import FakeModelLoader
from textual.widgets import Input, Static

from shakegpt.config import SamplingConfig
from shakegpt.tui.dialogs.choose_model import ChooseModelScreen
from shakegpt.tui.generation.knobs import KNOBS, VOICES
from shakegpt.tui.generation.knobs_bar import KnobsBar
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.transcript import Transcript
from shakegpt.tui.messages import GenerateFrom

VERSE = "O, speak again, bright angel! for thou art\nAs glorious to this night.\n"


def notice(app: FakeModelApp) -> str:
    return str(app.generation.query_one("#notice", Static).render())


def knobs(app: FakeModelApp) -> str:
    return app.generation.query_one(KnobsBar).render_line(0).text


async def test_enter_alone_makes_it_speak() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test(size=(80, 24)) as pilot:
        assert not isinstance(app.focused, Input)
        await pilot.press("enter")
        await until_generated(pilot, app)
        left = app.generation.left
        assert left.drawn == (VERSE * 10)[:400]
        assert left.transcript.text.startswith(f"ROMEO:\n{VERSE}")


async def test_enter_goes_on_where_it_ended() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.generation.left.drawn) == 800)
        assert len(app.fake_loader.opened) == 1, "it is the same stream"


async def test_a_stop_keeps_the_text_and_it_goes_on_from_there() -> None:
    voices = FakeModelLoader(VERSE, gated=True)
    async with (app := FakeModelApp(voices)).run_test() as pilot:
        await pilot.press("enter")
        voices.let(10)
        await until(pilot, lambda: app.generation.left.drawn == VERSE[:10])
        await pilot.press("space")
        voices.let(1)
        await until_generated(pilot, app)
        kept = app.generation.left.drawn
        assert VERSE.startswith(kept)
        assert len(kept) <= 11
        await pilot.press("space")
        voices.let(1_000)
        await until_generated(pilot, app)
        assert app.generation.left.drawn == (VERSE * 10)[:400]


async def test_again_speaks_with_the_same_seed_and_anew_with_another() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        app.generation.choose_seed = lambda: 99
        for key in ("enter", "r", "n", "r"):
            await pilot.press(key)
            await until_generated(pilot, app)
        assert app.fake_loader.seeds == [1337, 1337, 99, 99]
        assert app.generation.left.transcript.text.count("ROMEO:") == 4, "nothing that was spoken is lost"


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.field)
async def test_each_knob_turns_by_its_letter_and_its_value_is_in_sight(knob: Any) -> None:
    async with (app := FakeModelApp()).run_test(size=(80, 24)) as pilot:
        expected = SamplingConfig()
        for clicks in (-1, -1, 1):
            await pilot.press(knob.key if clicks < 0 else knob.key.upper())
            expected = knob.turned(expected, clicks)
            assert app.generation.left.settings == expected
            assert f"{knob.label} {knob.show(expected)}" in knobs(app)


async def test_a_knob_turned_in_mid_stream_acts_on_the_next_character() -> None:
    voices = FakeModelLoader(VERSE, gated=True)
    async with (app := FakeModelApp(voices)).run_test() as pilot:
        await pilot.press("enter")
        voices.let(3)
        await until(pilot, lambda: len(app.generation.left.drawn) == 3)
        await pilot.press("T")
        voices.let(3)
        await until(pilot, lambda: len(app.generation.left.drawn) == 6)
        used = [settings.temperature for settings in voices.streams[0].used]
        # The draw that was already waiting took its settings when it was let go.
        assert used == [0.8, 0.8, 0.8, 0.85, 0.85, 0.85]
        voices.let(10_000)


async def test_the_keys_write_in_the_prompt_while_it_has_the_focus_and_esc_leaves_it() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("i")
        app.generation.prompt.text = ""
        keys = ["t", "T", "k", "p", "space", "1", "2", "3", "0", "q", "r", "x", "question_mark"]
        await pilot.press(*keys)
        assert app.generation.prompt.text == "tTkp 1230qrx?"
        assert app.generation.left.settings == SamplingConfig()
        assert app.current_mode == "generation"
        await pilot.press("escape", "T")
        assert app.generation.left.settings.temperature == pytest.approx(0.85)
        assert app.generation.prompt.text == "tTkp 1230qrx?", "nothing written is lost"


async def test_the_prompt_is_spoken_from_and_remembered() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("i")
        app.generation.prompt.text = "NURSE:\n"
        await pilot.press("enter")
        await until_generated(pilot, app)
        assert app.fake_loader.opened == [("pretrained", "NURSE:\n")]
        assert app.context.preferences.prompts[0] == "NURSE:\n"
        assert not isinstance(app.focused, Input), "after Enter the keys turn knobs"


async def test_a_changed_prompt_begins_anew() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("i", "X", "escape", "enter")
        await until_generated(pilot, app)
        assert [prompt for _, prompt in app.fake_loader.opened] == ["ROMEO:\n", "ROMEO:\nX"]


async def test_voices_go_round_and_reset_puts_all_back() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        names = []
        for _ in range(4):
            await pilot.press("v")
            names.append(knobs(app).split()[-1])
        assert names == ["balanced", "wild", "greedy", "careful"]
        await pilot.press("V")
        assert app.generation.left.settings == replace(SamplingConfig(), **VOICES["greedy"])
        await pilot.press("0")
        assert app.generation.left.settings == SamplingConfig()


async def test_a_character_that_the_model_does_not_know_is_a_sentence() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("i", "é", "enter")
        await until(pilot, lambda: app.generation.left.state == "failed")
        await until(pilot, lambda: "never seen 'é', character 8" in notice(app))
        assert app.generation.prompt.text == "ROMEO:\né"
        await pilot.press("i", "backspace", "enter")
        await until_generated(pilot, app)
        assert app.generation.left.state == "ended"
        assert notice(app) == ""


async def test_a_model_that_is_gone_is_a_sentence_and_the_text_stays() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        app.fake_loader.missing.add("lear")
        app.generation.post_message(GenerateFrom("lear"))
        await until(pilot, lambda: "There is no run lear" in notice(app))
        assert VERSE in app.generation.left.transcript.text


async def test_it_speaks_from_the_model_that_another_screen_names() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        app.generation.post_message(GenerateFrom("macbeth@500"))
        await until(pilot, lambda: bool(app.fake_loader.opened))
        await until_generated(pilot, app)
        assert app.fake_loader.opened == [("macbeth@500", "ROMEO:\n")]


async def test_o_chooses_the_model() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, ChooseModelScreen))
        await pilot.press("enter")
        assert app.generation.left.reference == "pretrained"


async def test_copying_goes_through_the_terminal_and_names_the_other_way() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        await pilot.press("c")
        assert "nothing to copy" in notice(app)
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("c")
        assert app.clipboard == "ROMEO:\n" + (VERSE * 10)[:400]
        assert "w saves" in notice(app)


async def test_saving_says_where(home: Path) -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("w")
        path = home / "texts" / "romeo-1.txt"
        assert "romeo-1.txt" in notice(app)
        assert path.read_text(encoding="utf-8").startswith(f"ROMEO:\n{VERSE}")


async def test_a_text_that_cannot_be_saved_is_a_sentence(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "texts").write_text("in the way")
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("w")
        assert "could not be saved" in notice(app)


async def test_the_panel_shows_what_was_cut() -> None:
    async with (app := FakeModelApp()).run_test(size=(120, 40)) as pilot:
        panel = app.generation.query_one(NextCharacter)
        assert not panel.display
        await pilot.press("x")
        assert panel.display
        app.generation._set(SamplingConfig(top_k=3))
        await pilot.press("enter")
        await until_generated(pilot, app)
        await until(pilot, lambda: panel._outlook is not None)
        await pilot.pause()
        lines = [panel.render_line(y).text for y in range(2, 12)]
        assert [("cut" in line) for line in lines] == [False] * 3 + [True] * 7
        assert "1.25 bits" in panel.render_line(0).text


async def test_a_frozen_voice_takes_characters_by_hand() -> None:
    async with (app := FakeModelApp(FakeModelLoader("abc"))).run_test(size=(120, 40)) as pilot:
        await pilot.press("f")
        panel = app.generation.query_one(NextCharacter)
        await until(pilot, lambda: panel._outlook is not None)
        assert app.generation.left.drawn == ""
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.generation.left.drawn == "e")
        await pilot.press("full_stop")
        await until(pilot, lambda: app.generation.left.drawn == "eb")
        await pilot.press("f")
        assert isinstance(app.focused, Transcript)
        await pilot.press("space")
        await until(pilot, lambda: len(app.generation.left.drawn) > 100)
        assert app.generation.left.drawn.startswith("ebcabc")


async def test_a_single_step_stops_what_is_being_spoken() -> None:
    voices = FakeModelLoader("abcdefgh", gated=True)
    async with (app := FakeModelApp(voices)).run_test() as pilot:
        await pilot.press("enter")
        voices.let(2)
        await until(pilot, lambda: app.generation.left.drawn == "ab")
        await pilot.press("full_stop")
        voices.let(2)
        await until_generated(pilot, app)
        assert app.generation.left.state == "resting"
        assert app.generation.left.drawn in ("abc", "abcd")


async def test_the_tint_colours_by_surprise() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        transcript = app.generation.left.transcript
        before = len({segment.style for segment in transcript.render_line(1)})
        await pilot.press("u")
        assert len({segment.style for segment in transcript.render_line(1)}) > before
        await pilot.press("u")
        assert len({segment.style for segment in transcript.render_line(1)}) == before


async def test_settings_are_remembered() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("T", "K")
        assert app.context.preferences.sampling.temperature == pytest.approx(0.85)


async def test_leaving_the_app_in_mid_stream_ends_the_voice() -> None:
    voices = FakeModelLoader(VERSE, gated=True)
    async with (app := FakeModelApp(voices)).run_test() as pilot:
        await pilot.press("enter")
        voices.let(5)
        await until(pilot, lambda: len(app.generation.left.drawn) == 5)
        voice = app.generation.left._voice
    voices.let(1)
    assert voice is not None
    voice.join(20)
    assert not voice.is_alive()


@pytest.mark.parametrize("width", [60, 80, 200])
async def test_every_value_is_in_sight_at_every_width(width: int) -> None:
    async with (app := FakeModelApp()).run_test(size=(width, 20)):
        line = knobs(app)
        for knob in KNOBS:
            assert knob.show(SamplingConfig()) in line.split()
