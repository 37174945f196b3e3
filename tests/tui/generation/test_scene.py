"""A scene as data: turns, rewinding, and the script it is kept as."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakegpt.tui.generation.scene import Scene, Speech, part_name
from shakegpt.tui.generation.scene_pane import cues

SCENE = Scene("JULIET", "ROMEO").plus("JULIET", "What man art thou?").plus("ROMEO", "By a name\nI know not how.")


def test_the_cue_is_the_scene_so_far_and_the_name_of_the_model() -> None:
    assert SCENE.plus("JULIET", "How camest thou hither?").cue == (
        "JULIET:\nWhat man art thou?\n\nROMEO:\nBy a name\nI know not how.\n\n"
        "JULIET:\nHow camest thou hither?\n\nROMEO:\n"
    )


def test_a_blank_line_inside_a_speech_would_end_it_and_goes() -> None:
    scene = Scene().plus("ROMEO", "  Ay me!\n\n \nSo. \n")
    assert scene.speeches == (Speech("ROMEO", "Ay me!\nSo."),)


def test_rewinding_keeps_what_came_before() -> None:
    assert SCENE.rewound(1).speeches == SCENE.speeches[:1]
    assert SCENE.rewound(0).script == ""


_lines = st.lists(st.text("abc ,.!", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["ROMEO", "JULIET"]), _lines), min_size=1, max_size=6))
def test_a_script_reads_back_as_the_scene_it_was(turns: list[tuple[str, list[str]]]) -> None:
    scene = Scene("JULIET", "ROMEO")
    for name, lines in turns:
        scene = scene.plus(name, "\n".join(lines))
    assert Scene.parse(scene.script, theirs="ROMEO").speeches == scene.speeches


@pytest.mark.parametrize("script", ["", "\n\n", "no heading here", "A NAME:"])
def test_any_text_reads_as_some_scene(script: str) -> None:
    assert Scene.parse(script).script.count("\n\n") == len(Scene.parse(script).speeches)


def test_who_speaks_last_in_a_script_is_the_model() -> None:
    scene = Scene.parse("NURSE:\nMadam!\n\nJULIET:\nAnon!\n\n")
    assert (scene.yours, scene.theirs) == ("NURSE", "JULIET")


@pytest.mark.parametrize(("typed", "name"), [(" ROMEO: ", "ROMEO"), ("First\n Citizen", "First Citizen"), (":", "")])
def test_a_part_is_named_as_a_play_prints_it(typed: str, name: str) -> None:
    assert part_name(typed) == name


def test_the_cues_of_a_replay_are_the_lines_of_the_user() -> None:
    scene = SCENE.plus("ROMEO", "Unasked.").plus("JULIET", "Go.").plus("ROMEO", "Gone.")
    assert cues(scene, 0) == ["What man art thou?", "", "Go."]
    assert cues(scene, 1) == ["", "", "Go."]
    assert cues(Scene(), 0) == []
