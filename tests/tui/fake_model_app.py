"""The app on its generation screen with a fake model, and how to wait for what it generates."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from textual.app import App
from textual.pilot import Pilot

from shakegpt.tui import app as app_module
from shakegpt.tui.app import ShakegptApp
from shakegpt.tui.generation.generation_screen import GenerationScreen
from shakegpt.tui.generation.model_loader import ModelLoader
from tests.processes import PATIENCE
from tests.tui.fake_model_loader import FakeModelLoader


class GatedScreen(GenerationScreen):
    """Shows every character at once: the thread blocks in the next draw, and would show none that waits for a frame."""

    def show_tint(self, *, tint: bool) -> None:
        super().show_tint(tint=tint)
        self.options.frame_seconds = 0.0


class FakeModelApp(ShakegptApp):
    """The real app, whose generation screen loads models with a given loader.

    Args:
        loader: opens the streams.
        first_start: begin as on the first start, which speaks on and on; otherwise silently, with finite texts that
            are generated as fast as it goes.
    """

    CSS_PATH = Path(app_module.__file__).with_name("app.tcss")

    def __init__(self, loader: ModelLoader | None = None, *, first_start: bool = False, **arguments: Any) -> None:
        self.loader = loader or FakeModelLoader()
        super().__init__(**arguments)
        if not first_start:
            sampling = replace(self.context.preferences.sampling, length=400)
            self.context.remember(speaking=False, odds=False, tint=False, speed=0, sampling=sampling)

    def generation_screen(self) -> GenerationScreen:
        if isinstance(self.loader, FakeModelLoader) and self.loader.gate is not None:
            return GatedScreen(self.context, self.loader)
        return GenerationScreen(self.context, self.loader)

    @property
    def fake_loader(self) -> FakeModelLoader:
        assert isinstance(self.loader, FakeModelLoader)
        return self.loader

    @property
    def generation(self) -> GenerationScreen:
        return cast(GenerationScreen, next(s for s in self.screen_stack if isinstance(s, GenerationScreen)))


async def until(pilot: Pilot[Any], happened: Callable[[], bool]) -> None:
    """Let messages be handled until something has happened; the clock only ends a test that would never end."""
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await pilot.pause()


async def until_generated(pilot: Pilot[Any], app: App[Any]) -> None:
    """Wait until no text is on its way."""
    screen = cast(FakeModelApp, app).generation
    await until(pilot, lambda: not (screen.scene.busy or any(text.busy for text in screen.pane.texts)))
