"""shakegpt from Python: load a checkpoint, generate text with it, evaluate it, train one::

    import shakegpt

    model = shakegpt.load("pretrained")
    print(model.generate("ROMEO:", length=200, temperature=0.8, seed=1))
    for character in model.stream("JULIET:\\n", length=80):
        print(character, end="", flush=True)
    for text in model.generate("To be", samples=3, length=80):
        print(text)
    print(model.evaluate(text="To be, or not to be: that is the question.").perplexity)

Losses are nats per character, lengths are characters. An error that the caller can correct is a
``shakegpt.ShakegptError`` with a message of one sentence. Keyword arguments are typed: a type checker finds one that
does not exist.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from os import PathLike, fspath
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack, cast, overload

from shakegpt.config import DeviceName, ModelConfig, PrecisionName, SamplingConfig
from shakegpt.data.catalog import TINY_SHAKESPEARE
from shakegpt.errors import UsageError
from shakegpt.events import Event
from shakegpt.runs.run import Run
from shakegpt.runs.store import Store
from shakegpt.training.setup import TrainingRequest, build_trainer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from shakegpt.evaluation.loss import Loss
    from shakegpt.evaluation.score import Score
    from shakegpt.inspection.trace import Trace
    from shakegpt.model.language_model import LanguageModel
    from shakegpt.system.threads import ThreadPool


class TrainingOptions(TypedDict, total=False):
    """The options of ``train``: the fields of ``shakegpt.config.TrainingConfig``, where each is described."""

    steps: int
    batch_size: int
    accumulate: int
    learning_rate: float
    min_learning_rate: float
    warmup: int
    weight_decay: float
    beta1: float
    beta2: float
    grad_clip: float
    ema: float
    eval_every: int
    eval_windows: int
    early_stop: int
    save_every: int
    save_seconds: float
    keep: int
    seed: int
    device: DeviceName
    precision: PrecisionName
    sample_prompt: str
    sample_length: int
    dropout: float
    """Of the model: the probability that an activation is zeroed in training."""
    n_layer: int
    """Of this and what follows: the model's shape, on top of the preset's."""
    n_head: int
    d_model: int
    d_ff: int
    block_size: int


class SamplingOptions(TypedDict, total=False):
    """The settings of ``generate`` and ``stream``: the fields of ``shakegpt.config.SamplingConfig``."""

    temperature: float
    top_k: int | None
    top_p: float
    min_p: float
    repetition_penalty: float
    seed: int
    length: int
    stop: str | Sequence[str]


def load(reference: str | PathLike[str] = "pretrained") -> "Model":
    """Return the model of a checkpoint.

    Args:
        reference: ``pretrained``, ``RUN`` (its best), ``RUN@best``, ``RUN@last``, ``RUN@500``, ``last`` (the newest
            run's last), or the path of a checkpoint folder.

    Raises:
        ShakegptError: there is no such checkpoint, or it is damaged.
    """
    return Model(Store.default().language_model(fspath(reference)))


def train(
    *,
    preset: str | None = None,
    corpus: str | PathLike[str] | None = None,
    encoding: str | None = None,
    run: str | None = None,
    resume: str | None = None,
    begin_from: str | PathLike[str] | None = None,
    **options: Unpack[TrainingOptions],
) -> "Training":
    """Prepare a training, which takes place while it is iterated over::

        from shakegpt.events import Evaluation

        with shakegpt.train(preset="nano", corpus="demo", steps=200) as training:
            for event in training:
                if isinstance(event, Evaluation):
                    print(event.step, event.val_loss)
        model = training.model()

    Args:
        preset: the size of the model, and the training that suits it: ``mini`` (the default), ``nano``, ``baby`` or
            ``gpt2``.
        corpus: ``tiny-shakespeare``, ``demo``, or the path of a text file. By default the first of them, or the second
            where that is neither on this machine nor can be fetched.
        encoding: the text encoding of a file, by default UTF-8; a byte order mark names UTF-16 and UTF-32 by itself.
        run: the run's name; by default a new one is chosen.
        resume: a checkpoint to continue from, as in ``load``; a run's name means its last.
        begin_from: a checkpoint whose weights a new run begins with, on another text, as in ``load``. The model has its
            shape; characters that it does not know are added to its vocabulary; the training is gentler.
        options: fields of ``shakegpt.config.TrainingConfig``, such as ``steps`` and ``learning_rate``, and of
            ``shakegpt.config.ModelConfig``: ``dropout`` and the shape, ``n_layer`` to ``block_size``; what is left out
            is the preset's, or that of the checkpoint.

    Raises:
        ShakegptError: a value is invalid, or a checkpoint or corpus cannot be found or read.
    """
    _check_names("option", options, sorted(TrainingOptions.__annotations__))
    if resume is not None and preset is not None:
        raise UsageError("A resumed run keeps its preset: leave preset out, or begin a new run without resume.")
    if resume is not None and encoding is not None and corpus is None:
        raise UsageError("A resumed run reads its own text as before: leave encoding out, or give corpus too.")
    if resume is not None and begin_from is not None:
        raise UsageError("A resumed run has weights of its own: give resume or begin_from, not both.")
    request = TrainingRequest(
        preset=preset,
        corpus=None if corpus is None else fspath(corpus),
        encoding=encoding or "utf-8",
        run_name=run,
        resume=resume,
        begin_from=None if begin_from is None else fspath(begin_from),
        changes=dict(options),
    )
    return Training(Store.default(), request)


class Model:
    """A language model that can be sampled, evaluated and inspected. Returned by ``load`` and ``Training.model``."""

    def __init__(self, language_model: "LanguageModel") -> None:
        self._language_model = language_model

    @property
    def name(self) -> str:
        """The checkpoint of its weights, such as ``macbeth@500``."""
        return self._language_model.name

    @property
    def config(self) -> ModelConfig:
        """Its shape."""
        return self._language_model.model.config

    @property
    def characters(self) -> str:
        """The characters of its vocabulary, in the order of their token ids."""
        return self._language_model.vocabulary.characters

    @overload
    def generate(self, prompt: str = "", *, samples: None = None, **settings: Unpack[SamplingOptions]) -> str: ...
    @overload
    def generate(self, prompt: str = "", *, samples: int, **settings: Unpack[SamplingOptions]) -> list[str]: ...

    def generate(
        self, prompt: str = "", *, samples: int | None = None, **settings: Unpack[SamplingOptions]
    ) -> str | list[str]:
        """Return a continuation of a prompt, without the prompt; or several.

        Args:
            prompt: the text to continue, in characters of the vocabulary. An empty one begins after a newline, as a
                speech does.
            samples: how many continuations, as a list. They are generated side by side, which takes less time than
                one after the other; the first is the text that a call without ``samples`` returns.
            settings: fields of ``shakegpt.config.SamplingConfig``: ``length``, ``temperature`` (0 takes the likeliest
                character), ``top_k``, ``top_p``, ``min_p``, ``repetition_penalty``, ``seed``, ``stop``. The same seed
                gives the same text.

        Raises:
            ShakegptError: a setting is invalid, or the prompt has a character that is not in the vocabulary.
        """
        if samples is None:
            return "".join(self.stream(prompt, **settings))
        from shakegpt.generation.samples import generate_samples

        chosen = _sampling_config(settings)
        found = generate_samples(self._language_model, prompt, chosen, samples, pool=_thread_pool())
        return [sample.text for sample in found]

    def stream(self, prompt: str = "", **settings: Unpack[SamplingOptions]) -> Iterator[str]:
        """Yield the characters of ``generate`` one by one, each as soon as it is drawn. Raises the same errors."""
        from shakegpt.generation.stream import Stream

        stream = Stream(self._language_model, prompt, _sampling_config(settings))
        return (character.text for character in stream)

    def evaluate(
        self,
        corpus: str | PathLike[str] = TINY_SHAKESPEARE,
        *,
        text: str | None = None,
        split: str = "validation",
        encoding: str = "utf-8",
    ) -> "Loss":
        """Measure how well the model predicts a text: one full, deterministic pass in fp32.

        Args:
            corpus: ``tiny-shakespeare``, ``demo``, or the path of a text file.
            text: the text itself, in place of a corpus; all of it is measured.
            split: ``validation``, the last 10 % of the corpus; ``train``, the first 90 %; or ``all``.
            encoding: the text encoding of a file.

        Returns:
            ``.nats`` per character, ``.perplexity``, ``.bits_per_character``, over ``.characters`` predictions.

        Raises:
            ShakegptError: the text cannot be found or read, is too short, or has a character outside the vocabulary.
        """
        import torch

        from shakegpt.data.corpus import Corpus
        from shakegpt.evaluation.loss import evaluate

        vocabulary = self._language_model.vocabulary
        if text is None:
            found = Corpus.load(fspath(corpus), encoding=encoding, vocabulary=vocabulary)
            ids = found.encode_split(vocabulary, split)
        else:
            ids = torch.tensor(vocabulary.encode(text))
        if len(ids) < 2:
            raise UsageError("A text must have at least two characters: the first one is not predicted.")
        return evaluate(self._language_model.model, ids, pool=_thread_pool())

    def score(self, text: str, *, top: int = 0) -> "Score":
        """Return how likely each of the N characters of a text is, given those before it.

        The windows overlap by half, so that every character after the first window is predicted from at least half a
        window of context.

        Args:
            text: at least two characters: the first one is not predicted.
            top: how many of the likeliest characters to return at each place.

        Returns:
            ``.log_probabilities``, (N,) in nats, NaN at the first character; ``.loss``, the mean in nats per
            character; ``.likeliest(position)``, the likeliest characters with their log-probabilities.

        Raises:
            ShakegptError: the text is too short or has a character outside the vocabulary.
        """
        from shakegpt.evaluation.score import score

        return score(self._language_model, text, top=top)

    def inspect(self, text: str, muted: Iterable[tuple[int, int]] = ()) -> "Trace":
        """Read a text of T characters in one forward pass, and return what happened in each of L blocks of H heads.

        Args:
            text: at least one character; of a text longer than the window, the last window is looked at.
            muted: heads to do without, as (block, head), both from 0.

        Returns:
            ``.attention``, (L, H, T, T): how much the character of a row attends to that of each column; ``.lens``,
            (L + 1, T, V): the logits of the next character after the embedding and after each block, the last being the
            model's own; ``.loss``, (T,) in nats, NaN at the first character; ``.attribution(character, position)``:
            ``.heads``, (L, H), and ``.mlps``, (L,), which say what each adds to the character's logit.

        Raises:
            ShakegptError: the text is empty or has a character outside the vocabulary, or there is no such head.
        """
        from shakegpt.inspection.trace import inspect

        return inspect(self._language_model, text, muted)

    def distribution(self, text: str) -> "NDArray[np.float64]":
        """Return the model's own odds of the character after a text: no temperature, no filter.

        Args:
            text: what comes before, in characters of the vocabulary; an empty text reads as for ``generate``.

        Returns:
            Probabilities, (V,), in the order of ``characters``. They sum to 1.

        Raises:
            ShakegptError: the text has a character that is not in the vocabulary.
        """
        import numpy as np

        from shakegpt.generation.stream import Stream

        return np.array(Stream(self._language_model, text, SamplingConfig()).peek().model_probabilities)

    def __repr__(self) -> str:
        return f"<shakegpt.Model {self.name}: {self.config.parameters:,} weights, {len(self.characters)} characters>"


class Training:
    """A run that trains while it is iterated over. It yields the events of ``shakegpt.events``.

    Breaking out of the loop pauses the training; ``close`` saves and ends it, and so does leaving a ``with`` block.
    """

    def __init__(self, store: Store, request: TrainingRequest) -> None:
        self._store = store
        self._trainer = build_trainer(store, request)
        self._events = cast(Generator[Event, None, None], iter(self._trainer))
        self._has_begun = False

    @property
    def run(self) -> Run:
        """The run in the store; ``load`` takes its ``name``."""
        return self._trainer.run

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        self._has_begun = True
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Save and end; ``train(resume=...)`` goes on. A finished training stays as it is, and so does a closed one."""
        if not self._has_begun:  # an unstarted generator would end without a word, and leave a run without a checkpoint
            next(self, None)
        self._events.close()

    def model(self) -> Model:
        """Train to the end, unless it was closed before, and return the best model of the run.

        Raises:
            ShakegptError: nothing was saved.
        """
        for _ in self:
            pass
        return Model(self._store.language_model(self.run.name))


def _thread_pool() -> "ThreadPool":
    from shakegpt.system.processors import available_cores
    from shakegpt.system.threads import ThreadPool

    return ThreadPool(available_cores())


def _sampling_config(settings: Mapping[str, Any]) -> SamplingConfig:
    _check_names("setting", settings, [field.name for field in fields(SamplingConfig)])
    stop = settings.get("stop", ())
    if not isinstance(stop, Sequence):
        raise UsageError(f"The setting stop must be a text or a list of texts, not {stop!r}.")
    try:
        return SamplingConfig(**{**settings, "stop": (stop,) if isinstance(stop, str) else tuple(stop)})
    except ValueError as error:
        raise UsageError(str(error)) from None


def _check_names(kind: str, given: Iterable[str], known: Sequence[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise UsageError(f"There is no {kind} {unknown[0]!r}; the {kind}s are {', '.join(known)}.")
