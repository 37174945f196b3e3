"""What ``shakegpt bench --against transformers`` compares with: the same model in Hugging Face's transformers.

It runs in a process of its own, which shakegpt's set-up for speed (``configure_process``) does not reach. The process
measures itself on request, and waits for the next request without using a core.

A request is a JSON object, one line on its standard input; so is the answer on its standard output::

    {"model": {...}, "training": {...}, "device": "cpu", "threads": 2}    ->  {"version": "5.0.0"}
    {"task": "train", "seconds": 0.5}                                     ->  {"rate": 7000.0}

It ends when its standard input is closed, and so with the process that started it, however that ends.
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

from shakegpt.benchmark.timing import Work, measure_rate
from shakegpt.config import ModelConfig, SamplingConfig, TrainingConfig
from shakegpt.errors import ShakegptError


class TransformersBaseline:
    """A running baseline process; ``start_baseline`` starts one.

    Args:
        process: the process, with unbuffered pipes to its standard input and output.
        errors: the file that receives its standard error.
        settings: the first request.

    Raises:
        ShakegptError: transformers is not installed, or the process has ended; ``rate`` raises it too.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", errors: IO[bytes], settings: dict[str, Any]) -> None:
        self._process, self._errors = process, errors
        self.version = str(self._request(settings)["version"])
        """The version of transformers."""

    def rate(self, task: Literal["train", "generate"], seconds: float) -> float:
        """Measure a task for at least the given seconds and return its characters per second."""
        return float(self._request({"task": task, "seconds": seconds})["rate"])

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # then there is no answer either
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise ShakegptError(self._describe_exit())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ShakegptError(answer["error"])
        return answer

    def _describe_exit(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2].rstrip(".")
        return f"The process that runs transformers has ended with exit code {code}: {last or 'no error message'}."


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
            process.kill()


class Transformers:
    """Hugging Face's ``GPT2LMHeadModel`` with the same shape and dropout, in fp32 with AdamW.

    A step is that of its trainer: loss, backward, clipping, AdamW, without compilation. Faster ways to train it may
    exist; this is the default.

    Args:
        config: the shape of the model.
        training: the batch size, learning rate, betas, weight decay and clipping.
        device: where to compute.

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
        """Take one optimizer step on a batch of random characters; in characters."""
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


def serve(requests: Iterator[str], answers: TextIO) -> None:
    """Answer requests, one JSON object a line, until there are no more."""

    def answer(**values: object) -> None:
        print(json.dumps(values), file=answers, flush=True)

    settings = json.loads(next(requests))
    device = torch.device(settings["device"])
    try:
        model = Transformers(ModelConfig(**settings["model"]), TrainingConfig(**settings["training"]), device)
    except ShakegptError as error:
        answer(error=str(error))
        return
    answer(version=model.version)
    tasks: dict[str, tuple[Work, int]] = {
        "train": (model.train, settings["threads"]),
        "generate": (model.generate, 1),
    }
    for line in requests:
        request = json.loads(line)
        work, threads = tasks[request["task"]]
        torch.set_num_threads(threads)
        answer(rate=measure_rate(work, request["seconds"], device))


def _main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    serve(sys.stdin, answers)


if __name__ == "__main__":
    _main()
