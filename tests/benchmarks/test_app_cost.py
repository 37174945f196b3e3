"""What showing a training costs: its speed in the app beside its speed without, keys, and bytes to the terminal.

Run with ``pytest tests/benchmarks/test_app_cost.py --benchmark-only -s -o addopts=""``, with Tiny Shakespeare at hand
(``$SHAKEGPT_CORPUS_PATH``): figures are printed, not asserted on.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from shakegpt.events import Step
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from tests.tui.pseudo_terminal import TerminalApp

SETTLING_SECONDS = 8.0
WATCHED_SECONDS = 20.0
KEYS = ("\t", "\x1b[Z")  # to the next panel and back: each paints
PRESSES = 20


def speed(run: Run) -> float:
    """Return the median characters a second of a run's later steps."""
    rates = [event.tokens_per_second for event in run.log.events() if isinstance(event, Step)]
    return statistics.median(rates[len(rates) // 3 :])


def look(terminal: TerminalApp, seconds: float) -> int:
    """Read what the app sends for a while; return how many bytes."""
    before, end = len(terminal.written), time.monotonic() + seconds
    while time.monotonic() < end:
        terminal._read(0.05)
    return len(terminal.written) - before


def key_to_paint(terminal: TerminalApp, key: str) -> float:
    """Return the seconds from a key to the next bytes, after a moment of silence."""
    while terminal._read(0.15):
        pass
    began = time.monotonic()
    terminal.type(key)
    terminal._read(5.0)
    return time.monotonic() - began


@pytest.mark.timeout(300)
def test_training_in_the_app(benchmark: Any, tiny_shakespeare_path: Path, tmp_path: Path) -> None:
    corpus = {"SHAKEGPT_CORPUS_PATH": str(tiny_shakespeare_path)}

    def measure() -> dict[str, float]:
        terminal = TerminalApp(home=tmp_path / "app", **corpus)
        terminal.wait_for_text("letters/s")
        terminal.type("1")
        terminal.wait_for_text("New run")
        terminal.type("n")
        terminal.wait_for_text("Start training")
        terminal.type("\t\t\r")  # past the two lists, into the name
        terminal.wait_for_text("characters/s")
        look(terminal, SETTLING_SECONDS)
        sent = look(terminal, WATCHED_SECONDS)
        delays = [key_to_paint(terminal, KEYS[number % 2]) for number in range(PRESSES)]
        terminal.type("Xy")
        terminal.wait_for_text("STOPPED")
        terminal.type("\x11")
        terminal.wait_for_exit()
        command = [sys.executable, "-m", "shakegpt", "train"]
        environment = {**os.environ, **corpus, "SHAKEGPT_HOME": str(tmp_path / "headless")}
        headless = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(SETTLING_SECONDS + WATCHED_SECONDS)
        headless.terminate()
        headless.wait()
        return {
            "in the app": speed(Store(tmp_path / "app").runs()[0]),
            "headless": speed(Store(tmp_path / "headless").runs()[0]),
            "bytes/s": sent / WATCHED_SECONDS,
            "median ms": 1000 * statistics.median(delays),
            "worst ms": 1000 * max(delays),
        }

    figures = benchmark.pedantic(measure, rounds=1)
    share = figures["in the app"] / figures["headless"]
    print(
        f"\ntraining: {figures['in the app']:,.0f} characters/s in the app, {figures['headless']:,.0f} headless "
        f"({share:.0%}); {figures['bytes/s']:,.0f} bytes/s; key to paint {figures['median ms']:.0f} ms, "
        f"worst {figures['worst ms']:.0f} ms"
    )
