"""The key of the new-run form that finds a learning rate, with a range test of the tests' own."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from shakegpt.data.catalog import DEMO
from shakegpt.errors import CorpusError, ShakegptError
from shakegpt.training.rate_finder import FoundRate, OnRangeProgress, RangeProgress
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.training import text_fetching
from tests.processes import PATIENCE
from tests.tui.fake_model_app import until
from tests.tui.training.test_new_run import FormApp, field, message, no_download, type_into

__all__ = ["no_download"]

FOUND = FoundRate(2e-3, "the middle of 9.0e-4 to 4.5e-3, the bottom of the curve")


class FakeFinder:
    """Takes one step, and ends once ``go_on`` is set."""

    def __init__(self, request: TrainingRequest, result: FoundRate | str) -> None:
        self.request, self.result = request, result
        self.go_on = threading.Event()
        self.cancelled = self.ended = False

    def cancel(self) -> None:
        self.cancelled = True
        self.go_on.set()

    def find(self, on_progress: OnRangeProgress) -> FoundRate | None:
        on_progress(RangeProgress(57, 200, 3.14e-4, 3.1234))
        self.go_on.wait(PATIENCE)
        self.ended = True
        if isinstance(self.result, str):
            raise ShakegptError(self.result)
        return self.result


class Finders:
    """Makes the range tests of one form, and keeps them."""

    def __init__(self, result: FoundRate | str = FOUND) -> None:
        self.result = result
        self.made: list[FakeFinder] = []

    def __call__(self, request: TrainingRequest) -> Any:
        self.made.append(FakeFinder(request, self.result))
        return self.made[-1]

    def end(self) -> None:
        self.made[-1].go_on.set()


def form(finders: Callable[[TrainingRequest], Any], values: dict[str, str] | None = None) -> FormApp:
    return FormApp({"preset": "nano", "corpus": DEMO} | (values or {}), make_finder=finders)


async def begin(pilot: Pilot[Any], app: FormApp) -> None:
    await pilot.press("ctrl+t")
    await until(pilot, lambda: "step 57 of 200" in message(app))


async def test_the_key_shows_how_far_it_is_and_fills_the_field_in_with_the_reason() -> None:
    finders = Finders()
    app = form(finders)
    async with app.run_test() as pilot:
        assert "ctrl+t finds one" in field(app, "learning_rate").hint
        await begin(pilot, app)
        assert message(app) == "Trying rates: step 57 of 200, rate 3.1e-4, loss 3.123 · esc ends it"
        finders.end()
        await until(pilot, lambda: field(app, "learning_rate").value == "2e-3")
        await pilot.pause()
        assert message(app) == "Rate 2e-3: the middle of 9.0e-4 to 4.5e-3, the bottom of the curve."
        assert app.answers == []
        await type_into(pilot, "learning_rate", "1e-3")  # the reason is none for another rate
        assert message(app) == ""
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.answers))
        assert app.answers == [TrainingRequest(preset="nano", corpus=DEMO, changes={"learning_rate": 1e-3})]


async def test_the_test_has_the_settings_of_the_form_but_for_its_name_steps_and_rate() -> None:
    finders = Finders()
    shape = {"shape": "n_layer=2", "batch_size": "8", "learning_rate": "1e-3,2e-3", "seed": "1,2", "steps": "x"}
    app = form(finders, shape)
    async with app.run_test() as pilot:
        await type_into(pilot, "run", "lear")
        await begin(pilot, app)
        changes = {"n_layer": 2, "batch_size": 8, "seed": 1}
        assert finders.made[0].request == TrainingRequest(preset="nano", corpus=DEMO, changes=changes)
        await pilot.press("ctrl+t")  # one at a time
        await pilot.pause()
        assert len(finders.made) == 1


async def test_a_sweep_is_still_announced_after_the_reason() -> None:
    finders = Finders()
    app = form(finders, {"seed": "1,2"})
    async with app.run_test() as pilot:
        await begin(pilot, app)
        finders.end()
        await until(pilot, lambda: "bottom of the curve. This makes 2 runs" in message(app))


async def test_escape_ends_the_search_then_leaves_the_form() -> None:
    finders = Finders()
    app = form(finders, {"learning_rate": "5e-4"})
    async with app.run_test() as pilot:
        await begin(pilot, app)
        await pilot.press("escape")
        await until(pilot, lambda: finders.made[0].ended)
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert finders.made[0].cancelled
        assert message(app) == "The search for a rate was ended; the field is as it was."
        assert field(app, "learning_rate").value == "5e-4"
        assert app.answers == []
        await pilot.press("escape")
        await pilot.pause()
        assert app.answers == [None]


@pytest.mark.parametrize("name", ["batch_size", "learning_rate", "shape"])
async def test_what_was_found_for_other_settings_is_not_used(name: str) -> None:
    finders = Finders()
    app = form(finders)
    async with app.run_test() as pilot:
        await begin(pilot, app)
        field(app, name).value = {"shape": "n_layer=2"}.get(name, "4")
        await until(pilot, lambda: finders.made[0].cancelled)
        await app.workers.wait_for_complete()
        await pilot.pause()
        assert field(app, "learning_rate").value == ("4" if name == "learning_rate" else "")
        assert message(app).startswith("The settings have changed")


async def test_the_result_of_a_search_that_was_ended_does_not_undo_the_next_one() -> None:
    finders = Finders()
    app = form(finders)
    async with app.run_test() as pilot:
        await begin(pilot, app)
        await pilot.press("escape")
        finders.result = FoundRate(5e-4, "a hundredth of 1.0e-2, where the loss diverges")
        await begin(pilot, app)
        finders.end()
        await until(pilot, lambda: field(app, "learning_rate").value == "5e-4")
        first, second = finders.made
        for late in (app.form.Progress(first, RangeProgress(9, 200, 1e-5, 4.0)), app.form.Ended(first, FOUND)):  # type: ignore[arg-type]
            app.form.post_message(late)
        await pilot.pause()
        assert field(app, "learning_rate").value == "5e-4"
        assert message(app).startswith("Rate 5e-4: a hundredth of")
        assert not second.cancelled


async def test_a_test_that_says_nothing_is_an_error_in_the_form() -> None:
    finders = Finders("The loss never fell [/b] in this test.")
    app = form(finders)
    async with app.run_test() as pilot:
        await begin(pilot, app)
        finders.end()
        await until(pilot, lambda: message(app) == "The loss never fell [/b] in this test.")
        assert field(app, "learning_rate").value == ""
        await pilot.press("ctrl+t")
        await until(pilot, lambda: len(finders.made) == 2)


async def test_a_wrong_field_is_shown_before_anything_is_tested() -> None:
    finders = Finders()
    app = form(finders, {"batch_size": "0"})
    async with app.run_test() as pilot:
        await pilot.press("ctrl+t")
        await pilot.pause()
        assert message(app).startswith("Batch size: ")
        assert finders.made == []


async def test_a_text_that_cannot_be_fetched_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str, *, on_progress: object = None) -> None:
        raise CorpusError("It could not be fetched.")

    monkeypatch.setattr(text_fetching, "find_corpus", find)
    finders = Finders()
    app = form(finders)
    async with app.run_test() as pilot:
        await pilot.press("ctrl+t")
        await until(pilot, lambda: message(app) == "It could not be fetched.")
        assert finders.made == []
        await pilot.press("escape")
        await pilot.pause()
        assert app.answers == [None]


async def test_the_process_ends_with_the_form() -> None:
    finders = Finders()
    app = form(finders)
    async with app.run_test() as pilot:
        await begin(pilot, app)
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.answers))
        await until(pilot, lambda: finders.made[0].cancelled)
        assert await asyncio.to_thread(finders.made[0].go_on.wait, PATIENCE)
