"""The inspect screen as it looks, in its states and sizes."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.conftest import SIZES
from tests.tui.fake_model_app import FakeModelApp, until
from tests.tui.inspect.test_inspect_screen import open_inspect

Prepare = Callable[[Pilot[Any]], Awaitable[None]]


async def opened(pilot: Pilot[Any]) -> None:
    await open_inspect(pilot)
    await pilot.press("j", "j", "j", "j")


async def muted(pilot: Pilot[Any]) -> None:
    screen = await open_inspect(pilot)
    await pilot.press("M", "j")
    await until(pilot, lambda: screen.facts is not None and screen.facts.cost(frozenset({(0, 0)})) is not None)


STATES: list[tuple[Prepare, tuple[int, int]]] = [
    *((opened, size) for size in SIZES),
    (opened, (60, 20)),
    (muted, (120, 40)),
]


@pytest.mark.parametrize(("prepare", "size"), STATES, ids=[f"{prepare.__name__}-{w}x{h}" for prepare, (w, h) in STATES])
def test_it_looks_as_it_did(snap_compare: Any, prepare: Prepare, size: tuple[int, int]) -> None:
    async def settle(pilot: Pilot[Any]) -> None:
        await prepare(pilot)
        await pilot.pause()
        await pilot.pause()

    assert snap_compare(FakeModelApp(mode="checkpoints"), terminal_size=size, run_before=settle)
