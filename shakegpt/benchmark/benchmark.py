"""How fast shakegpt is on this machine, next to the machine's own limits and to a peer.

All that computes is measured in turn, in rounds. Figures are medians over the rounds with the lowest and the highest;
ratios are medians of the ratios within a round.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from shakegpt.benchmark.fresh_processes import measure_distributed, measure_memory, measure_start
from shakegpt.benchmark.timing import Rates, Task, Tell, Turn, measure_rate, take_turns
from shakegpt.benchmark.transformers_baseline import start_baseline
from shakegpt.config import PRESETS, ModelConfig, SamplingConfig, TrainingConfig
from shakegpt.data.corpus import draw_batch
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.generation.stream import Stream, generate_samples
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.device import DevicePlan, tf32_matmul
from shakegpt.system.threads import ThreadPool, torch_threads
from shakegpt.training.compiling import Compiler
from shakegpt.training.gradients import DTYPES, Gradients
from shakegpt.training.optimizer import Optimizer

ROUNDS = 7
_SECONDS = 0.5  # of each task in each round
_SAMPLES = 32
_MATRIX = 2048
_COPIED_FLOATS = 2**25  # 128 MB, beyond any cache
_CHARACTERS = "\n !$&',-.3:;?" + "".join(chr(code) for code in (*range(65, 91), *range(97, 123)))  # Tiny Shakespeare's


def measure(
    device_plan: DevicePlan,
    *,
    preset: str = "seed",
    against: str | None = None,
    rounds: int = ROUNDS,
    seconds: float = _SECONDS,
    starts: int = 3,
    trainings: int = 2,
    tell: Tell = lambda _: None,
) -> dict[str, Any]:
    """Return the figures that ``shakegpt bench --json`` prints.

    Args:
        device_plan: where, and in which precision.
        preset: the size of the model and the batch.
        against: ``transformers`` to measure the peer as well.
        rounds: how often each task has its turn.
        seconds: the least that a turn takes.
        starts: how often each start-up is timed.
        trainings: how often two processes train, and threads beside them.
        tell: called with what has been measured.

    Raises:
        ShakegptError: the peer is not installed, or a process that was to be measured has failed.
    """
    bench = Bench(device_plan, preset)
    turns, peer_version = bench.turns(), None
    peer_process = start_baseline(bench.config, bench.training, device=device_plan.device, threads=device_plan.threads)
    with peer_process if against else nullcontext() as peer:
        if peer is not None:
            peer_version = peer.version
            turns |= {"peer train": partial(peer.rate, "train"), "peer generate": partial(peer.rate, "generate")}
        rates = take_turns(turns, rounds, seconds, tell)
    flops_per_character = 6 * bench.config.parameters  # two to go forward, four to come back, for every weight
    share = Rates(tuple(flops_per_character * rate for rate in rates["train"].rounds)).over(rates["matmul"])
    one = rates["generate"]
    figures: dict[str, Any] = {
        "device": device_plan.device.type,
        "device_name": device_plan.name,
        "precision": device_plan.precision,
        "threads": device_plan.threads,
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
            "characters_per_second": round(one.median, 1),
            "spread": one.spread(),
            "uncached_characters_per_second": round(rates["uncached"].median, 1),
            "over_uncached": round(one.over(rates["uncached"]), 2),
            "samples": _SAMPLES,
            "samples_characters_per_second": round(rates["samples"].median, 1),
            "samples_over_one": round(rates["samples"].over(one), 2),
            "samples_past_window_characters_per_second": round(rates["samples past window"].median, 1),
            "samples_past_window_over_one": round(rates["samples past window"].over(one), 2),
            "while_training_characters_per_second": round(rates["generate while training"].median, 1),
        },
    }
    figures["start"] = measure_start(bench.language_model, starts)
    tell("start-up")
    figures["memory"] = measure_memory(preset)
    tell("memory")
    figures["distributed"] = measure_distributed(
        device_plan,
        preset,
        tokens_per_step=bench.training.batch_size * bench.config.block_size,
        tokens_per_second=rates["train"].median,
        repeats=trainings,
    )
    tell("two processes")
    if against is not None:
        figures["against"] = {"name": against, "version": peer_version, "precision": "fp32"} | {
            task: {
                unit: round(rates[f"peer {task}"].median, 1),
                "spread": rates[f"peer {task}"].spread(),
                "ratio": round(rates[task].over(rates[f"peer {task}"]), 2),
            }
            for task, unit in (("train", "tokens_per_second"), ("generate", "characters_per_second"))
        }
    return figures


class Bench:
    """The models, and the tasks that are measured on them in this process.

    Args:
        device_plan: where, and in which precision.
        preset: the size of the model and the batch.
    """

    def __init__(self, device_plan: DevicePlan, preset: str) -> None:
        self.vocabulary = Vocabulary(_CHARACTERS)
        self.config: ModelConfig = PRESETS[preset].model_config(len(self.vocabulary))
        self.training: TrainingConfig = PRESETS[preset].training_config()
        self.model = GPT(self.config, seed=0).to(device_plan.device)
        self._placement, self._device = device_plan, device_plan.device
        self._pool = ThreadPool(device_plan.threads)
        self._settings = SamplingConfig(length=4 * self.config.block_size, seed=0)
        speaking = GPT(self.config, seed=1).to(device_plan.device)  # its weights rest while the other model trains
        self.language_model = LanguageModel(model=speaking, vocabulary=self.vocabulary, name="bench")
        generator = torch.Generator().manual_seed(0)
        self._ids = torch.randint(self.config.vocab_size, (100_000,), generator=generator).to(device_plan.device)
        self._step = 0
        self._optimizer = Optimizer(self.model, self.training, precision=device_plan.precision)
        self._gradients = Gradients(
            self.model,
            precision=device_plan.precision,
            seed=0,
            pool=self._pool,
            compiler=Compiler(device_plan.device, self.training.steps),  # as for the preset's whole run
        )
        dtype = DTYPES[device_plan.precision]
        self._matrix = torch.ones((_MATRIX, _MATRIX), dtype=dtype, device=device_plan.device)
        self._floats = torch.zeros(_COPIED_FLOATS, device=device_plan.device)
        self._copied = torch.zeros_like(self._floats)

    def turns(self) -> dict[str, Turn]:
        """Return what ``take_turns`` measures, by name."""
        tasks: dict[str, Task] = {
            "train": self.train,
            "matmul": self.multiply,
            "copy": self.copy,
            "generate": self.generate,
            "uncached": self.generate_uncached,
            "samples": self.generate_samples,
            "samples past window": self.generate_samples_past_window,
        }
        turns: dict[str, Turn] = {name: partial(self._turn, task) for name, task in tasks.items()}
        return turns | {"generate while training": self._turn_beside_training}

    def _turn(self, task: Task, seconds: float) -> float:
        return measure_rate(task, seconds, self._device)

    def _turn_beside_training(self, seconds: float) -> float:
        with self._training_beside():
            return self._turn(self.generate, seconds)

    @contextmanager
    def _training_beside(self) -> Iterator[None]:
        ended = threading.Event()

        def train() -> None:
            while not ended.is_set():
                self.train()

        thread = threading.Thread(target=train)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

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

    @torch_threads(1)
    def train(self) -> float:
        """One optimizer step, as the trainer takes it; in characters."""
        inputs, targets = self._batch()
        scale = self._optimizer.loss_scale
        loss = self._gradients.compute(
            inputs, targets, step=self._step, accumulate=self.training.accumulate, scale=scale
        )
        self._optimizer.step(self.training.learning_rate, loss)
        return inputs.numel()

    def multiply(self) -> float:
        """A matrix multiplication in the training's precision, on all cores; in floating-point operations."""
        with torch_threads(self._placement.threads), tf32_matmul(self._device):
            torch.mm(self._matrix, self._matrix)
        return 2.0 * _MATRIX**3

    def copy(self) -> float:
        """A copy from memory to memory, on all cores; in bytes read and written."""
        with torch_threads(self._placement.threads):
            self._copied.copy_(self._floats)
        return 2.0 * self._floats.nbytes

    def generate(self) -> float:
        """One stream on one core, four windows long, three of them past the context; in characters."""
        return sum(1 for _ in Stream(self.language_model, "\n", self._settings))

    @torch_threads(1)
    @torch.inference_mode()
    def generate_uncached(self) -> float:
        """What one character costs, on one core too, when the whole window is computed for it; in characters."""
        window = self._ids[None, : self.config.block_size]
        logits = self.language_model.model(window)[:, -1]
        torch.multinomial(logits.float().softmax(dim=-1), 1)
        return 1

    def generate_samples(self) -> float:
        """Many samples in step over all cores, from a single character to the window's end; in characters."""
        return self._write_samples("\n", self.config.block_size - 1)

    def generate_samples_past_window(self) -> float:
        """Many samples in step over all cores, as they go on past the window; in characters.

        There, half a window is read again for each half that is written. The samples do that twice: what is read first
        is half a window of a prompt.
        """
        half = self.config.block_size // 2
        prompt = self.vocabulary.decode(self._ids[:half].tolist())
        return self._write_samples(prompt, 2 * (half + 1))

    def _write_samples(self, prompt: str, length: int) -> float:
        settings = replace(self._settings, length=length)
        written = generate_samples(self.language_model, prompt, settings, _SAMPLES, pool=self._pool)
        return sum(len(sample.text) for sample in written)
