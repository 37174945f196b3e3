"""What ``shakegpt bench --against transformers`` compares with: the same model in Hugging Face's transformers.

It runs in a process of its own, which shakegpt's set-up for speed (``configure_process``) does not reach. The process
measures itself on request, and waits for the next request without using a core.
"""

import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

import torch

from shakegpt.benchmark.timing import measure_rate
from shakegpt.config import ModelConfig, SamplingConfig, TrainingConfig
from shakegpt.errors import ShakegptError


class TransformersBaseline:
    """A running baseline process; ``start_baseline`` starts one.

    Raises:
        ShakegptError: transformers is not installed, or the process has ended; ``rate`` raises it too.
    """

    def __init__(self, process: multiprocessing.process.BaseProcess, connection: Connection, threads: int) -> None:
        self._process, self._connection, self._threads = process, connection, threads
        self.version: str = self._receive()
        """The version of transformers."""

    def rate(self, task: Literal["train", "generate"], seconds: float) -> float:
        """Measure a task for at least the given seconds and return its characters per second."""
        with suppress(BrokenPipeError):  # then there is no answer either
            self._connection.send((task, self._threads if task == "train" else 1, seconds))
        return float(self._receive())

    def _receive(self) -> Any:
        try:
            answer = self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            code = self._process.exitcode
            raise ShakegptError(f"The process that runs transformers has ended with exit code {code}.") from None
        if isinstance(answer, ShakegptError):
            raise answer
        return answer


@contextmanager
def start_baseline(
    config: ModelConfig, training: TrainingConfig, *, device: torch.device, threads: int
) -> Iterator[TransformersBaseline]:
    """Start the baseline's process, and end it on exit.

    Args:
        config: the shape of the model.
        training: the batch size, learning rate, betas, weight decay and clipping.
        device: where it computes.
        threads: torch's intra-op threads for training; generation uses one, which is faster.

    Raises:
        ShakegptError: transformers is not installed, or the process has ended.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would have this process's settings
    connection, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(theirs, config, training, device), daemon=True)
    process.start()
    theirs.close()  # so that the end of either process closes the pipe for the other
    try:
        yield TransformersBaseline(process, connection, threads)
    finally:
        process.kill()
        process.join()


@dataclass(frozen=True)
class Recipe:
    """How transformers is run."""

    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the training: bf16 by autocast, fp32 with matrix products in TF32 where ``tuned``."""
    tuned: bool = False
    """With TF32, the fused kernel of AdamW and ``torch.compile``."""


def recipe_for(device: torch.device) -> Recipe:
    """Return how its users would train on a device: on a CUDA GPU with all that makes it fast, elsewhere as it is."""
    if device.type != "cuda":
        return Recipe()
    return Recipe("bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32", tuned=True)


class Transformers:
    """Hugging Face's ``GPT2LMHeadModel`` with the same shape and dropout, trained with AdamW.

    A step is that of its trainer: loss, backward, clipping, AdamW.

    Raises:
        ShakegptError: transformers is not installed.
    """

    def __init__(self, config: ModelConfig, training: TrainingConfig, device: torch.device, recipe: Recipe) -> None:
        try:
            import transformers
        except ImportError:
            raise ShakegptError(
                "The comparison needs transformers; install it with `pip install 'shakegpt[bench]'`."
            ) from None
        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        self.version = str(transformers.__version__)
        self._config, self._training, self._device, self._recipe = config, training, device, recipe
        if recipe.tuned:
            torch.set_float32_matmul_precision("high")
        model: Any = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(
                vocab_size=config.vocab_size,
                n_positions=config.block_size,
                n_embd=config.d_model,
                n_layer=config.n_layer,
                n_head=config.n_head,
                n_inner=config.d_ff,
                embd_pdrop=config.dropout,
                resid_pdrop=config.dropout,
                attn_pdrop=config.dropout,
                bos_token_id=0,
                eos_token_id=None,
                pad_token_id=0,
            )
        )
        self._model = model.to(device)
        self._trained: Any = torch.compile(self._model) if recipe.tuned else self._model
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(),
            lr=training.learning_rate,
            betas=(training.beta1, training.beta2),
            weight_decay=training.weight_decay,
            fused=recipe.tuned or None,
        )

    def train(self) -> float:
        """Take one optimizer step on a batch of random characters; in characters."""
        shape = (self._training.batch_size, self._config.block_size)
        ids = torch.randint(self._config.vocab_size, shape, device=self._device)  # (B, T)
        self._model.train()
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._recipe.precision == "bf16"):
            loss = self._trained(input_ids=ids, labels=ids).loss  # it shifts the targets itself
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._training.grad_clip)
        self._optimizer.step()
        return ids.numel()

    def generate(self) -> float:
        """Fill the context window from a single character, with a cache, which cannot go past it; in characters."""
        self._model.eval()
        count = self._config.block_size - 1
        start = torch.zeros((1, 1), dtype=torch.int64, device=self._device)
        with torch.inference_mode():
            self._model.generate(
                start,
                attention_mask=torch.ones_like(start),
                max_new_tokens=count,
                min_new_tokens=count,
                do_sample=True,
                temperature=SamplingConfig.temperature,
                top_k=0,
            )
        return count


def serve(connection: Connection, config: ModelConfig, training: TrainingConfig, device: torch.device) -> None:
    """Send the version of transformers, then measure on request until the other end is closed.

    A request is a task, torch's intra-op threads for it, and seconds; the answer is characters per second. An error is
    sent as a ``ShakegptError``, and is the last answer.
    """
    os.dup2(2, 1)  # what libraries print must not mix with the results on standard output
    try:
        model = Transformers(config, training, device, recipe_for(device))
        connection.send(model.version)
        while True:
            task, threads, seconds = connection.recv()
            torch.set_num_threads(threads)
            connection.send(measure_rate(getattr(model, task), seconds, device))
    except EOFError:
        return
    except ShakegptError as error:
        connection.send(error)
    except Exception as error:
        connection.send(ShakegptError(f"transformers failed: {type(error).__name__}: {error}"))
