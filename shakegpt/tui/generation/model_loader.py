"""Where voices come from: any checkpoint of the store, or the weights in training."""

from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Protocol

from shakegpt.config import SamplingConfig
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.tui.generation.generation_thread import Opened
from shakegpt.tui.messages import LIVE

if TYPE_CHECKING:
    from concurrent.futures import Future

    from shakegpt.model.language_model import LanguageModel
    from shakegpt.runs.store import Store

PRETRAINED = "pretrained"
AT_HAND = ""
"""The reference of whatever the store would let speak when nothing is named."""
_LOADED_AT_MOST = 3
_PATIENCE_SECONDS = 60


class Voices(Protocol):
    """Opens streams; everything here blocks, and is called from a thread that may wait."""

    def open(self, reference: str, prompt: str, settings: Callable[[], SamplingConfig]) -> Opened:
        """Load a model and let it read the prompt. Raises ``ShakegptError``."""

    def prepare(self) -> str:
        """Load what speaks when nothing is named, and return its reference. Raises ``ShakegptError``."""

    def speakers(self) -> list[str]:
        """Return the names of speakers that the corpora at hand know, the most talkative first."""


class EngineVoices:
    """The engine's models, each loaded once; the live ones are copied anew for every passage.

    Args:
        store: gives the store when asked.
        copy_model: asks the run in training for a copy of its weights; ``None`` where nothing is in training.
    """

    def __init__(
        self, store: Callable[[], "Store"], copy_model: "Callable[[], Future[LanguageModel] | None]" = lambda: None
    ) -> None:
        self._store = store
        self._copy_model = copy_model
        self._loaded: dict[str, LanguageModel] = {}

    def open(self, reference: str, prompt: str, settings: Callable[[], SamplingConfig]) -> Opened:
        """Load a model and let it read the prompt. Raises ``ShakegptError``."""
        from shakegpt.generation.stream import Stream

        speaker = self._live() if reference == LIVE else self._checkpoint(reference)
        return Opened(Stream(speaker, prompt, settings), speaker.name, speaker.step, speaker.val_loss)

    def prepare(self) -> str:
        """Load what speaks when nothing is named, and return its reference. Raises ``ShakegptError``."""
        reference = self._store().default_reference()
        self._checkpoint(reference)
        return reference

    def speakers(self) -> list[str]:
        """Return the names of speakers that the corpora at hand know; no corpus is fetched for it."""
        from shakegpt.data.catalog import known_corpora
        from shakegpt.data.corpus import Corpus, speaker_names

        names: list[str] = []
        for found in known_corpora():
            if found.on_disk:
                try:
                    names.extend(speaker_names(Corpus.load(found.name).text))
                except ShakegptError:
                    continue
        return list(dict.fromkeys(names))

    def _live(self) -> "LanguageModel":
        copy = self._copy_model()
        if copy is None:
            raise UsageError("Nothing is in training, so there are no live weights; choose a checkpoint with o.")
        try:
            return copy.result(_PATIENCE_SECONDS)
        except TimeoutError:
            copy.cancel()
            raise ShakegptError("Training did not hand over its weights in a minute; try again.") from None
        except CancelledError:
            raise ShakegptError(
                "Training ended before it handed over its weights; choose its checkpoint with o."
            ) from None

    def _checkpoint(self, reference: str) -> "LanguageModel":
        store = self._store()
        reference = reference or store.default_reference()
        # "best" and "last" move while a run trains: what is loaded once is the checkpoint that they name now.
        exact = store.find(reference).reference
        if exact not in self._loaded:
            while len(self._loaded) >= _LOADED_AT_MOST:
                self._loaded.pop(next(iter(self._loaded)))
            self._loaded[exact] = store.language_model(exact)
        return self._loaded[exact]
