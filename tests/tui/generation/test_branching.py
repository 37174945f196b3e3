"""Walking back in a text, picking another letter, and the branches that come of it."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from shakegpt.config import SamplingConfig
from shakegpt.generation.stream import Stream
from shakegpt.tui.generation import branching_pane, text_pane
from shakegpt.tui.generation.branches_pane import BranchesPane
from shakegpt.tui.generation.branching_pane import BranchingTextPane
from shakegpt.tui.generation.next_character import NextCharacter
from shakegpt.tui.generation.text_screen import SaveBranchesScreen
from tests.tui.fake_model_app import FakeModelApp, until, until_generated
from tests.tui.fake_model_loader import FakeModelLoader
from tests.tui.generation.test_model_loader import FakeStore, language_model, loader_of

LENGTH = 40


def text_of(app: FakeModelApp) -> BranchingTextPane:
    current = app.generation.pane.current
    assert isinstance(current, BranchingTextPane)
    return current


async def walk_back(pilot: Pilot[Any], app: FakeModelApp, steps: int) -> None:
    """Freeze what was generated, and walk so many letters back."""
    if not isinstance(app.focused, NextCharacter):
        await pilot.press("f")
    text = text_of(app)
    before = text.count if text.position is None else text.position
    await pilot.press(*["left"] * steps)
    await until(pilot, lambda: text.next_character is not None and text.next_character.position == before - steps)


async def generate(pilot: Pilot[Any], app: FakeModelApp) -> BranchingTextPane:
    app.generation.apply(SamplingConfig(length=LENGTH, seed=7))
    await pilot.press("enter")
    await until_generated(pilot, app)
    return text_of(app)


@pytest.mark.parametrize("steps", [1, 9, LENGTH])
async def test_a_branch_is_what_a_plain_stream_writes_after_that_prefix(steps: int) -> None:
    # The window of 16 is shorter than the texts, so that streams that read from elsewhere would differ.
    async with (app := FakeModelApp(loader_of(FakeStore()))).run_test(size=(80, 24)) as pilot:
        text = await generate(pilot, app)
        first = text.generated
        await walk_back(pilot, app, steps)
        view = text.next_character
        position = LENGTH - steps
        assert view is not None
        assert view.drawn == first[position]
        model = language_model("pretrained", seed=len("pretrained"))
        plain = Stream(model, text.prompt + first[:position], text.settings).peek()
        assert [choice.character for choice in view.choices] == [choice.character for choice in plain.likeliest(10)]
        await pilot.press("enter")
        await until_generated(pilot, app)
        picked = next(choice.character for choice in view.choices if choice.character != view.drawn)
        prefix = text.prompt + first[:position] + picked
        expected = list(Stream(model, prefix, replace(text.settings, length=LENGTH)))
        assert text.generated == first[:position] + picked + "".join(character.text for character in expected)
        logs = [math.log(probability) for probability in (character.probability for character in expected)]
        logs.append(math.log(plain.model_probabilities[model.vocabulary.stoi[picked]]))
        shared = sum(log for _, log in text.branch.characters(end=position))
        assert text.branch.log_probability == pytest.approx(shared + sum(logs))
        await pilot.press("left_square_bracket")
        assert text.generated == first, "the first branch stays"
        assert text.transcript.text == text.prompt + first


async def test_a_branch_that_was_left_goes_on_as_if_it_had_not_been() -> None:
    async with (app := FakeModelApp(loader_of(FakeStore()))).run_test(size=(80, 24)) as pilot:
        text = await generate(pilot, app)
        await walk_back(pilot, app, 5)
        await pilot.press("enter")
        await until_generated(pilot, app)
        await pilot.press("left_square_bracket", "space")
        await until(pilot, lambda: text.count == 2 * LENGTH and not text.busy)
        model = language_model("pretrained", seed=len("pretrained"))
        whole = Stream(model, text.prompt, replace(text.settings, length=2 * LENGTH))
        assert text.generated == "".join(character.text for character in whole)


async def test_the_letter_that_was_taken_is_marked_and_picking_it_changes_nothing() -> None:
    async with (app := FakeModelApp(FakeModelLoader("abcdefgh"))).run_test(size=(120, 40)) as pilot:
        text = await generate(pilot, app)
        await walk_back(pilot, app, 8)
        panel = app.generation.query_one(NextCharacter)
        expected = [["◆", "1", "a"], ["▸", "2", "e"]]
        await until(pilot, lambda: [panel.render_line(y).text.split()[:3] for y in range(2)] == expected)
        assert text.transcript.walked is not None
        assert text.transcript.text[text.transcript.walked] == text.generated[-8] == "a"
        assert app.fake_loader.branches[-1] == text.prompt + text.generated[:-8]
        await pilot.press("up", "enter")
        await until(pilot, lambda: text.position == LENGTH - 7)
        await pilot.press(*["right"] * 7)
        await until(pilot, lambda: text.position is None)
        assert len(text.branches) == 1


async def branched(pilot: Pilot[Any], app: FakeModelApp) -> BranchingTextPane:
    """Make two branches, and show the second."""
    text = await generate(pilot, app)
    await walk_back(pilot, app, 3)
    await pilot.press("down", "enter")
    await until_generated(pilot, app)
    return text


async def test_picking_it_again_shows_the_branch_that_is_there() -> None:
    async with (app := FakeModelApp(FakeModelLoader("abcdefgh"))).run_test(size=(80, 24)) as pilot:
        text = await branched(pilot, app)
        second = text.generated
        await pilot.press("left_square_bracket")
        await walk_back(pilot, app, 3)
        await pilot.press("down", "enter")
        await until(pilot, lambda: (len(text.branches), text.generated) == (2, second))
        await until(pilot, lambda: "there already" in app.generation.notice.sentence)


async def test_the_branches_are_named_in_the_border_and_stand_in_a_tree() -> None:
    async with (app := FakeModelApp(FakeModelLoader("abcdefgh"))).run_test(size=(120, 40)) as pilot:
        text = await branched(pilot, app)
        await until(pilot, lambda: "branch 2 of 2, parted after “…" in str(text.border_subtitle))
        pane = app.generation.query_one(BranchesPane)
        log = f"{text.branch.log_probability:.1f}".replace("-", "−")
        await until(pilot, lambda: pane.display and log in pane.render_line(2).text)
        rows = [pane.render_line(y).text for y in range(3)]
        assert rows[1].startswith("  1 abc")
        assert rows[2].startswith("▸ └ 2 ")
        await pilot.click(BranchesPane, offset=(6, 2))
        await until(pilot, lambda: text.branch is text.branches.root)


async def test_saving_asks_which_branch(home: Path) -> None:
    async with (app := FakeModelApp(FakeModelLoader("abcdefgh"))).run_test(size=(80, 24)) as pilot:
        text = await branched(pilot, app)
        for answer in ("o", "a"):
            await pilot.press("w")
            await until(pilot, lambda: isinstance(app.screen, SaveBranchesScreen))
            await pilot.press(answer)
            await until(pilot, lambda: app.screen is app.generation)
        await until(pilot, lambda: "2 branches saved" in app.generation.notice.sentence)
        saved = [path.read_text(encoding="utf-8") for path in sorted((home / "texts").iterdir())]
        assert saved == [f"{whole}\n" for whole in (text.text, *text.branch_texts)]


async def test_a_branch_whose_prefix_left_the_page_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (text_pane, branching_pane):
        monkeypatch.setattr(module, "LONGEST_TEXT", 100)
    async with (app := FakeModelApp(FakeModelLoader("abcdefgh\n"))).run_test(size=(80, 24)) as pilot:
        text = await branched(pilot, app)
        app.generation.apply(SamplingConfig(length=400))
        await pilot.press("space")
        await until(pilot, lambda: text.count > 400)
        await until_generated(pilot, app)
        assert len(text.branches) == 1
        await until(pilot, lambda: "A branch is gone" in app.generation.notice.sentence)
        assert text.generated.endswith(text.branch.text), "by no more than the line that the page has in part"
        await walk_back(pilot, app, 3)
        assert text.transcript.text[text.transcript.walked or 0] == text.generated[-3]


@pytest.mark.parametrize("key", ["left_square_bracket", "right_square_bracket"])
async def test_without_branches_the_keys_say_how_to_make_one(key: str) -> None:
    async with (app := FakeModelApp()).run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        assert "begin a branch" in app.generation.notice.sentence
