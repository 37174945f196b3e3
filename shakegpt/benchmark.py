"""How fast shakegpt is on this machine, next to the machine's own limits and to a peer.

All that computes is measured in this process, in turn: each round gives every task its moment, so that whatever else
the machine does meets all of them alike. Figures are medians over the rounds with the lowest and the highest; ratios
are medians of the ratios within a round. Start-up and memory need processes of their own.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from shakegpt.checkpoint import write_checkpoint
from shakegpt.config import PRESETS, ModelConfig, SamplingConfig, TrainingConfig
from shakegpt.corpus import draw_batch
from shakegpt.device import Placement
from shakegpt.gradients import DTYPES, Gradients
from shakegpt.model import GPT
from shakegpt.optimizer import Optimizer
from shakegpt.peer import TransformersPeer
from shakegpt.sampling import Speaker, Stream, write_samples
from shakegpt.vocabulary import Vocabulary
from shakegpt.workers import Workers

ROUNDS = 7
_SECONDS = 0.5  # of each task in each round
_SAMPLES = 32
_MATRIX = 2048
_COPIED_FLOATS = 2**25  # 128 MB, beyond any cache
_CHARACTERS = "\n !$&',-.3:;?" + "".join(chr(code) for code in (*range(65, 91), *range(97, 123)))  # Tiny Shakespeare's

Task = Callable[[], float]
"""Does some work and returns how many units it was: characters, floating-point operations or bytes."""
OnRound = Callable[[int, int], None]


@dataclass(frozen=True)
class Rates:
    """What a task did in a second, round by round."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return median(self.rounds)

    def over(self, other: "Rates") -> float:
        """Return the median ratio to another task, each round with its own."""
        return median(a / b for a, b in zip(self.rounds, other.rounds, strict=True))

    def spread(self) -> list[float]:
        """Return the lowest and the highest."""
        return [round(min(self.rounds), 1), round(max(self.rounds), 1)]


def measure(
    placement: Placement,
    *,
    preset: str = "seed",
    against: str | None = None,
    rounds: int = ROUNDS,
    seconds: float = _SECONDS,
    starts: int = 3,
    on_round: OnRound = lambda _done, _of: None,
) -> dict[str, Any]:
    """Return the figures that ``shakegpt bench --json`` prints.

    Args:
        placement: where, and in which precision.
        preset: the size of the model and the batch.
        against: ``transformers`` to measure the peer as well.
        rounds: how often each task has its turn.
        seconds: the least that a turn takes.
        starts: how often each start-up is timed.
        on_round: called with the rounds done and the rounds in all.

    Raises:
        ShakegptError: the peer is not installed.
    """
    bench = Bench(placement, preset, against)
    rates = bench.run(rounds, seconds, on_round)
    threads = placement.threads
    flops_per_character = 6 * bench.config.parameters  # two to go forward, four to come back, for every weight
    share = Rates(tuple(flops_per_character * rate for rate in rates["train"].rounds)).over(rates["matmul"])
    figures: dict[str, Any] = {
        "device": placement.device.type,
        "device_name": placement.name,
        "precision": placement.precision,
        "threads": threads,
        "preset": preset,
        "parameters": bench.config.parameters,
        "rounds": rounds,
        "limits": {
            "matmul_flops_per_second": round(rates["matmul"].median),
            "memory_bytes_per_second": round(rates["copy"].median),
        },
        "train": {
            "tokens_per_second": round(rates["train"].median, 1),
            "spread": rates["train"].spread(),
            "matmul_fraction": round(share, 4),
        },
        "generate": {
            "characters_per_second": round(rates["generate"].median, 1),
            "spread": rates["generate"].spread(),
            "uncached_characters_per_second": round(rates["uncached"].median, 1),
            "over_uncached": round(rates["generate"].over(rates["uncached"]), 2),
            "samples": _SAMPLES,
            "samples_characters_per_second": round(rates["samples"].median, 1),
            "samples_over_one": round(rates["samples"].over(rates["generate"]), 2),
            "while_training_characters_per_second": round(rates["generate while training"].median, 1),
        },
        "start": _measure_start(bench, starts),
        "memory": _measure_memory(preset),
    }
    if bench.peer is not None:
        figures["against"] = {
            "name": against,
            "version": bench.peer.version,
            "precision": "fp32",
            "train": {
                "tokens_per_second": round(rates["peer train"].median, 1),
                "spread": rates["peer train"].spread(),
                "ratio": round(rates["train"].over(rates["peer train"]), 2),
            },
            "generate": {
                "characters_per_second": round(rates["peer generate"].median, 1),
                "spread": rates["peer generate"].spread(),
                "ratio": round(rates["generate"].over(rates["peer generate"]), 2),
            },
        }
    return figures


class Bench:
    """The models, and the tasks that are measured on them.

    Args:
        placement: where, and in which precision.
        preset: the size of the model and the batch.
        against: ``transformers``, or nothing.
    """

    def __init__(self, placement: Placement, preset: str, against: str | None) -> None:
        self.vocabulary = Vocabulary(_CHARACTERS)
        self.config: ModelConfig = PRESETS[preset].model_config(len(self.vocabulary))
        self.training: TrainingConfig = PRESETS[preset].training_config()
        self.model = GPT(self.config, seed=0).to(placement.device)
        self.peer = TransformersPeer(self.config, self.training, placement.device) if against else None
        self._placement, self._device = placement, placement.device
        self._workers = Workers(placement.threads)
        self._settings = SamplingConfig(length=4 * self.config.block_size, seed=0)
        speaking = GPT(self.config, seed=1).to(placement.device)  # its weights rest while the other model trains
        self.speaker = Speaker(model=speaking, vocabulary=self.vocabulary, name="bench")
        generator = torch.Generator().manual_seed(0)
        self._ids = torch.randint(self.config.vocab_size, (100_000,), generator=generator).to(placement.device)
        self._step = 0
        self._optimizer = Optimizer(self.model, self.training, precision=placement.precision)
        self._gradients = Gradients(self.model, precision=placement.precision, seed=0, workers=self._workers)
        dtype = DTYPES[placement.precision]
        self._matrix = torch.ones((_MATRIX, _MATRIX), dtype=dtype, device=placement.device)
        self._floats = torch.zeros(_COPIED_FLOATS, device=placement.device)
        self._copied = torch.zeros_like(self._floats)

    def run(self, rounds: int, seconds: float, on_round: OnRound) -> dict[str, Rates]:
        """Measure every task in every round, after one that warms up."""
        tasks: dict[str, Task] = {
            "train": self.train,
            "matmul": self.multiply,
            "copy": self.copy,
            "generate": self.generate,
            "uncached": self.generate_uncached,
            "samples": self.generate_samples,
            "generate while training": self.generate,
        }
        if self.peer is not None:
            tasks |= {"peer train": self.train_peer, "peer generate": self.generate_peer}
        measured: dict[str, list[float]] = {name: [] for name in tasks}
        for number in range(rounds + 1):
            for name, task in tasks.items():
                if "while training" in name:
                    with self._training_beside():
                        rate = self._rate(task, seconds)
                else:
                    rate = self._rate(task, seconds)
                if number:
                    measured[name].append(rate)
            on_round(number, rounds)
        return {name: Rates(tuple(rates)) for name, rates in measured.items()}

    def _rate(self, task: Task, seconds: float) -> float:
        task()  # the caches forget much while the other tasks have their turns
        self._wait()
        units, elapsed, began = 0.0, 0.0, time.perf_counter()
        while not units or elapsed < seconds:
            units += task()
            self._wait()
            elapsed = time.perf_counter() - began
        return units / elapsed

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    @contextmanager
    def _training_beside(self) -> Iterator[None]:
        ended = threading.Event()

        def train() -> None:
            torch.set_num_threads(1)
            while not ended.is_set():
                self.train()

        thread = threading.Thread(target=train)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @contextmanager
    def _all_cores(self) -> Iterator[None]:
        """Torch's own threads, for what is not cut up by ``Workers``."""
        torch.set_num_threads(self._placement.threads)
        try:
            yield
        finally:
            torch.set_num_threads(1)

    # The tasks

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        self._step += 1
        return draw_batch(
            self._ids,
            self._step,
            seed=0,
            batch_size=self.training.batch_size,
            block_size=self.config.block_size,
            device=self._device,
        )

    def train(self) -> float:
        """One optimizer step, as the trainer takes it; in characters."""
        inputs, targets = self._batch()
        scale = self._optimizer.loss_scale
        loss = self._gradients.compute(
            inputs, targets, step=self._step, accumulate=self.training.accumulate, scale=scale
        )
        self._optimizer.step(self.training.learning_rate, loss)
        return inputs.numel()

    def train_peer(self) -> float:
        """The peer's step on a batch of the same size; in characters."""
        assert self.peer is not None
        inputs, _ = self._batch()
        with self._all_cores():
            self.peer.train(inputs)
        return inputs.numel()

    def multiply(self) -> float:
        """A matrix multiplication in the training's precision, on all cores; in floating-point operations."""
        with self._all_cores():
            torch.mm(self._matrix, self._matrix)
        return 2.0 * _MATRIX**3

    def copy(self) -> float:
        """A copy from memory to memory, on all cores; in bytes read and written."""
        with self._all_cores():
            self._copied.copy_(self._floats)
        return 2.0 * self._floats.nbytes

    def generate(self) -> float:
        """One stream, four windows long; in characters."""
        return sum(1 for _ in Stream(self.speaker, "\n", self._settings))

    @torch.inference_mode()
    def generate_uncached(self) -> float:
        """What one character costs when the whole window is computed for it; in characters."""
        window = self._ids[None, : self.config.block_size]
        logits = self.speaker.model(window)[:, -1]
        torch.multinomial(logits.float().softmax(dim=-1), 1)
        return 1

    def generate_samples(self) -> float:
        """Many samples in step, a window long, over all cores; in characters."""
        settings = self._settings.but(length=self.config.block_size - 1)
        written = write_samples(self.speaker, "\n", settings, _SAMPLES, workers=self._workers)
        return sum(len(sample.text) for sample in written)

    def generate_peer(self) -> float:
        """The peer's own generation with its cache, one stream, on one core, where it is faster; in characters."""
        assert self.peer is not None
        return self.peer.generate(self._settings.temperature)


_FIRST_CHARACTER = """
import sys, time
import torch
began = time.perf_counter()
sys.argv = ["shakegpt", "generate", "--length", "1", "--prompt", "O", "--checkpoint", sys.argv[1]]
from shakegpt.cli import main
try:
    main()
except SystemExit:
    pass
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
sys.argv = ["shakegpt", "train", "--preset", sys.argv[1], "--corpus", "demo", "--steps", "20", "--eval-every", "10"]
from shakegpt.cli import main
try:
    main()
except SystemExit:
    pass
print(peak() - before, file=sys.stderr)
"""


def _measure_start(bench: Bench, repeats: int) -> dict[str, float]:
    """Return the median seconds of ``--help``, of torch's own import, and from there to a first character."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint"
        write_checkpoint(
            path,
            config=bench.config,
            vocabulary=bench.vocabulary,
            weights=bench.speaker.model.state_dict(),
            step=0,
            val_loss=None,
            seconds=0,
        )
        return {
            "help_seconds": _median_wall(["-m", "shakegpt", "--help"], repeats),
            "torch_import_seconds": _median_wall(["-c", "import torch"], repeats),
            "first_character_seconds": round(
                median(float(_run(["-c", _FIRST_CHARACTER, str(path)])) for _ in range(repeats)), 3
            ),
        }


def _measure_memory(preset: str) -> dict[str, int]:
    """Return the most memory that a short training takes beyond an ``import torch``."""
    with tempfile.TemporaryDirectory() as folder:
        return {"train_peak_bytes_over_torch": int(_run(["-c", _PEAK_MEMORY, preset], SHAKEGPT_HOME=folder))}


def _median_wall(arguments: list[str], repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        _run(arguments)
        seconds.append(time.perf_counter() - began)
    return round(median(seconds), 3)


def _run(arguments: list[str], **environment: str) -> str:
    """Run a Python process and return the last line it wrote to standard error."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.strip().rpartition("\n")[2]
