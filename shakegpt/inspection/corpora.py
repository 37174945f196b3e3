"""Which text the heads of a model are scored on."""

from collections.abc import Callable

from shakegpt.data.catalog import DEMO, TINY_SHAKESPEARE, known_corpora
from shakegpt.data.corpus import Corpus
from shakegpt.data.vocabulary import Vocabulary
from shakegpt.errors import ShakegptError
from shakegpt.runs.store import Store


def find_corpus(store: Store, run: str | None, vocabulary: Vocabulary, warn: Callable[[str], None]) -> Corpus | None:
    """Return the text that a model was trained on, or one like it; nothing is downloaded for this.

    Args:
        store: where the run is.
        run: the model's run; ``None`` for the model that ships.
        vocabulary: the model's.
        warn: told in a sentence that it is another text, or why there is none.

    Raises:
        ShakegptError: there is no such run, or it cannot be read.
    """
    tiny_is_here = next(entry.on_disk for entry in known_corpora() if entry.name == TINY_SHAKESPEARE)
    source, encoding = TINY_SHAKESPEARE, "utf-8"
    if run is not None:
        trained = store.run(run)
        source, encoding = trained.corpus_source, trained.metadata.encoding
    if source == TINY_SHAKESPEARE and not tiny_is_here:
        source = DEMO
        warn("Tiny Shakespeare is not on this machine: the heads are scored on the text that ships (demo).")
    try:
        corpus = Corpus.load(source, encoding=encoding, vocabulary=vocabulary)
        vocabulary.encode(corpus.validation_text)
    except ShakegptError as error:
        warn(f"The heads are not scored: {error}")
        return None
    return corpus
