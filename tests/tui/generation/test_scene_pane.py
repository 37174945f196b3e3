"""A scene played with the model, by key."""

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from shakegpt.tui.generation.cast_screen import CastScreen
from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.scene import Scene, Speech
from shakegpt.tui.generation.scene_pane import ScenePane
from tests.tui.fake_model_app import FakeModelApp, until, until_generated
from tests.tui.fake_model_loader import FakeModelLoader

ANSWER = "By a name\nI know not how."


def answers(*, gated: bool = False) -> FakeModelLoader:
    return FakeModelLoader(f"{ANSWER}\n\n", gated=gated)


async def open_scene(pilot: Pilot[object], app: FakeModelApp) -> ScenePane:
    """Open a scene with the parts on offer."""
    await pilot.press("s")
    await until(pilot, lambda: isinstance(app.screen, CastScreen))
    await pilot.press("enter", "enter")
    await until(pilot, lambda: app.screen is app.generation and app.generation.line.has_focus)
    return app.generation.scene


async def say(pilot: Pilot[object], app: FakeModelApp, line: str) -> None:
    app.generation.line.text = line
    app.generation.line.focus()
    await pilot.press("enter")
    await until_generated(pilot, app)


async def test_a_line_is_set_as_a_speech_and_answered() -> None:
    async with (app := FakeModelApp(answers())).run_test(size=(80, 24)) as pilot:
        pane = await open_scene(pilot, app)
        await say(pilot, app, "What man art thou?")
        assert pane.scene.speeches == (Speech("JULIET", "What man art thou?"), Speech("ROMEO", ANSWER))
        assert pane.current.transcript.text == f"JULIET\nWhat man art thou?\n\nROMEO\n{ANSWER}\n\n"


async def test_the_scene_so_far_is_the_context() -> None:
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        await open_scene(pilot, app)
        await say(pilot, app, "What man art thou?")
        await say(pilot, app, "Whence?")
        _, prompt = app.fake_loader.opened[-1]
        assert prompt == f"JULIET:\nWhat man art thou?\n\nROMEO:\n{ANSWER}\n\nJULIET:\nWhence?\n\nROMEO:\n"


async def test_a_speech_that_finds_no_end_ends_at_the_length() -> None:
    async with (app := FakeModelApp(FakeModelLoader("on and "))).run_test() as pilot:
        pane = await open_scene(pilot, app)
        await say(pilot, app, "Speak!")
        assert len(pane.scene.speeches[-1].text) <= 400
        assert pane.current.state is GenerationState.FINISHED


async def test_the_names_are_chosen_from_those_the_corpus_knows() -> None:
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, CastScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "MERCUTIO" in app.generation.scene.names)
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, CastScreen))
        await pilot.press(*"merc")
        options = app.screen.query_one(OptionList)
        await until(pilot, lambda: options.option_count == 1)
        await pilot.press("down", "enter")
        await until(pilot, lambda: options.option_count == 4)
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: app.screen is app.generation)
        pane = app.generation.scene
        await until(pilot, lambda: (pane.scene.user_part, pane.scene.model_part) == ("MERCUTIO", "JULIET"))
        label = app.generation.query_one("PromptBar > Static", Static)
        await until(pilot, lambda: str(label.render()) == "MERCUTIO › ")
        assert "you are MERCUTIO, the model is JULIET" in str(app.generation.scene.current.border_title)


async def test_the_first_casting_offers_the_names_of_the_corpora() -> None:
    """It offered six names that are always there, and those of the corpora from the second casting on."""
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, CastScreen))
        options = app.screen.query_one(OptionList)
        await until(pilot, lambda: options.option_count == 4)
        assert str(options.get_option_at_index(3).prompt) == "MERCUTIO"


async def test_two_parts_of_one_name_are_refused() -> None:
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, CastScreen))
        await pilot.press(*"ROMEO", "enter", "enter")
        await pilot.pause()
        assert isinstance(app.screen, CastScreen)


async def test_a_scene_is_rewound_and_the_line_comes_back() -> None:
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        pane = await open_scene(pilot, app)
        await say(pilot, app, "What man art thou?")
        await say(pilot, app, "Whence?")
        await pilot.press("escape", "left", "left", "left")
        assert pane.selected == 1
        await pilot.press("backspace")
        assert len(pane.scene.speeches) == 2
        assert pane.current.transcript.text == f"JULIET\nWhat man art thou?\n\nROMEO\n{ANSWER}\n\n"
        assert app.generation.line.text == "Whence?"


async def test_an_answer_is_given_again_and_with_another_seed() -> None:
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        pane = await open_scene(pilot, app)
        app.generation.choose_seed = lambda: 5
        await say(pilot, app, "What man art thou?")
        for key in ("escape", "a", "n"):
            await pilot.press(key)
            await until_generated(pilot, app)
        assert app.fake_loader.seeds == [1337, 1337, 5]
        assert len({prompt for _, prompt in app.fake_loader.opened}) == 1
        assert len(pane.scene.speeches) == 2


async def test_a_scene_is_replayed_with_the_lines_as_they_were() -> None:
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        pane = await open_scene(pilot, app)
        await say(pilot, app, "What man art thou?")
        await say(pilot, app, "Whence?")
        before = pane.scene
        app.fake_loader.default = "Other words.\n\n"
        await pilot.press("escape", *("left",) * 4, "a")
        await until(pilot, lambda: len(pane.scene.speeches) == 4 and not pane.busy)
        assert [speech.name for speech in pane.scene.speeches] == [speech.name for speech in before.speeches]
        assert {speech.text for speech in pane.scene.speeches if speech.name == "ROMEO"} == {"Other words."}
        assert [s.text for s in pane.scene.speeches if s.name == "JULIET"] == ["What man art thou?", "Whence?"]


async def test_a_stopped_answer_stays_as_far_as_it_came() -> None:
    loader = answers(gated=True)
    async with (app := FakeModelApp(loader)).run_test() as pilot:
        pane = await open_scene(pilot, app)
        app.generation.line.text = "What?"
        await pilot.press("enter")
        loader.let(9)
        await until(pilot, lambda: pane.current.generated == "By a name")
        await pilot.press("escape", "space")
        loader.let(1)
        await until_generated(pilot, app)
        loader.let(1_000)
        await say(pilot, app, "Go on.")
        assert [speech.text for speech in pane.scene.speeches] == ["What?", "By a name", "Go on.", ANSWER]


async def test_nothing_is_lost_when_the_model_does_not_know_a_character() -> None:
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        pane = await open_scene(pilot, app)
        await say(pilot, app, "Café?")
        await until(pilot, lambda: pane.current.state is GenerationState.FAILED)
        assert pane.scene.speeches == (Speech("JULIET", "Café?"),)
        assert "ROMEO" not in pane.current.transcript.text
        await pilot.press("escape", "backspace")
        assert app.generation.line.text == "Café?"


async def test_a_scene_is_saved_as_a_script_and_gone_on_with(home: Path) -> None:
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        pane = await open_scene(pilot, app)
        await say(pilot, app, "What man art thou?")
        await pilot.press("escape", "w")
        path = home / "texts" / "scene-juliet-and-romeo-1.txt"
        assert path.read_text(encoding="utf-8") == f"JULIET:\nWhat man art thou?\n\nROMEO:\n{ANSWER}\n\n"
        pane.open(Scene())
        assert len(pane.current.transcript) == 0
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, CastScreen))
        options = app.screen.query_one(OptionList)
        options.focus()
        await pilot.press("end", "enter")
        await until(pilot, lambda: [speech.text for speech in pane.scene.speeches] == ["What man art thou?", ANSWER])


async def test_leaving_the_scene_keeps_both_pages() -> None:
    async with (app := FakeModelApp(answers())).run_test() as pilot:
        await pilot.press("enter")
        await until_generated(pilot, app)
        pane = await open_scene(pilot, app)
        await say(pilot, app, "What man art thou?")
        await pilot.press("escape", "s")
        assert app.generation.left.display
        assert app.generation.left.transcript.text.startswith("ROMEO:\n")
        await pilot.press("s")
        assert pane.display
        assert len(pane.scene.speeches) == 2


async def test_the_name_that_was_chosen_is_taken_though_other_names_are_offered_by_now() -> None:
    async with (app := FakeModelApp()).run_test() as pilot:
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, CastScreen))
        screen = app.screen
        assert isinstance(screen, CastScreen)
        await until(pilot, lambda: list(app.generation.scene.names) == app.fake_loader.speaker_names())
        options = screen.query_one(OptionList)
        options.highlighted = 2
        late = OptionList.OptionSelected(options, options.get_option_at_index(2), 2)
        screen.offer(["NURSE", "LEAR", "JULIET"])
        assert options.highlighted == 0, "what was marked stays so"
        screen.post_message(late)
        await until(pilot, lambda: screen._user_part.value == "NURSE")
