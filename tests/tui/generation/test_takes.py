"""The texts so far, and one of them beside the text of the moment."""

import pytest
from textual.widgets import OptionList

from shakegpt.tui.generation.takes import parting
from shakegpt.tui.generation.takes_pane import TakePane, TakesPane
from tests.tui.fake_model_app import FakeModelApp, until, until_generated
from tests.tui.fake_model_loader import FakeModelLoader

VERSE = "O, speak again, bright angel! for thou art\n"


@pytest.mark.parametrize(
    ("one", "other", "index"), [("abc", "abd", 2), ("abc", "ab", None), ("", "x", None), ("x", "y", 0)]
)
def test_where_two_texts_part(one: str, other: str, index: int | None) -> None:
    assert parting(one, other) == parting(other, one) == index


async def test_takes_are_listed_with_seed_and_settings_and_compared() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test(size=(200, 60)) as pilot:
        app.generation.choose_seed = lambda: 99
        await pilot.press("x", "enter")
        await until_generated(pilot, app)
        app.fake_loader.default = "O, be some other name!\n"
        await pilot.press("T", "n")
        await until_generated(pilot, app)
        takes = app.generation.query_one(TakesPane)
        await until(pilot, lambda: takes.option_count == 2)
        listed = [str(takes.get_option_at_index(index).prompt) for index in range(takes.option_count)]
        assert listed == ["2  seed 99  temp 0.85", "1  seed 1337  balanced → temp 0.85"]
        takes.focus()
        await pilot.press("down")
        await pilot.pause()
        beside = app.generation.query_one(TakePane)
        assert beside.display
        assert beside.transcript.text == "ROMEO:\n" + (VERSE * 10)[:400]
        left = app.generation.left
        assert left.transcript.parting is not None
        assert left.transcript.text[left.transcript.parting :].startswith("be some")
        assert beside.transcript.parting == len("ROMEO:\nO, ")
        await pilot.press("escape")
        assert not beside.display


async def test_takes_of_several_models_are_listed_with_their_models() -> None:
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test(size=(200, 60)) as pilot:
        await pilot.press("x", "enter")
        await until_generated(pilot, app)
        takes = app.generation.query_one(TakesPane)

        def listed() -> list[str]:
            return [str(takes.get_option_at_index(index).prompt) for index in range(takes.option_count)]

        await until(pilot, lambda: listed() == ["1  seed 1337  balanced"])
        app.generation.use_model("macbeth@500")
        assert app.generation.left.take.model == "pretrained", "another model speaks from the next text on"
        await pilot.press("a")
        expected = ["2  macbeth@500  seed 1337  balanced", "1  built-in model  seed 1337  balanced"]
        await until(pilot, lambda: listed() == expected)
        await until_generated(pilot, app)
        takes.focus()
        await pilot.press("down")
        beside = app.generation.query_one(TakePane)
        await until(pilot, lambda: str(beside.border_title) == f"Take {expected[1]}")


async def test_a_take_that_was_marked_stays_the_one_beside_the_text_when_another_is_added() -> None:
    """Its place in the list was taken for it: the take before stood beside the text."""
    async with (app := FakeModelApp(FakeModelLoader(VERSE))).run_test(size=(200, 60)) as pilot:
        await pilot.press("x")
        for count in (1, 2, 3):
            await pilot.press("a")
            await until_generated(pilot, app)
            await until(pilot, lambda count=count: takes_of(app).option_count == count)
        takes = takes_of(app)
        takes.focus()
        await pilot.press("down")
        beside = app.generation.query_one(TakePane)
        await until(pilot, lambda: str(beside.border_title).startswith("Take 2 "))
        late = OptionList.OptionHighlighted(takes, takes.get_option_at_index(1), 1)
        app.generation.action_again()
        await until(pilot, lambda: takes.option_count == 4)
        takes.post_message(late)
        await until_generated(pilot, app)
        await pilot.pause()
        assert str(beside.border_title).startswith("Take 2 ")
        assert takes.highlighted == 2


def takes_of(app: FakeModelApp) -> TakesPane:
    return app.generation.query_one(TakesPane)
