"""``f`` on the runs screen: a form that begins from the chosen checkpoint, on another text."""

from typing import cast

import pytest

from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE
from shakegpt.runs.store import Store
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui.training.new_run import NewRunScreen
from shakegpt.tui.training.run_form import FILE, fine_tuning_values
from tests.tui.checkpoints.conftest import put_checkpoint
from tests.tui.checkpoints.test_checkpoint_screen import RunsApp, at, ready
from tests.tui.fake_model_app import until


@pytest.mark.parametrize(
    ("remembered", "own_text", "corpus"),
    [
        ({}, TINY_SHAKESPEARE, DEMO),
        ({"corpus": DEMO}, TINY_SHAKESPEARE, None),  # another text already, as it was last time
        ({"corpus": DEMO}, DEMO, FILE),
        ({"corpus": TINY_SHAKESPEARE, "file": "play.txt"}, TINY_SHAKESPEARE, FILE),
    ],
)
def test_the_text_is_not_the_one_it_learned_from(remembered: dict[str, str], own_text: str, corpus: str | None) -> None:
    values = fine_tuning_values(
        {"steps": "9000", "learning_rate": "1e-3", "shape": "n_layer=3", **remembered}, own_text
    )
    assert values.get("corpus") == corpus
    assert {values[name] for name in ("steps", "learning_rate", "shape", "ema")} == {""}


@pytest.mark.parametrize(("row", "reference"), [("hamlet", "hamlet@300"), ("hamlet@500", "hamlet@500")])
async def test_it_begins_from_the_best_or_from_the_chosen_checkpoint(store: Store, row: str, reference: str) -> None:
    app = RunsApp(store)
    app.context.remember(new_run={"preset": "mini", "steps": "9000", "corpus": DEMO})
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await at(pilot, row)
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and app.screen.is_mounted)
        form = cast(NewRunScreen, app.screen)
        assert (form.values["begin_from"], form.values["corpus"], form.values["steps"]) == (reference, DEMO, "")
        await pilot.pause()
        assert form._field("learning_rate").hint.startswith("3.0e-4 if empty")  # a tenth of nano's own
        await pilot.press("enter")
        await until(pilot, lambda: app.requests == [TrainingRequest(corpus=DEMO, begin_from=reference)])


async def test_of_a_sweep_it_is_the_best_run(store: Store) -> None:
    for name, new, loss in (("macbeth", "rates-01", 1.2), ("hamlet", "rates-02", 1.9)):
        run = store.run(name).rename(new)
        put_checkpoint(run, 400, loss)
    app = RunsApp(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(pilot)
        await at(pilot, "rates/")
        await pilot.press("f")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen))
        assert cast(NewRunScreen, app.screen).values["begin_from"] == "rates-01@400"


async def test_a_run_without_a_checkpoint_is_nothing_to_begin_from(store: Store) -> None:
    app = RunsApp(store)
    async with app.run_test() as pilot:
        await ready(pilot)
        await at(pilot, "lear")
        await pilot.press("f")
        await pilot.pause()
        assert "no checkpoint here to begin from" in app.said
        assert app.screen is app.runs
