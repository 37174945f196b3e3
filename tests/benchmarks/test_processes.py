"""What only fresh processes show: how long shakegpt takes to start, and how fast two processes train as one.

Run with ``pytest tests/benchmarks/test_processes.py --benchmark-only -s -o addopts=""``: figures are printed, not
asserted on.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from shakegpt.runs.run import Run
from shakegpt.system.device import choose_device_plan
from shakegpt.system.processors import available_cores
from tests.tui.pseudo_terminal import TerminalApp

STARTS = 10
PAIRS = 3
STEPS = 40
FIRST_CHARACTER = """
import sys, time
import torch
start = time.perf_counter()
sys.argv[1:] = ["generate", "--length", "1", "--prompt", "", "--checkpoint", "macbeth"]
from shakegpt.cli import main
try:
    main()
finally:
    print(time.perf_counter() - start, file=sys.stderr)
"""


def run_python(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize("arguments", [("-m", "shakegpt", "--help"), ("-c", "import torch")], ids=["help", "torch"])
def test_start(benchmark: Any, arguments: tuple[str, ...]) -> None:
    benchmark.pedantic(run_python, arguments, rounds=STARTS)


def test_first_character_after_torch(benchmark: Any, macbeth: Run) -> None:
    def measure() -> float:
        return statistics.median(
            float(run_python("-c", FIRST_CHARACTER).stderr.strip().rpartition("\n")[2]) for _ in range(STARTS)
        )

    print(f"\nfirst character: {benchmark.pedantic(measure, rounds=1):.2f} s after torch's import")


def test_first_paint(benchmark: Any, tmp_path: Path) -> None:
    def measure() -> float:
        start = time.perf_counter()
        terminal = TerminalApp(home=tmp_path / "home")
        terminal.wait_for_text("Generate")  # the top line has the name of every screen
        seconds = time.perf_counter() - start
        terminal.signal(signal.SIGTERM)
        terminal.wait_for_exit()
        return seconds

    def median() -> float:
        return statistics.median(measure() for _ in range(STARTS))

    print(f"\nfirst paint: {benchmark.pedantic(median, rounds=1):.2f} s from starting the app")


def characters_per_second(*command: str, threads: int) -> float:
    """Return the median speed of a training's later half."""
    plan = choose_device_plan("cpu")
    options = ("--corpus", "demo", "--steps", str(STEPS), "--eval-every", str(STEPS), "--device", "cpu")
    done = run_python(
        *command, "train", *options, "--precision", plan.precision, "--json", OMP_NUM_THREADS=str(threads)
    )
    rates = [event["tokens_per_second"] for event in map(json.loads, done.stdout.splitlines()) if "grad_norm" in event]
    return statistics.median(rates[len(rates) // 2 :])


@pytest.mark.timeout(600)
@pytest.mark.skipif(available_cores() < 2, reason="two processes want a core each")
def test_two_processes_beside_threads(benchmark: Any, private_surroundings: Path) -> None:
    cores = available_cores()
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "--", "shakegpt")

    def measure() -> list[tuple[float, float]]:
        return [
            (
                characters_per_second(*torchrun, threads=cores // 2),
                characters_per_second("-m", "shakegpt", threads=cores),
            )
            for _ in range(PAIRS)
        ]

    pairs = benchmark.pedantic(measure, rounds=1)
    ratio = statistics.median(processes / threads for processes, threads in pairs)
    processes = statistics.median(processes for processes, _ in pairs)
    print(f"\ntwo processes: {processes:,.0f} characters/s under torchrun, {ratio:.2f} times threads in one process")
