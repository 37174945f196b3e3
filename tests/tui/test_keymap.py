"""Keys of the user's own, from ``config.toml``."""

from collections.abc import Callable
from pathlib import Path

import pytest

from shakegpt.errors import UsageError
from shakegpt.tui.app import ShakegptApp
from shakegpt.tui.checkpoints.checkpoint_screen import CheckpointScreen
from shakegpt.tui.dialogs.help import known_bindings

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


def keys_of(words: str) -> dict[str, set[str]]:
    """Return the keys of each binding with these words in its description."""
    return {
        name: {key.strip() for key in binding.key.split(",")}
        for name, binding in known_bindings().items()
        if words in binding.description
    }


@pytest.mark.parametrize(
    ("words", "key"),
    [("Copy", "y"), ("New run", "n"), ("Resume", "r"), ("Delete", "D"), ("Rename", "R"), ("Chart", "z")],
)
def test_an_action_has_the_same_key_on_every_screen(words: str, key: str) -> None:
    found = keys_of(words)
    assert found
    others = {"training.panel.zoom": "enter"}  # the main thing to do with a panel that has the focus
    assert all(others.get(name, key) in keys for name, keys in found.items()), found


@pytest.mark.parametrize(
    ("key", "name"),
    [("left_square_bracket", "generation.branch_before"), ("right_square_bracket", "generation.branch_next")],
)
def test_the_brackets_walk_the_branches_and_nothing_else(key: str, name: str) -> None:
    assert [found for found, binding in known_bindings().items() if key in binding.key.split(",")] == [name]


def test_what_cannot_be_taken_back_has_a_capital() -> None:
    bindings = known_bindings()
    assert {bindings[name].key.split(",")[0] for name in ("training.stop", "runs.stop")} == {"X"}
    assert bindings["runs.delete"].key.split(",")[0] == "D"
