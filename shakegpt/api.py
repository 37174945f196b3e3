"""shakegpt from Python: load a checkpoint, generate text with it, evaluate it, train one::

    import shakegpt

    model = shakegpt.load("pretrained")
    print(model.generate("ROMEO:", length=200, temperature=0.8, seed=1))
    for character in model.stream("JULIET:\\n", length=80):
        print(character, end="", flush=True)

Losses are nats per character, lengths are characters. An error that the caller can correct is a
``shakegpt.ShakegptError`` with a message of one sentence.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import fields
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, cast

from shakegpt.config import DEFAULT_PRESET, ModelConfig, SamplingConfig, TrainingConfig
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
    preset: str = DEFAULT_PRESET,
    corpus: str | PathLike[str] | None = None,
    run: str | None = None,
    resume: str | None = None,
    **options: Any,
) -> "Training":
    """Prepare a training, which takes place while it is iterated over.

    Args:
        preset: the size of the model, and the training that suits it: ``mini``, ``nano``, ``baby`` or ``gpt2``.
        corpus: ``tiny-shakespeare`` (the default), ``demo``, or the path of a text file.
        run: the run's name; by default a new one is chosen.
        resume: a checkpoint to continue from, as in ``load``; a run's name means its last.
        options: fields of ``shakegpt.config.TrainingConfig``, such as ``steps`` and ``learning_rate``, and ``dropout``.

    Raises:
        ShakegptError: a value is invalid, or a checkpoint or corpus cannot be found or read.
    """
    _check_names("option", options, sorted([*(field.name for field in fields(TrainingConfig)), "dropout"]))
    request = TrainingRequest(
        preset=preset,
        corpus=None if corpus is None else fspath(corpus),
        run_name=run,
        resume=resume,
        changes=options,
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

    def generate(self, prompt: str = "\n", **settings: Any) -> str:
        """Return a continuation of a prompt, without the prompt.

        Args:
            prompt: the text to continue, in characters of the vocabulary.
            settings: fields of ``shakegpt.config.SamplingConfig``: ``length``, ``temperature`` (0 takes the likeliest
                character), ``top_k``, ``top_p``, ``min_p``, ``repetition_penalty``, ``seed``, ``stop``.

        Raises:
            ShakegptError: a setting is invalid, or the prompt has a character that is not in the vocabulary.
        """
        return "".join(self.stream(prompt, **settings))

    def stream(self, prompt: str = "\n", **settings: Any) -> Iterator[str]:
        """Yield the characters of ``generate`` one by one, each as soon as it is drawn. Raises the same errors."""
        from shakegpt.generation.stream import Stream

        stream = Stream(self._language_model, prompt, _sampling_config(settings))
        return (character.text for character in stream)

    def evaluate(self, corpus: str | PathLike[str] = TINY_SHAKESPEARE, *, split: str = "validation") -> "Loss":
        """Measure how well the model predicts a text: one full, deterministic pass in fp32.

        Args:
            corpus: ``tiny-shakespeare``, ``demo``, or the path of a text file.
            split: ``validation``, the last 10 % of the text, or ``train``, the first 90 %.

        Returns:
            ``.nats`` per character, ``.perplexity``, ``.bits_per_character``, over ``.characters`` predictions.

        Raises:
            ShakegptError: the text cannot be found or read, is too short, or has a character outside the vocabulary.
        """
        from shakegpt.data.corpus import Corpus
        from shakegpt.evaluation.loss import evaluate

        text = Corpus.load(fspath(corpus), vocabulary=self._language_model.vocabulary)
        text.check_length(self.config.block_size)
        return evaluate(self._language_model.model, text.encode_split(self._language_model.vocabulary, split))

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

    Breaking out of the loop pauses the training; ``close`` saves and ends it.
    """

    def __init__(self, store: Store, request: TrainingRequest) -> None:
        self._store = store
        self._trainer = build_trainer(store, request)
        self._events = cast(Generator[Event, None, None], iter(self._trainer))

    @property
    def run(self) -> Run:
        """The run in the store; ``load`` takes its ``name``."""
        return self._trainer.run

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """Save and end. A finished training stays as it is; closing it again does nothing."""
        self._events.close()

    def model(self) -> Model:
        """Train to the end, and return the best model of the run.

        Raises:
            ShakegptError: nothing was saved.
        """
        for _ in self:
            pass
        return Model(self._store.language_model(self.run.name))


def _sampling_config(settings: dict[str, Any]) -> SamplingConfig:
    _check_names("setting", settings, [field.name for field in fields(SamplingConfig)])
    stop = settings.get("stop", ())
    if not isinstance(stop, str | list | tuple):
        raise UsageError(f"The setting stop must be a text or a list of texts, not {stop!r}.")
    try:
        return SamplingConfig(**{**settings, "stop": (stop,) if isinstance(stop, str) else tuple(stop)})
    except ValueError as error:
        raise UsageError(str(error)) from None


def _check_names(kind: str, given: Iterable[str], known: Sequence[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise UsageError(f"There is no {kind} {unknown[0]!r}; the {kind}s are {', '.join(known)}.")
