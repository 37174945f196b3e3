"""What ``shakegpt bench`` can measure in processes of their own only: start-up, memory, and two that train as one.

Each process has an empty home and no settings of the user's, so that a ``config.toml`` or a ``SHAKEGPT_*`` variable
cannot change what is measured.
"""

import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from torch import distributed

from shakegpt.benchmark.timing import Rates
from shakegpt.data.catalog import find_corpus
from shakegpt.errors import ShakegptError
from shakegpt.model.language_model import LanguageModel
from shakegpt.runs.checkpoint import CheckpointData, write_checkpoint
from shakegpt.system.device import DevicePlan

_FIRST_CHARACTER = """
import sys, time
import torch
began = time.perf_counter()
sys.argv = ["shakegpt", "generate", "--length", "1", "--prompt", "", "--checkpoint", sys.argv[1]]
from shakegpt.cli import main
try:
    main()
except SystemExit as end:
    if end.code:
        raise
print(time.perf_counter() - began, file=sys.stderr)
"""
_PEAK_MEMORY = """
import re, resource, sys
from pathlib import Path
import torch
def peak():
    # Linux counts the process that started this one into ru_maxrss; VmHWM is this one's alone.
    if sys.platform == "linux":
        return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
_, preset, corpus = sys.argv
sys.argv = ["shakegpt", "train", "--preset", preset, "--corpus", corpus, "--steps", "20", "--eval-every", "10"]
from shakegpt.cli import main
try:
    main()
except SystemExit as end:
    if end.code:
        raise
print(peak() - before, file=sys.stderr)
"""
_COLUMNS, _ROWS = 120, 40
_ON_EVERY_SCREEN = b"Generation"  # the name of a screen, in the app's top line; what comes before sets up the terminal
_PATIENCE_SECONDS = 60.0
_PROCESSES = 2
_TRAINING_SECONDS = 6.0  # of each training, starting up aside: two of either kind then cost less than a minute
_FEWEST_STEPS, _MOST_STEPS = 20, 60
_TINY_SHAKESPEARE = 1_115_394
"""Its characters: the text, its token ids and its evaluation take memory too."""


# Start-up


def measure_start(language_model: LanguageModel, repeats: int) -> dict[str, float | None]:
    """Return how long shakegpt takes to begin, in seconds; medians.

    Args:
        language_model: what ``shakegpt generate`` is to load.
        repeats: how often each start is timed.

    Returns:
        ``help_seconds``: all of ``shakegpt --help``. ``torch_import_seconds``: torch's own import.
        ``first_character_seconds``: from there to the first character of ``shakegpt generate``.
        ``first_paint_seconds``: from starting the app to its first frame; ``None`` without pseudo-terminals.

    Raises:
        ShakegptError: a process has failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "checkpoint"
        weights = language_model.model.state_dict()
        contents = CheckpointData(
            config=language_model.model.config, vocabulary=language_model.vocabulary, weights=weights, step=0
        )
        write_checkpoint(checkpoint, contents)
        return {
            "help_seconds": _median(lambda: _wall_seconds("-m", "shakegpt", "--help"), repeats),
            "torch_import_seconds": _median(lambda: _wall_seconds("-c", "import torch"), repeats),
            "first_character_seconds": _median(
                lambda: float(_last_word(_run("-c", _FIRST_CHARACTER, str(checkpoint)))), repeats
            ),
            "first_paint_seconds": _median(first_paint_seconds, repeats),
        }


def first_paint_seconds() -> float | None:
    """Return the seconds from starting the app in a terminal of 120 x 40 to its first frame.

    ``None`` where there are no pseudo-terminals.

    Raises:
        ShakegptError: the app has ended without painting, or has not painted in a minute.
    """
    try:
        import fcntl
        import termios

        terminal, its_end = os.openpty()
    except (ImportError, OSError):
        return None
    try:
        fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "shakegpt"],
                env=_surroundings(folder, TERM="xterm-256color"),
                stdin=its_end,
                stdout=its_end,
                stderr=its_end,
                start_new_session=True,
            )
            os.close(its_end)
            try:
                _read_until(terminal, _ON_EVERY_SCREEN)
                return time.perf_counter() - began
            finally:
                _end(process, terminal)
    finally:
        os.close(terminal)


def _read_until(terminal: int, words: bytes) -> None:
    written = b""
    while words not in written:
        if not (data := _read(terminal)):
            raise ShakegptError("The app was started to time its first paint, but it painted nothing.")
        written += data


def _read(terminal: int) -> bytes:
    """Return what comes next from a terminal; nothing when its program has ended or is silent for a minute."""
    with suppress(OSError):  # how Linux says that nobody holds the other end any more
        if select.select([terminal], [], [], _PATIENCE_SECONDS)[0]:
            return os.read(terminal, 65536)
    return b""


def _end(process: "subprocess.Popen[bytes]", terminal: int) -> None:
    """Ask the app to end as a closing terminal does, reading what it still writes."""
    process.terminate()
    while _read(terminal):
        pass
    process.kill()
    process.wait()


# Memory


def measure_memory(preset: str, characters: int = _TINY_SHAKESPEARE) -> dict[str, int]:
    """Return the most memory that a short training takes beyond an ``import torch``, in bytes.

    Args:
        preset: the size of the model and the batch.
        characters: the length of the text; the demo's over and over.

    Raises:
        ShakegptError: the training has failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "corpus.txt"
        demo = find_corpus("demo").path.read_text(encoding="utf-8")
        text.write_text((demo * (characters // len(demo) + 1))[:characters], encoding="utf-8")
        return {"train_peak_bytes_over_torch": int(_last_word(_run("-c", _PEAK_MEMORY, preset, str(text))))}


# Two processes that train as one


def measure_distributed(
    device_plan: DevicePlan, preset: str, *, tokens_per_step: int, tokens_per_second: float, repeats: int
) -> dict[str, Any] | None:
    """Return the speed of a training over two processes, and how it compares with threads in one.

    The same short training on the demo text runs under ``torchrun`` and plain, in turn, on the same cores.

    Args:
        device_plan: where, and in which precision.
        preset: what to train.
        tokens_per_step: characters that an optimizer step learns from.
        tokens_per_second: what to expect; a training takes as many steps as fit into some seconds.
        repeats: how often each way has its turn.

    Returns:
        ``processes``; ``tokens_per_second``, over all of them; ``over_threads``, the median ratio to a training in one
        process. ``None`` where there is no CPU with a core for each process, or torch cannot let them talk. Where the
        processes have failed, ``failure`` says how, and the figures are ``None``.

    Raises:
        ShakegptError: the training in one process has failed.
    """
    cores = device_plan.threads
    can_talk = distributed.is_available() and distributed.is_gloo_available()
    if device_plan.device.type != "cpu" or cores < _PROCESSES or not can_talk:
        return None
    steps = round(_TRAINING_SECONDS * tokens_per_second / tokens_per_step)
    steps = min(max(steps, _FEWEST_STEPS), _MOST_STEPS)
    training = [
        *("shakegpt", "train", "--preset", preset, "--corpus", "demo", "--steps", str(steps)),
        *("--eval-every", str(steps), "--device", "cpu", "--precision", device_plan.precision, "--json"),
    ]
    together = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={_PROCESSES}", "-m", "--", *training]
    two, one = [], []
    for _ in range(repeats):
        try:
            two.append(_training_rate(together, threads=cores // _PROCESSES))
        except ShakegptError as error:  # such as a machine that does not know its own name: no reason to lose the rest
            return {"processes": _PROCESSES, "tokens_per_second": None, "over_threads": None, "failure": str(error)}
        one.append(_training_rate(["-m", *training], threads=cores))
    processes, threads = Rates(tuple(two)), Rates(tuple(one))
    return {
        "processes": _PROCESSES,
        "tokens_per_second": round(processes.median, 1),
        "over_threads": round(processes.over(threads), 3),
    }


def _training_rate(arguments: Sequence[str], *, threads: int) -> float:
    """Return the median characters a second of a training's later half, while nothing warms up any more."""
    lines = _run(*arguments, OMP_NUM_THREADS=str(threads)).stdout.splitlines()
    events = map(json.loads, lines)
    rates: list[float] = [event["tokens_per_second"] for event in events if event["event"] == "step"]
    return median(rates[len(rates) // 2 :])


# Running Python


def _median(measure: Callable[[], float | None], repeats: int) -> float | None:
    """Return the median in milliseconds' precision; ``None`` for what cannot be measured."""
    figures = [figure for _ in range(repeats) if (figure := measure()) is not None]
    return round(median(figures), 3) if figures else None


def _wall_seconds(*arguments: str) -> float:
    began = time.perf_counter()
    _run(*arguments)
    return time.perf_counter() - began


def _last_word(done: "subprocess.CompletedProcess[str]") -> str:
    return done.stderr.strip().rpartition("\n")[2]


def _run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run Python to its end; raise ``ShakegptError`` where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=_surroundings(folder, **environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        what = " ".join(argument for argument in arguments if "\n" not in argument)
        raise ShakegptError(f"`python {what}`, run to be measured, has failed ({_reason(done)}).")
    return done


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    """Return what a process says of its failure: in a sentence of ours among torchrun's, or in its last line."""
    lines = done.stderr.split("\n")
    ours = [line.removeprefix("shakegpt: ") for line in lines if line.startswith("shakegpt: ")]
    last = (ours or done.stderr.strip().split("\n"))[-1].strip(" .")
    return f"exit code {done.returncode}; {last or 'it left no word'}"


def _surroundings(folder: str, **environment: str) -> dict[str, str]:
    """Return the environment of a process that is to find nothing of the user's, with some variables set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHAKEGPT_")}
    return {**kept, "SHAKEGPT_HOME": f"{folder}/home", "XDG_CONFIG_HOME": f"{folder}/config", **environment}
