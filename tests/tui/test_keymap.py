"""Keys of the user's own, from ``config.toml``."""

import pytest

from shakegpt.errors import UsageError
from shakegpt.system.paths import config_file
from shakegpt.tui.app import ShakegptApp
from shakegpt.tui.checkpoints.checkpoint_screen import CheckpointScreen


def configure(text: str) -> None:
    config_file().parent.mkdir(parents=True, exist_ok=True)
    config_file().write_text(text)


@pytest.mark.parametrize(
    ("settings", "key", "arrives"),
    [
        ("", "3", True),
        ('[keys]\n"app.checkpoints" = "f9"', "f9", True),
        ('[keys]\n"app.checkpoints" = "f9"', "3", False),
        ('[keys]\n"app.checkpoints" = ["3", "f9"]', "f9", True),
        ('[keys]\n"app.checkpoints" = ["3", "f9"]', "3", True),
    ],
)
async def test_a_key_of_the_settings_takes_the_place_of_the_built_in_one(
    settings: str, key: str, arrives: bool
) -> None:
    configure(settings)
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test() as pilot:
        await app.action_switch_mode("training")
        await pilot.press(key)
        await pilot.pause()
        assert isinstance(app.screen, CheckpointScreen) is arrives


def test_settings_that_cannot_be_used_are_told_before_the_screen_opens() -> None:
    configure("[keys]\n3 = []")
    with pytest.raises(UsageError, match="shakegpt config edit"):
        ShakegptApp()
