"""The peer that ``shakegpt bench --against transformers`` measures: the same model in their hands.

It has a process of its own, as its users have it. What shakegpt sets up for itself (one intra-op thread, freed memory
that is kept) holds for a whole process and would change how transformers runs, so the peer's process imports nothing
that does so. It measures itself when it is asked, and waits for the next request without using a core.

Requests go to its standard input and answers come from its standard output, a JSON object a line::

    {"model": {...}, "training": {...}, "device": "cpu", "threads": 2}    ->  {"version": "5.0.0"}
    {"task": "train", "seconds": 0.5}                                     ->  {"rate": 7000.0}

It ends when its standard input does, and so with whoever asks, however that ends.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import IO, Any, Literal, TextIO

import torch

from shakegpt.benchmark.timing import Task, measure_rate
from shakegpt.config import ModelConfig, SamplingConfig, TrainingConfig
from shakegpt.errors import ShakegptError

# The side that asks


class TransformersBaseline:
    """Speaks with the peer's process; ``start_baseline`` makes one.

    Args:
        process: with unbuffered pipes to its standard input and output.
        errors: the file that its standard error goes to.
        settings: its first request.

    Raises:
        ShakegptError: transformers is not installed, or the process has ended; so does ``rate``.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", errors: IO[bytes], settings: dict[str, Any]) -> None:
        self._process, self._errors = process, errors
        self.version = str(self._ask(settings)["version"])
        """Of transformers."""

    def rate(self, task: Literal["train", "generate"], seconds: float) -> float:
        """Let the peer work for at least so many seconds and return its characters a second."""
        return float(self._ask({"task": task, "seconds": seconds})["rate"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # nor will there be an answer
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise ShakegptError(self._obituary())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ShakegptError(answer["error"])
        return answer

    def _obituary(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2].rstrip(".")
        return f"The process that runs transformers has ended with exit code {code}: {last or 'it left no word'}."


@contextmanager
def start_baseline(
    config: ModelConfig, training: TrainingConfig, *, device: torch.device, threads: int
) -> Iterator[TransformersBaseline]:
    """Start the peer's process, and end it on leaving.

    Args:
        config: the shape of its model.
        training: its batch size, learning rate, betas, decay and clipping.
        device: where it computes.
        threads: torch's intra-op threads while it trains; it generates on one, where it is faster.

    Raises:
        ShakegptError: transformers is not installed, or the process has ended.
    """
    settings = {"model": asdict(config), "training": asdict(training), "device": str(device), "threads": threads}
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            [sys.executable, "-m", "shakegpt.benchmark.transformers_baseline"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
        ) as process,
    ):
        try:
            yield TransformersBaseline(process, errors, settings)
        finally:
            process.kill()  # it has nothing to lose


# The peer's own process


class Transformers:
    """Hugging Face's ``GPT2LMHeadModel`` with the same shape and dropout, in plain fp32 with AdamW.

    Its trainer's usual step: loss, backward, clipping, AdamW, eager. Faster ways to drive it may exist; this is how it
    comes.

    Args:
        config: the shape.
        training: the batch size, the learning rate, the betas, the decay and the clipping.
        device: where.

    Raises:
        ShakegptError: transformers is not installed.
    """

    def __init__(self, config: ModelConfig, training: TrainingConfig, device: torch.device) -> None:
        try:
            import transformers
        except ImportError:
            raise ShakegptError(
                "The comparison needs transformers; install it with `pip install 'shakegpt[bench]'`."
            ) from None
        transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        self.version = str(transformers.__version__)
        self._config, self._training, self._device = config, training, device
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
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(),
            lr=training.learning_rate,
            betas=(training.beta1, training.beta2),
            weight_decay=training.weight_decay,
        )

    def train(self) -> float:
        """Take one step on a batch of random characters, as large as ours; in characters."""
        shape = (self._training.batch_size, self._config.block_size)
        ids = torch.randint(self._config.vocab_size, shape, device=self._device)  # (B, T)
        self._model.train()
        loss = self._model(input_ids=ids, labels=ids).loss  # it shifts the targets itself
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._training.grad_clip)
        self._optimizer.step()
        return ids.numel()

    def generate(self) -> float:
        """Fill one window from a single character, with its cache, which cannot go past it; in characters."""
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


def serve(requests: Iterator[str], answers: TextIO) -> None:
    """Answer requests, a JSON object a line, until there are no more."""

    def answer(**values: object) -> None:
        print(json.dumps(values), file=answers, flush=True)

    settings = json.loads(next(requests))
    device = torch.device(settings["device"])
    try:
        theirs = Transformers(ModelConfig(**settings["model"]), TrainingConfig(**settings["training"]), device)
    except ShakegptError as error:
        answer(error=str(error))
        return
    answer(version=theirs.version)
    tasks: dict[str, tuple[Task, int]] = {
        "train": (theirs.train, settings["threads"]),
        "generate": (theirs.generate, 1),
    }
    for line in requests:
        request = json.loads(line)
        task, threads = tasks[request["task"]]
        torch.set_num_threads(threads)
        answer(rate=measure_rate(task, request["seconds"], device))


def _main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is no answer
    serve(sys.stdin, answers)


if __name__ == "__main__":
    _main()
