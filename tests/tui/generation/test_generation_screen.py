"""The generation screen by its keys."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from shakegpt.config import SamplingConfig
from shakegpt.tui.dialogs.choose_model import ChooseModelScreen
from shakegpt.tui.generation import text_pane
from shakegpt.tui.generation.cast_screen import CastScreen
from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.knobs import KNOBS, KNOBS_BY_FIELD, SAMPLING_PRESETS
from shakegpt.tui.generation.knobs_bar import KnobsBar
from shakegpt.tui.generation.model_status import ModelStatus
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.side_column import SideColumn
from shakegpt.tui.generation.transcript import Transcript
from shakegpt.tui.messages import GenerateFrom
from shakegpt.tui.preferences import DEFAULT_SAMPLING
from tests.tui.fake_model_app import FakeModelApp, until, until_generated
from tests.tui.fake_model_loader import FakeModelLoader

VERSE = "O, speak again, bright angel! for thou art\nAs glorious to this night.\n"


def notice(app: FakeModelApp) -> str:
    return str(app.generation.notice.render())


def status(app: FakeModelApp) -> str:
    return app.generation.query_one(ModelStatus).render_line(0).text


def odds(panel: NextCharacter) -> list[str]:
    return [panel.render_line(y).text for y in range(panel.size.height)]


def knobs(app: FakeModelApp) -> str:
    return app.generation.query_one(KnobsBar).render_line(0).text


async def test_enter_alone_generates() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test(size=(80, 24)) as pilot:
        assert not isinstance(app.focused, Input)
        await pilot.press("enter")
        await until_generated(pilot, app)
        left = app.generation.left
        assert left.generated == (VERSE * 10)[:400]
        assert left.transcript.text.startswith(f"ROMEO:\n{VERSE}")


async def test_enter_goes_on_at_the_end() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.generation.left.generated) == 800)
        assert len(app.fake_loader.opened) == 1, "it is the same stream"


async def test_a_pause_keeps_the_text_and_it_goes_on_from_there() -> None:
    loader = FakeModelLoader(VERSE, gated=True)
    async with (app := FakeModelApp(loader)).run_test() as pilot:
        await pilot.press("enter")
        loader.let(10)
        await until(pilot, lambda: app.generation.left.generated == VERSE[:10])
        await pilot.press("space")
        loader.let(1)
        await until_generated(pilot, app)
        kept = app.generation.left.generated
        assert VERSE.startswith(kept)
        assert len(kept) <= 11
        await pilot.press("space")
        loader.let(1_000)
        await until_generated(pilot, app)
        assert app.generation.left.generated == (VERSE * 10)[:400]


async def test_again_generates_with_the_same_seed_and_n_with_another() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        app.generation.choose_seed = lambda: 99
        for key in ("enter", "a", "n", "a"):
            await pilot.press(key)
            await until_generated(pilot, app)
        assert app.fake_loader.seeds == [1337, 1337, 99, 99]
        assert app.generation.left.transcript.text.count("ROMEO:") == 4, "nothing that was generated is lost"


@pytest.mark.parametrize("knob", KNOBS, ids=lambda knob: knob.field)
async def test_each_knob_turns_by_its_letter_and_its_value_is_in_sight(knob: Any) -> None:
    async with (app := FakeModelApp()).run_test(size=(80, 24)) as pilot:
        expected = app.generation.left.settings
        for clicks in (-1, -1, 1):
            await pilot.press(knob.down_key if clicks < 0 else knob.up_key)
            expected = knob.turned(expected, clicks)
            assert app.generation.left.settings == expected
            assert re.search(rf"{knob.short} .?{knob.show(expected)}", knobs(app))


async def test_a_knob_turned_in_mid_stream_acts_on_the_next_character() -> None:
    loader = FakeModelLoader(VERSE, gated=True)
    async with (app := FakeModelApp(loader)).run_test() as pilot:
        await pilot.press("enter")
        loader.let(3)
        await until(pilot, lambda: len(app.generation.left.generated) == 3)
        await pilot.press("T")
        loader.let(3)
        await until(pilot, lambda: len(app.generation.left.generated) == 6)
        used = [settings.temperature for settings in loader.streams[0].used]
        # The draw that was already waiting took its settings when it was let go.
        assert used == [0.8, 0.8, 0.8, 0.85, 0.85, 0.85]
        loader.let(10_000)


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


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (["N", "colon", "enter"], "N:"),
        (["right", "N", "enter"], "ROMEO:\nN"),
        (["left", "N", "enter"], "NROMEO:\n"),
        (["ctrl+j", "N", "enter"], "\nN"),
        (["i", "right", "enter"], "i"),
        (["escape", "enter"], "ROMEO:\n"),
    ],
    ids=lambda keys: "-".join(keys) if isinstance(keys, list) else "",
)
async def test_what_is_typed_takes_the_place_of_the_opening_line_and_an_arrow_keeps_it(
    keys: list[str], text: str
) -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("i")
        await until(pilot, lambda: app.generation.prompt.has_focus)
        assert "another opening line" in notice(app)
        await pilot.press(*keys)
        await until_generated(pilot, app)
        assert app.fake_loader.opened == [("pretrained", text)]


async def test_another_model_speaks_at_once_where_the_first_does_not_know_the_prompt() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        app.fake_loader.known.discard("R")
        await pilot.press("enter")
        await until(pilot, lambda: app.generation.left.state is GenerationState.FAILED)
        app.fake_loader.known.add("R")
        app.generation.use_model("macbeth@500")
        await until(pilot, lambda: app.generation.left.count > 0)
        assert app.generation.notice.sentence == ""


async def test_in_a_scene_the_keys_that_help_are_those_of_a_scene() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, CastScreen))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: app.generation.line.has_focus)
        await pilot.press("é", "enter")
        await until(pilot, lambda: "backspace takes the line back" in notice(app))
        await pilot.press("escape", "backspace")
        assert app.generation.line.text == "é"
        assert app.generation.scene.scene.speeches == ()


async def test_the_prompt_is_used_and_remembered() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("i")
        app.generation.prompt.text = "NURSE:\n"
        await pilot.press("enter")
        await until_generated(pilot, app)
        assert app.fake_loader.opened == [("pretrained", "NURSE:\n")]
        assert app.context.preferences.prompts[0] == "NURSE:\n"
        assert not isinstance(app.focused, Input), "after Enter the keys turn knobs"


async def test_a_changed_prompt_starts_again() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("i", "right", "X", "escape", "enter")
        await until_generated(pilot, app)
        assert [prompt for _, prompt in app.fake_loader.opened] == ["ROMEO:\n", "ROMEO:\nX"]


async def test_presets_go_round_and_reset_puts_all_back() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        names = []
        for _ in range(4):
            await pilot.press("v")
            names.append(status(app).split()[0])
        assert names == ["wild", "greedy", "careful", "balanced"]
        await pilot.press("V")
        assert app.generation.left.settings == replace(SamplingConfig(), **SAMPLING_PRESETS["careful"])
        await pilot.press("0")
        assert app.generation.left.settings == DEFAULT_SAMPLING


async def test_a_character_that_the_model_does_not_know_is_a_sentence() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("i", "right", "é", "enter")
        await until(pilot, lambda: app.generation.left.state is GenerationState.FAILED)
        await until(pilot, lambda: "never seen 'é': i writes another opening line, c chooses" in notice(app))
        assert app.generation.prompt.text == "ROMEO:\né"
        await pilot.press("i", "right", "backspace", "enter")
        await until_generated(pilot, app)
        assert app.generation.left.state is GenerationState.FINISHED
        assert app.generation.notice.sentence == ""


async def test_a_model_that_is_gone_is_a_sentence_and_the_text_stays() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        app.fake_loader.missing.add("lear")
        app.generation.post_message(GenerateFrom("lear"))
        await until(pilot, lambda: "There is no run lear" in notice(app))
        assert VERSE in app.generation.left.transcript.text


async def test_it_generates_from_the_model_that_another_screen_names() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        app.generation.post_message(GenerateFrom("macbeth@500"))
        await until(pilot, lambda: bool(app.fake_loader.opened))
        await until_generated(pilot, app)
        assert app.fake_loader.opened == [("macbeth@500", "ROMEO:\n")]


async def test_what_still_comes_from_the_model_before_does_not_undo_the_choice_of_another() -> None:
    loader = FakeModelLoader(VERSE, gated=True)
    async with (app := FakeModelApp(loader)).run_test() as pilot:
        left = app.generation.left
        await pilot.press("enter")
        loader.let(5)
        await until(pilot, lambda: left.count == 5)
        await pilot.press("space")
        left.use_model("macbeth@500")
        loader.let(1)
        await until(pilot, lambda: left.state is GenerationState.PAUSED)
        assert left.model is None
        assert str(left.border_title).startswith("macbeth, checkpoint 500")
        left.resume()
        loader.let(1)
        await until(pilot, lambda: left.model is not None)
        assert "macbeth" not in str(left.border_title), "the text goes on with the model that began it"
        loader.let(1_000)


async def test_a_sentence_goes_by_itself_but_takes_no_newer_one_with_it() -> None:
    async with (app := FakeModelApp()).run_test():
        notice = app.generation.notice
        notice.show("one")
        notice.show("two")
        notice._expire("one")  # its timer had gone off when the other came
        assert notice.sentence == "two"
        notice._expire("two")
        assert notice.sentence == ""


async def test_c_chooses_the_model() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, ChooseModelScreen))
        await pilot.press("enter")
        assert app.generation.left.reference == "pretrained"


async def test_copying_goes_through_the_terminal_and_names_the_other_way() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        await pilot.press("y")
        assert "nothing to copy" in notice(app)
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("y")
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
        assert not app.generation.query_one(SideColumn).display
        await pilot.press("x")
        assert app.generation.query_one(SideColumn).display
        app.generation.apply(SamplingConfig(top_k=3))
        await pilot.press("enter")
        await until_generated(pilot, app)
        await until(pilot, lambda: panel._view is not None)
        await pilot.pause()
        lines = [line.strip() for line in odds(panel)]
        assert [("░" in line) for line in lines[:10]] == [False] * 3 + [True] * 7
        assert [line[:2] for line in lines[:10]] == [*(f"{rank} " for rank in range(1, 10)), "10"]
        assert lines[0].endswith("50 %")
        assert lines[10] == "cut ░░ 12 %"
        assert lines[11] == "1.2 bits: about 2 choices"


async def test_a_frozen_text_takes_characters_by_hand() -> None:
    async with (app := FakeModelApp(FakeModelLoader("abc"))).run_test(size=(120, 40)) as pilot:
        await pilot.press("f")
        panel = app.generation.query_one(NextCharacter)
        await until(pilot, lambda: panel._view is not None)
        assert app.generation.left.generated == ""
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.generation.left.generated == "e")
        await pilot.press("full_stop")
        await until(pilot, lambda: app.generation.left.generated == "eb")
        await pilot.press("f")
        assert isinstance(app.focused, Transcript)
        await pilot.press("space")
        await until(pilot, lambda: len(app.generation.left.generated) > 100)
        assert app.generation.left.generated.startswith("ebcabc")


async def test_a_single_step_pauses_what_is_being_generated() -> None:
    loader = FakeModelLoader("abcdefgh", gated=True)
    async with (app := FakeModelApp(loader)).run_test() as pilot:
        await pilot.press("enter")
        loader.let(2)
        await until(pilot, lambda: app.generation.left.generated == "ab")
        await pilot.press("full_stop")
        loader.let(2)
        await until_generated(pilot, app)
        assert app.generation.left.state is GenerationState.PAUSED
        assert app.generation.left.generated in ("abc", "abcd")


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
        await pilot.press("T", "O")
        assert app.context.preferences.sampling.temperature == pytest.approx(0.85)


async def test_leaving_the_app_in_mid_stream_ends_the_thread() -> None:
    loader = FakeModelLoader(VERSE, gated=True)
    async with (app := FakeModelApp(loader)).run_test() as pilot:
        await pilot.press("enter")
        loader.let(5)
        await until(pilot, lambda: len(app.generation.left.generated) == 5)
        thread = app.generation.left._thread
    loader.let(1)
    assert thread is not None
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("width", [60, 80, 200])
async def test_every_value_is_in_sight_at_every_width(width: int) -> None:
    async with (app := FakeModelApp()).run_test(size=(width, 20)):
        line = knobs(app)
        for knob in KNOBS:
            assert knob.show(app.generation.left.settings) in re.split(r"[ {}<>()]", line)


async def test_what_an_endless_text_takes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_pane, "LONGEST_TEXT", 1_000)
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test() as pilot:
        app.generation.apply(SamplingConfig(length=5_000))
        await pilot.press("enter")
        await until_generated(pilot, app)
        left = app.generation.left
        assert left.count == 5_000
        assert left.is_cut
        assert left.text == left.generated == (VERSE * 100)[4_000:5_000]
        assert len(left.transcript) <= 1_250
        await pilot.press("w")
        assert "The last 1,000 letters are saved" in notice(app)


async def test_enter_while_it_speaks_says_which_keys_act() -> None:
    loader = FakeModelLoader(VERSE, gated=True)
    async with (app := FakeModelApp(loader)).run_test() as pilot:
        await pilot.press("enter", "enter")
        assert "n begins a new text" in notice(app)
        assert len(loader.opened) <= 1
        loader.let(1_000)


async def test_a_notice_goes_when_it_is_no_longer_so() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        sentence = app.generation.notice
        await pilot.press("i", "é", "enter")
        await until(pilot, lambda: "never seen" in sentence.sentence)
        await pilot.press("i", "right", "backspace")
        assert sentence.sentence == "", "the prompt that it is about has changed"
        await pilot.press("escape", "F")
        assert "Speed: slowly, 10 letters a second" in sentence.sentence
        await pilot.press("T")
        assert sentence.sentence == ""
        assert notice(app) == KNOBS_BY_FIELD["temperature"].explanation
        await pilot.press("d")
        assert "framed text" in sentence.sentence
        await pilot.press("d")
        assert sentence.sentence == ""
