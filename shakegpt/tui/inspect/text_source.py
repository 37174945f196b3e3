"""Which text and which model the inspect screen looks at, as long as the user does not choose others."""

from enum import Enum

from shakegpt.errors import ShakegptError
from shakegpt.tui.context import AppContext
from shakegpt.tui.generation.model_loader import DEFAULT_MODEL
from shakegpt.tui.messages import LIVE

LONGEST_TEXT = 4_000
"""Characters of a text that are handed over: the window is at its end."""
OPENING = "ROMEO:\nO, speak again, bright angel! for thou art"
"""What is looked at before there is any other text."""


class TextSource(Enum):
    """Where the text comes from."""

    SPEECH = "the text that is generated"
    SAMPLE = "the newest sample of the run"
    TYPED = "your text"


def first_source(context: AppContext) -> TextSource:
    """Return what to look at first: what is spoken, unless only a training goes on."""
    speech = context.speech
    if speech is not None and speech.text and (speech.speaking or context.own_training is None):
        return TextSource.SPEECH
    return TextSource.SAMPLE if sample_text(context) is not None else TextSource.SPEECH


def sample_text(context: AppContext) -> str | None:
    """Return the newest sample of the run on show, empty where it has none yet; ``None`` without a run."""
    training = context.training
    if training is None or training.latest.started is None:
        return None
    samples = training.latest.samples
    return (samples[-1].prompt + samples[-1].text).lstrip("\n") if samples else ""


def text_of(source: TextSource, context: AppContext, typed: str) -> str:
    """Return the text to look at."""
    match source:
        case TextSource.TYPED:
            text = typed
        case TextSource.SAMPLE:
            text = sample_text(context) or ""
        case TextSource.SPEECH:
            text = context.speech.text if context.speech is not None else ""
    return text[-LONGEST_TEXT:] or OPENING


def reference_of(source: TextSource, context: AppContext) -> str:
    """Return the model that a text is from."""
    speech, training = context.speech, context.training
    if source is TextSource.SAMPLE or (source is TextSource.TYPED and speech is None):
        if context.own_training is not None:
            return LIVE
        if training is not None and training.latest.started is not None:
            return f"{training.latest.started.run}@last"
    return speech.reference if speech is not None else DEFAULT_MODEL


def run_of(reference: str, context: AppContext) -> str | None:
    """Return the run that a model is of; ``None`` for the one that ships."""
    if reference == LIVE:
        started = context.training.latest.started if context.training is not None else None
        return started.run if started is not None else None
    try:
        return context.store.find(reference or context.store.default_reference()).run
    except ShakegptError:
        return None
