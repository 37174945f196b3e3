"""When a run of another process is heard, and when the user no longer waits for it."""

from collections.abc import Callable
from typing import Any

from shakegpt.events import Saved
from shakegpt.runs.snapshot import Snapshot, advance
from shakegpt.tui.dialogs.questions import ConfirmScreen
from tests.tui.fake_model_app import FakeModelApp, until
from tests.tui.training_app import TrainingApp

Snapshots = Callable[[str], Snapshot]
SAVED = Saved(step=240, path="p", best=False, val_loss=None)


def watched(fake_training: Callable[[str], Any]) -> Any:
    training = fake_training("training")
    training.owned = False
    return training


async def test_a_checkpoint_that_comes_while_a_question_is_open_is_heard_once_it_is_answered(
    snapshots: Snapshots, fake_training: Callable[[str], Any]
) -> None:
    app = TrainingApp(training=watched(fake_training))
    async with app.run_test() as pilot:
        await pilot.press("enter", "X")
        await until(pilot, lambda: isinstance(app.screen, ConfirmScreen))
        app.training_screen.show(advance(snapshots("training"), SAVED))
        await pilot.pause()
        assert app.generate_requests == []
        await pilot.press("n")
        await until(pilot, lambda: bool(app.generate_requests))
        assert app.generate_requests == [("macbeth@240", 0)]


async def test_who_goes_to_another_screen_meanwhile_is_left_there(
    snapshots: Snapshots, fake_training: Callable[[str], Any]
) -> None:
    training = watched(fake_training)
    async with (app := FakeModelApp(training=training)).run_test() as pilot:
        await pilot.press("enter")
        assert training.commands == ["save"]
        await pilot.press("3")
        training.move(advance(snapshots("training"), SAVED), SAVED)
        await until(pilot, lambda: app._last_shown is training.latest)
        await pilot.press("1")
        await pilot.pause()
        assert (app.current_mode, app.fake_loader.opened) == ("training", [])
