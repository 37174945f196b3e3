"""Which model speaks after a run was trained in the same window."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shakegpt.runs.snapshot import Snapshot
from shakegpt.tui.messages import LIVE, GenerateFrom
from tests.tui.fake_model_app import FakeModelApp, until

Snapshots = Callable[[str], Snapshot]
Fake = Callable[[str], Any]


async def test_a_run_just_trained_speaks_where_no_other_model_was_chosen(
    snapshots: Snapshots, fake_training: Fake
) -> None:
    training = fake_training("training")
    async with (app := FakeModelApp(training=training)).run_test() as pilot:
        await pilot.press("2", "enter")
        await until(pilot, lambda: app.generation.left.count > 0)
        await pilot.press("1")
        training.move(snapshots("finished"))
        await until(pilot, lambda: app._trained_run == "macbeth")
        await pilot.press("2")
        await until(
            pilot, lambda: app.generation.notice.sentence == "This is macbeth, just trained; c chooses another model."
        )
        assert app.generation.left.reference == "macbeth"
        await pilot.press("enter")
        await until(pilot, lambda: ("macbeth", "ROMEO:\n") in app.fake_loader.opened)
        await pilot.press("1", "2")
        assert app._trained_run is None, "it is said once"


async def test_it_speaks_on_from_a_run_just_trained_where_it_was_speaking(
    snapshots: Snapshots, fake_training: Fake
) -> None:
    training = fake_training("training")
    async with (app := FakeModelApp(training=training, first_start=True)).run_test() as pilot:
        await pilot.press("2")
        await until(pilot, lambda: app.generation.left.count > 0)
        await pilot.press("1")
        training.move(snapshots("stopped"))
        await until(pilot, lambda: app._trained_run == "macbeth")
        await pilot.press("2")
        await until(pilot, lambda: app.generation.left.take.model == "macbeth" and app.generation.left.count > 0)


@pytest.mark.parametrize(("chosen", "loads"), [("pretrained", False), ("hamlet@500", False), ("macbeth@100", True)])
async def test_a_model_that_was_chosen_stays_and_the_run_is_offered(
    snapshots: Snapshots, fake_training: Fake, chosen: str, loads: bool
) -> None:
    training = fake_training("training")
    async with (app := FakeModelApp(training=training)).run_test() as pilot:
        app.post_message(GenerateFrom(chosen))
        await until(pilot, lambda: app.current_mode == "generation" and app.generation.left.reference == chosen)
        await pilot.press("1")
        training.move(snapshots("finished"))
        await until(pilot, lambda: app._trained_run == "macbeth")
        await pilot.press("2")
        await until(pilot, lambda: "macbeth" in app.generation.notice.sentence)
        assert app.generation.left.reference == ("macbeth" if loads else chosen)
        assert ("c, then Enter" in app.generation.notice.sentence) is not loads


async def test_who_listens_when_a_training_ends_goes_on_listening(snapshots: Snapshots, fake_training: Fake) -> None:
    training = fake_training("training")
    async with (app := FakeModelApp(training=training)).run_test() as pilot:
        app.post_message(GenerateFrom(LIVE))
        await until(pilot, lambda: app.current_mode == "generation" and app.generation.left.count == 400)
        training.move(snapshots("finished"))
        await until(pilot, lambda: "macbeth is trained: c, then Enter" in app.generation.notice.sentence)
        assert len(app.fake_loader.opened) == 1
        assert app.generation.left.reference == "macbeth", "there are no live weights any more"
        app.generation.use_model("macbeth@500")
        await until(pilot, lambda: app.fake_loader.opened[1:] == [("macbeth@500", "ROMEO:\n")])


@pytest.mark.parametrize("state", ["failed", "finished"])
async def test_a_run_without_a_checkpoint_or_that_failed_is_not_offered(
    snapshots: Snapshots, fake_training: Fake, state: str
) -> None:
    training = fake_training("training")
    async with (app := FakeModelApp(training=training)).run_test() as pilot:
        training.move(replace(snapshots(state), saved=None if state == "finished" else snapshots(state).saved))
        await until(pilot, lambda: app._last_shown is not None and app._last_shown.state == state)
        await pilot.press("2")
        await until(pilot, lambda: app.generation.is_mounted)
        assert app.generation.left.reference == ""
