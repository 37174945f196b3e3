"""A scene as data: speeches, rewinding, and the script that it is saved as."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.tui.generation.scene import Scene, Speech, part_name

SCENE = Scene(
    "JULIET", "ROMEO", (Speech("JULIET", "What man art thou?"), Speech("ROMEO", "By a name\nI know not how."))
)


def test_the_prompt_is_the_scene_so_far_and_the_name_of_the_model() -> None:
    assert SCENE.with_speech("JULIET", "How camest thou hither?").prompt == (
        "JULIET:\nWhat man art thou?\n\nROMEO:\nBy a name\nI know not how.\n\n"
        "JULIET:\nHow camest thou hither?\n\nROMEO:\n"
    )


def test_a_blank_line_inside_a_speech_is_left_out() -> None:
    scene = Scene().with_speech("ROMEO", "  Ay me!\n\n \nSo. \n")
    assert scene.speeches == (Speech("ROMEO", "Ay me!\nSo."),)


def test_truncating_keeps_the_first_speeches() -> None:
    assert SCENE.truncated(1).speeches == SCENE.speeches[:1]
    assert SCENE.truncated(0).script == ""


_lines = st.lists(st.text("abc ,.!", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["ROMEO", "JULIET"]), _lines), min_size=1, max_size=6))
def test_a_script_reads_back_as_the_scene_it_was(turns: list[tuple[str, list[str]]]) -> None:
    scene = Scene("JULIET", "ROMEO")
    for name, lines in turns:
        scene = scene.with_speech(name, "\n".join(lines))
    assert Scene.parse(scene.script).speeches == scene.speeches


@pytest.mark.parametrize("script", ["", "\n\n", "no heading here", "A NAME:"])
def test_any_text_reads_as_some_scene(script: str) -> None:
    assert Scene.parse(script).script.count("\n\n") == len(Scene.parse(script).speeches)


def test_who_speaks_last_in_a_script_is_the_model() -> None:
    scene = Scene.parse("NURSE:\nMadam!\n\nJULIET:\nAnon!\n\n")
    assert (scene.user_part, scene.model_part) == ("NURSE", "JULIET")


@pytest.mark.parametrize(("typed", "name"), [(" ROMEO: ", "ROMEO"), ("First\n Citizen", "First Citizen"), (":", "")])
def test_a_part_is_named_as_a_play_prints_it(typed: str, name: str) -> None:
    assert part_name(typed) == name


def test_the_lines_of_a_replay_are_those_of_the_user() -> None:
    scene = SCENE.with_speech("ROMEO", "Unasked.").with_speech("JULIET", "Go.").with_speech("ROMEO", "Gone.")
    assert scene.user_lines(0) == ["What man art thou?", "", "Go."]
    assert scene.user_lines(1) == ["", "", "Go."]
    assert Scene().user_lines(0) == []
