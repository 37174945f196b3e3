"""What the generation screen costs: bytes to the terminal per character.

Run with ``pytest tests/benchmarks --benchmark-only -s``: figures are printed, not asserted on.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual._compositor import CompositorUpdate

from shakegpt.config import SamplingConfig
from shakegpt.system.paths import asset_path
from tests.tui.fake_model_app import FakeModelApp, until_generated
from tests.tui.fake_model_loader import FakeModelLoader

CHARACTERS = 800


class MeasuredApp(FakeModelApp):
    """Counts what a terminal would be sent."""

    octets = 0

    def _display(self, screen: Any, renderable: Any) -> None:
        if isinstance(renderable, CompositorUpdate):
            self.octets += len(renderable.render_segments(self.console).encode())


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAKEGPT_HOME", str(tmp_path))
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")


@pytest.mark.parametrize("tint", [False, True], ids=["plain", "tinted"])
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=["80x24", "120x40", "200x60"])
def test_bytes_per_character(benchmark: Any, size: tuple[int, int], tint: bool) -> None:
    async def speak() -> float:
        text = asset_path("corpus/demo.txt").read_text(encoding="utf-8")
        async with (app := MeasuredApp(FakeModelLoader(text))).run_test(size=size) as pilot:
            app.generation.apply(SamplingConfig(length=size[1] * 40))
            if tint:
                await pilot.press("u")
            await pilot.press("enter")
            await until_generated(pilot, app)  # the page is full: from here on it scrolls
            app.generation.options.characters_per_second = 40
            app.generation.apply(SamplingConfig(length=CHARACTERS))
            app.octets = 0
            await pilot.press("enter")
            await until_generated(pilot, app)
            return app.octets / CHARACTERS

    figure = benchmark.pedantic(lambda: asyncio.run(speak()), rounds=1)
    print(f"\n{size[0]}x{size[1]} {'tinted' if tint else 'plain'}: {figure:.0f} bytes a character at 40 a second")
