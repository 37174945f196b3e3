"""The app in a browser: its driver takes the signals, and whoever presses keys there can only watch."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.tui.app import ShakegptApp
from shakegpt.tui.driver import driver_class, in_browser
from tests.cli.cli_results import Invoke, one_sentence
from tests.conftest import command_environment
from tests.tui.fake_model_app import until

WEB_DRIVER = "textual.drivers.web_driver:WebDriver"
CHANGING_KEYS = ("n", "X", "w", "r", "space", "enter", "2", "3", "4", "ctrl+p", "ctrl+z", "D", "R")
SIZE = (120, 40)
PRIMARY = (216, 164, 65)
"""What borders, titles and curves are drawn in."""


def files_of(store: Store) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in store.home.rglob("*") if path.is_file()}


async def test_keys_change_nothing_where_the_app_may_only_watch(store: Store, macbeth: Run) -> None:
    before = files_of(store)
    app = ShakegptApp(store, watch=macbeth, only_watch=True)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.screen.has_class("-run"))
        for key in CHANGING_KEYS:
            await pilot.press(key)
            assert (app.current_mode, len(app.screen_stack)) == ("training", 1), key
        assert {binding.binding.action for binding in app.screen.active_bindings.values() if binding.enabled} >= {
            "zoom",
            "help",
        }
        enabled = [binding.binding.id for binding in app.screen.active_bindings.values() if binding.enabled]
        assert not {"training.new-run", "training.generate", "app.palette", "app.generation"} & set(enabled)
        await pilot.press("z")
        assert len(app.screen_stack) == 2  # looking closer is watching
    assert files_of(store) == before


async def test_the_same_keys_do_something_elsewhere(store: Store, macbeth: Run) -> None:
    app = ShakegptApp(store, watch=macbeth)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.screen.has_class("-run"))
        await pilot.press("n")
        await until(pilot, lambda: len(app.screen_stack) == 2)


async def test_commands_reach_no_run_that_may_only_be_watched(store: Store, macbeth: Run) -> None:
    app = ShakegptApp(store, watch=macbeth, only_watch=True)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.context.training is not None)
        assert app.context.training is not None
        assert app.context.training.read_only


def test_the_driver_of_a_browser_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_browser()
    assert driver_class() is not None
    monkeypatch.setenv("TEXTUAL_DRIVER", WEB_DRIVER)
    assert in_browser()
    assert driver_class() is None


def test_only_a_run_can_be_served(store: Store, invoke: Invoke) -> None:
    assert "can only be watched" in one_sentence(invoke(env={"TEXTUAL_DRIVER": WEB_DRIVER}), 2)


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGINT", "closed"])
def test_the_process_behind_a_page_ends(macbeth: Run, ending: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "shakegpt", "watch", "macbeth"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=command_environment({"TEXTUAL_DRIVER": WEB_DRIVER}),
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == b"__GANGLION__\n"
        shown = b""
        while b"macbeth" not in shown:  # the name of the run, on the first frame
            shown += os.read(process.stdout.fileno(), 1 << 16) or pytest.fail("it ended before it showed the run")
        if ending == "closed":
            process.stdin.close()
            process.stdin = None
        else:
            process.send_signal(signal.Signals[ending])
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert errors == b""
    assert json.dumps({"type": "exit"}).encode() in output


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_chromium_shows_the_run(macbeth: Run, tmp_path: Path) -> None:
    pytest.importorskip("textual_serve", reason="textual-serve is not installed")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "shakegpt", "watch", "macbeth", "--web", "--port", "8765"],
        stdout=subprocess.PIPE,
        env=command_environment(),
    )
    try:
        assert server.stdout is not None
        for line in server.stdout:
            if b"Press Ctrl+C" in line:
                break
        picture = tmp_path / "page.png"
        with api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            with page.expect_websocket() as opened:
                page.goto("http://127.0.0.1:8765/")
            opened.value.wait_for_event("framereceived")
            page.wait_for_function("document.body.classList.contains('-first-byte')")
            page.wait_for_timeout(3000)  # the page fades in, and says nothing of when it has
            page.screenshot(path=picture)
            browser.close()
        colours = {colour: cells for cells, colour in image.open(picture).convert("RGB").getcolors(1 << 24)}
    finally:
        server.terminate()
        server.communicate(timeout=60)
    assert colours[PRIMARY] > 500, os.fspath(picture)  # pixels of the app, not of the page that waits for it
