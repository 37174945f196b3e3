"""Draw README.md's pictures: ``python tests/draw_screenshots.py RUN``, best while RUN trains in another process.

The app draws them itself, from the runs of the store at hand (``$SHAKEGPT_HOME``).
"""

import asyncio
import sys

from shakegpt.runs.store import Store
from shakegpt.system.paths import asset_path
from shakegpt.tui.app import ShakegptApp

FOLDER = asset_path("screenshots")
SIZE = (120, 34)
TALL = (120, 40)
"""For the inspect screen, whose heads have a map there."""
GENERATION_SECONDS = 10
LOADING_SECONDS = 8.0


async def draw(run: str) -> None:
    """Visit the four screens and save each as an SVG."""
    store = Store.default()
    app = ShakegptApp(store, watch=store.run(run))
    async with app.run_test(size=SIZE) as pilot:
        app.theme = "shakegpt"  # without a terminal, the app would keep to sixteen colours
        await asyncio.sleep(LOADING_SECONDS)
        await pilot.pause()
        app.save_screenshot("training.svg", str(FOLDER))
        await pilot.press("2")
        await asyncio.sleep(LOADING_SECONDS)
        await asyncio.sleep(GENERATION_SECONDS)
        app.save_screenshot("generation.svg", str(FOLDER))
        await pilot.resize_terminal(*TALL)
        await pilot.press("4")
        await asyncio.sleep(LOADING_SECONDS)
        await pilot.press("space", "left", "left", "down", "down", "down", "down")
        await asyncio.sleep(2)
        app.save_screenshot("inspect.svg", str(FOLDER))
        await pilot.resize_terminal(*SIZE)
        await pilot.press("3")
        await asyncio.sleep(2)
        await pilot.pause()
        app.save_screenshot("checkpoints.svg", str(FOLDER))


if __name__ == "__main__":
    asyncio.run(draw(sys.argv[1]))
