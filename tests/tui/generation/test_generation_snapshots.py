"""The generation screen as it looks, in its states and sizes."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from shakegpt.tui.generation.generation_thread import GenerationState
from shakegpt.tui.generation.takes_pane import TakesPane
from tests.tui.fake_model_app import FakeModelApp, until, until_generated
from tests.tui.fake_model_loader import FakeModelLoader

VERSE = (
    "O, speak again, bright angel! for thou art\n"
    "As glorious to this night, being o'er my head\n"
    "As is a winged messenger of heaven.\n\n"
)
Prepare = Callable[[Pilot[Any]], Awaitable[None]]


def app_of(pilot: Pilot[Any]) -> FakeModelApp:
    assert isinstance(pilot.app, FakeModelApp)
    return pilot.app


async def fresh(pilot: Pilot[Any]) -> None:
    app = app_of(pilot)
    await until(pilot, lambda: app.generation.is_mounted)


async def done(pilot: Pilot[Any]) -> None:
    await fresh(pilot)
    await pilot.press("enter")
    await until_generated(pilot, app_of(pilot))
    transcript = app_of(pilot).generation.left.transcript
    await until(pilot, lambda: transcript.scroll_y == transcript.max_scroll_y)


async def surprise(pilot: Pilot[Any]) -> None:
    await done(pilot)
    await pilot.press("o", "x", "u")
    app = app_of(pilot)
    await until(pilot, lambda: app.generation.left.next_character is not None)


async def frozen(pilot: Pilot[Any]) -> None:
    await fresh(pilot)
    app = app_of(pilot)
    for _ in range(12):
        await pilot.press("o")
    await pilot.press("f")
    await until(pilot, lambda: app.generation.left.next_character is not None)
    await pilot.press("down")


async def walked(pilot: Pilot[Any]) -> None:
    await done(pilot)
    await pilot.press("f", *["left"] * 12)
    text = app_of(pilot).generation.left
    await until(pilot, lambda: text.next_character is not None and text.next_character.position == text.count - 12)


async def branched(pilot: Pilot[Any]) -> None:
    await walked(pilot)
    await pilot.press("enter")
    await until_generated(pilot, app_of(pilot))


async def scene(pilot: Pilot[Any]) -> None:
    await fresh(pilot)
    app = app_of(pilot)
    await pilot.press("s")
    await until(pilot, lambda: app.screen is not app.generation)
    await pilot.press("enter", "enter")
    await until(pilot, lambda: app.screen is app.generation)
    app.generation.line.text = "Ay me!"
    await pilot.press("enter")
    await until_generated(pilot, app)
    await pilot.press("escape", "left")


async def casting(pilot: Pilot[Any]) -> None:
    await fresh(pilot)
    app = app_of(pilot)
    await pilot.press("s")
    await until(pilot, lambda: app.screen is not app.generation and "MERCUTIO" in app.generation.scene.names)
    await pilot.press("escape", "C")
    await until(pilot, lambda: app.screen is not app.generation)


async def duel(pilot: Pilot[Any]) -> None:
    await fresh(pilot)
    app = app_of(pilot)
    app.fake_loader.texts["macbeth@500"] = VERSE.replace("bright", "sweet")
    await pilot.press("d")
    app.generation.use_model("macbeth@500")
    await pilot.press("enter")
    await until_generated(pilot, app)


async def takes(pilot: Pilot[Any]) -> None:
    await surprise(pilot)
    app = app_of(pilot)
    app.generation.choose_seed = lambda: 99
    app.fake_loader.default = VERSE.replace("bright", "sweet")
    await pilot.press("v", "n")
    await until_generated(pilot, app)
    app.generation.query_one(TakesPane).focus()
    await pilot.press("down")


async def unknown(pilot: Pilot[Any]) -> None:
    await fresh(pilot)
    app = app_of(pilot)
    app.generation.prompt.text = "JULIETTE: é"
    await pilot.press("enter")
    await until(pilot, lambda: app.generation.left.state is GenerationState.FAILED)


STATES: list[tuple[Prepare, tuple[int, int]]] = [
    (fresh, (80, 24)),
    (done, (80, 24)),
    (done, (120, 40)),
    (done, (200, 60)),
    (done, (60, 20)),
    (surprise, (80, 24)),
    (surprise, (120, 40)),
    (takes, (200, 60)),
    (fresh, (40, 12)),
    (frozen, (80, 24)),
    (frozen, (120, 40)),
    (walked, (80, 24)),
    (branched, (80, 24)),
    (branched, (120, 40)),
    (scene, (80, 24)),
    (scene, (120, 40)),
    (casting, (80, 24)),
    (duel, (200, 60)),
    (unknown, (80, 24)),
]


@pytest.mark.parametrize(
    ("prepare", "size"), STATES, ids=[f"{prepare.__name__}-{size[0]}x{size[1]}" for prepare, size in STATES]
)
def test_it_looks_as_it_did(snap_compare: Any, prepare: Prepare, size: tuple[int, int]) -> None:
    async def settle(pilot: Pilot[Any]) -> None:
        await prepare(pilot)
        await pilot.pause()
        await pilot.pause()

    assert snap_compare(FakeModelApp(FakeModelLoader(VERSE)), terminal_size=size, run_before=settle)
