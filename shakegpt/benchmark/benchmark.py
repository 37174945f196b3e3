"""What ``shakegpt bench`` measures: shakegpt's speed, the machine's own limits, and the same model in transformers.

The workloads take turns, in rounds. A speed is the median over the rounds; a ratio is the median of the ratios within
each round.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from shakegpt.benchmark.timing import Rates, Report, Turn, Work, measure_rate, take_turns
from shakegpt.benchmark.training_steps import TrainingSteps, measure_presets
from shakegpt.benchmark.transformers_baseline import recipe_for, start_baseline
from shakegpt.benchmark.whole_command import run_whole_command
from shakegpt.config import DEFAULT_PRESET, SamplingConfig
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.generation.samples import generate_samples
from shakegpt.generation.stream import Stream
from shakegpt.model.gpt import GPT
from shakegpt.model.language_model import LanguageModel
from shakegpt.system.device import DevicePlan, training_kernels
from shakegpt.system.threads import ThreadPool, torch_threads
from shakegpt.training.gradients import DTYPES

_SAMPLES = 32
_MATRIX_SIZE = 2048
_COPIED_FLOATS = 2**25  # 128 MB, beyond any cache
_CHARACTERS = "\n !$&',-.3:;?" + "".join(chr(code) for code in (*range(65, 91), *range(97, 123)))  # Tiny Shakespeare's
_SHORT_TRAINING = 20
"""Steps of the whole command on a CPU."""
_PRESETS_ON_GPU = ("mini", "baby", "gpt2")


def measure(
    device_plan: DevicePlan,
    *,
    preset: str = DEFAULT_PRESET,
    against: str | None = None,
    train_steps: int | None = None,
    rounds: int = 7,
    seconds: float = 0.5,
    report: Report = lambda _: None,
) -> dict[str, Any]:
    """Return the results that ``shakegpt bench --json`` prints.

    Args:
        device_plan: where to compute, and in which precision.
        preset: the size of the model and the batch.
        against: ``transformers`` to measure that as well.
        train_steps: of the whole command ``train``; where left out, few on a CPU, and elsewhere those of the preset
            up to the first evaluation.
        rounds: how many turns each workload has.
        seconds: the shortest duration of a turn.
        report: called with a few words after each part.

    Raises:
        ShakegptError: transformers is not installed, or a process that is measured has failed.
    """
    on_cpu, vocab_size = device_plan.device.type == "cpu", len(_CHARACTERS)
    presets = _PRESETS_ON_GPU if device_plan.device.type == "cuda" else ()
    by_preset = measure_presets(device_plan, presets, vocab_size, rounds=rounds, seconds=seconds, report=report)
    workloads = Workloads(device_plan, preset)
    config, training = workloads.config, workloads.training
    turns = workloads.turns()
    baseline_process = start_baseline(config, training, device=device_plan.device, threads=device_plan.threads)
    with baseline_process if against else nullcontext() as baseline:
        if baseline is not None:
            turns |= {f"baseline {task}": partial(baseline.rate, task) for task in ("train", "generate")}
        rates = take_turns(turns, rounds, seconds, report)
    command = run_whole_command(
        device_plan, preset, train_steps or (_SHORT_TRAINING if on_cpu else training.eval_every)
    )
    report("the whole command")
    train, generate = rates["train"], rates["generate"]
    flops_per_character = 6 * config.parameters  # 2 forward and 4 backward for each weight
    train_flops = Rates(tuple(flops_per_character * rate for rate in train.rounds))
    results: dict[str, Any] = {
        "device": device_plan.device.type,
        "device_name": device_plan.name,
        "precision": device_plan.precision,
        "threads": device_plan.threads,
        "preset": preset,
        "parameters": config.parameters,
        "rounds": rounds,
        "limits": {
            "matmul_flops_per_second": round(rates["matmul"].median),
            "memory_bytes_per_second": round(rates["copy"].median),
        },
        "train": {
            "tokens_per_second": round(train.median, 1),
            "spread": train.spread(),
            "matmul_fraction": round(train_flops.over(rates["matmul"]), 4),
            "step_seconds": round(training.batch_size * config.block_size / train.median, 6),
        },
        "generate": {
            "characters_per_second": round(generate.median, 1),
            "spread": generate.spread(),
            "uncached_characters_per_second": round(rates["uncached"].median, 1),
            "over_uncached": round(generate.over(rates["uncached"]), 2),
            "samples": _SAMPLES,
            "samples_characters_per_second": round(rates["samples"].median, 1),
            "samples_over_one": round(rates["samples"].over(generate), 2),
            "samples_past_window_characters_per_second": round(rates["samples past window"].median, 1),
            "samples_past_window_over_one": round(rates["samples past window"].over(generate), 2),
            "while_training_characters_per_second": round(rates["generate while training"].median, 1),
        },
        "memory": {"train_peak_bytes_over_torch": command.peak_bytes_over_torch},
        "command": {
            "steps": command.steps,
            "eval_every": command.eval_every,
            "seconds": round(sum(command.seconds.values()), 3),
            "split": {part: round(seconds, 3) for part, seconds in command.seconds.items()},
        },
    }
    if by_preset:
        results["presets"] = by_preset
    if baseline is not None:
        recipe = recipe_for(device_plan.device)
        about = {"name": against, "version": baseline.version, "precision": recipe.precision, "compiled": recipe.tuned}
        results["against"] = about | {
            task: {
                unit: round(rates[f"baseline {task}"].median, 1),
                "spread": rates[f"baseline {task}"].spread(),
                "ratio": round(rates[task].over(rates[f"baseline {task}"]), 2),
            }
            for task, unit in (("train", "tokens_per_second"), ("generate", "characters_per_second"))
        }
    return results


class Workloads:
    """What is measured in this process: each method does a piece of work and returns how much that was."""

    def __init__(self, device_plan: DevicePlan, preset: str) -> None:
        self.vocabulary = Vocabulary(_CHARACTERS)
        self._steps = TrainingSteps(device_plan, preset, len(self.vocabulary))
        self.config, self.training, self._ids = self._steps.config, self._steps.training, self._steps.ids
        self._device, self._threads = device_plan.device, device_plan.threads
        self._pool = ThreadPool(device_plan.threads)
        self._settings = SamplingConfig(length=4 * self.config.block_size, seed=0)
        model = GPT(self.config, seed=1).to(device_plan.device)  # apart from the one that trains
        self.language_model = LanguageModel(model=model, vocabulary=self.vocabulary, name="bench")
        dtype = DTYPES[device_plan.precision]
        self._matrix = torch.ones((_MATRIX_SIZE, _MATRIX_SIZE), dtype=dtype, device=device_plan.device)
        self._floats = torch.zeros(_COPIED_FLOATS, device=device_plan.device)
        self._copied = torch.zeros_like(self._floats)

    def turns(self) -> dict[str, Turn]:
        """Return what ``take_turns`` measures, by name."""
        workloads: dict[str, Work] = {
            "train": self.train,
            "matmul": self.multiply,
            "copy": self.copy,
            "generate": self.generate,
            "uncached": self.generate_uncached,
            "samples": self.generate_samples,
            "samples past window": self.generate_samples_past_window,
        }
        turns: dict[str, Turn] = {name: partial(self._turn, work) for name, work in workloads.items()}
        return turns | {"generate while training": self._turn_while_training}

    def _turn(self, work: Work, seconds: float) -> float:
        return measure_rate(work, seconds, self._device)

    def _turn_while_training(self, seconds: float) -> float:
        with self._training_thread():
            return self._turn(self.generate, seconds)

    @contextmanager
    def _training_thread(self) -> Iterator[None]:
        stopping = threading.Event()

        def train() -> None:
            while not stopping.is_set():
                self.train()

        thread = threading.Thread(target=train)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def train(self) -> float:
        """Take optimizer steps; in characters."""
        return self._steps.train()

    def multiply(self) -> float:
        """Multiply two matrices in the training's precision, on all cores; in floating-point operations."""
        with torch_threads(self._threads), training_kernels(self._device):
            torch.mm(self._matrix, self._matrix)
        return 2.0 * _MATRIX_SIZE**3

    def copy(self) -> float:
        """Copy from memory to memory, on all cores; in bytes read and written."""
        with torch_threads(self._threads):
            self._copied.copy_(self._floats)
        return 2.0 * self._floats.nbytes

    def generate(self) -> float:
        """Generate four context windows of one stream on one core; in characters."""
        return sum(1 for _ in Stream(self.language_model, "\n", self._settings))

    def generate_uncached(self) -> float:
        """Draw one character on one core from the logits of the whole window, without a cache; in characters."""
        window = self._ids[None, : self.config.block_size]
        with torch_threads(1), torch.inference_mode():
            logits = self.language_model.model(window)[:, -1]
            torch.multinomial(logits.float().softmax(dim=-1), 1)
        return 1

    def generate_samples(self) -> float:
        """Fill the context window of many samples from a single character, over all cores; in characters."""
        return self._generate_samples("\n", self.config.block_size - 1)

    def generate_samples_past_window(self) -> float:
        """Continue many samples past the context window, over all cores; in characters.

        There, half a window is prefilled for every half that is generated. The samples do this twice: once for the
        prompt, half a window long, and once past the window.
        """
        half = self.config.block_size // 2
        prompt = self.vocabulary.decode(self._ids[:half].tolist())
        return self._generate_samples(prompt, 2 * (half + 1))

    def _generate_samples(self, prompt: str, length: int) -> float:
        settings = replace(self._settings, length=length)
        samples = generate_samples(self.language_model, prompt, settings, _SAMPLES, pool=self._pool)
        return sum(len(sample.text) for sample in samples)
