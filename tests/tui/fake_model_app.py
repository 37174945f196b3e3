"""The app on its generation screen with a fake model, and how to wait for what it says."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from fake_model_loader import FakeModelLoader
from textual.app import App
from textual.pilot import Pilot

from shakegpt.tui import app as app_module
from shakegpt.tui.app import ShakegptApp
from shakegpt.tui.generation.generation_screen import GenerationScreen
from shakegpt.tui.generation.model_loader import Voices

_PATIENCE_SECONDS = 20


class FakeModelApp(ShakegptApp):
    """The real app, whose generation screen speaks with given voices."""

    CSS_PATH = Path(app_module.__file__).with_name("app.tcss")

    def __init__(self, voices: Voices | None = None, **arguments: Any) -> None:
        self.voices = voices or FakeModelLoader()
        super().__init__(**arguments)

    def generation_screen(self) -> GenerationScreen:
        return GenerationScreen(self.context, self.voices, pace=0)

    @property
    def fake_loader(self) -> FakeModelLoader:
        assert isinstance(self.voices, FakeModelLoader)
        return self.voices

    @property
    def generation(self) -> GenerationScreen:
        return cast(GenerationScreen, next(s for s in self.screen_stack if isinstance(s, GenerationScreen)))


async def until(pilot: Pilot[Any], happened: Callable[[], bool]) -> None:
    """Let messages be handled until something has happened; the clock only ends a test that would never end."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not happened():
            await pilot.pause()


async def until_generated(pilot: Pilot[Any], app: App[Any]) -> None:
    """Wait until every voice that was asked to speak is done or has failed."""
    screen = cast(FakeModelApp, app).generation
    await until(pilot, lambda: not any(passage.busy for passage in screen.speaking))
