"""Keys of the user's own, from ``config.toml``."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shakegpt.errors import UsageError
from shakegpt.tui.app import ShakegptApp
from shakegpt.tui.checkpoints.checkpoint_screen import CheckpointScreen

WriteConfig = Callable[[str | bytes], Path]


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
async def test_a_key_of_the_settings_replaces_the_built_in_one(
    write_config: WriteConfig, settings: str, key: str, arrives: bool
) -> None:
    write_config(settings)
    app = ShakegptApp(mode="checkpoints")
    async with app.run_test() as pilot:
        await app.action_switch_mode("training")
        await pilot.press(key)
        await pilot.pause()
        assert isinstance(app.screen, CheckpointScreen) is arrives


def test_unusable_settings_are_reported_before_the_screen_opens(write_config: WriteConfig) -> None:
    write_config("[keys]\n3 = []")
    with pytest.raises(UsageError, match="shakegpt config edit"):
        ShakegptApp()
