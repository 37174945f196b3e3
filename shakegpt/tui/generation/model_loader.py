"""Where models to generate from are loaded: any checkpoint of the store, or the weights in training."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TYPE_CHECKING

from shakegpt.config import SamplingConfig
from shakegpt.errors import ShakegptError, UsageError
from shakegpt.runs.manifest import MODEL_FILE
from shakegpt.tui.context import AppContext
from shakegpt.tui.messages import LIVE

if TYPE_CHECKING:
    from shakegpt.generation.stream import Stream
    from shakegpt.model.language_model import LanguageModel

DEFAULT_MODEL = ""
"""The reference of the model that the store gives where none is named."""
_MODELS_KEPT = 3
_COPY_TIMEOUT_SECONDS = 60


class ModelLoader:
    """Loads models and opens streams; a checkpoint is loaded once, the live weights are copied for every stream.

    Every method blocks, and is called from a thread that may wait.
    """

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._loaded: dict[tuple[str, str], LanguageModel] = {}  # by reference and hash
        self._loading = threading.Lock()

    def open_stream(self, reference: str, prompt: str, settings: Callable[[], SamplingConfig]) -> "Stream":
        """Load a model and let it read the prompt, without the muted heads. Raises ``ShakegptError``."""
        from shakegpt.generation.stream import Stream
        from shakegpt.inspection.muting import all_heads, mute

        model = self.load(reference)
        muted = self._context.muted_heads.intersection(all_heads(model.model.config))
        return Stream(mute(model, muted), prompt, settings)

    def open_branch(
        self, language_model: "LanguageModel", prompt: str, settings: Callable[[], SamplingConfig]
    ) -> "Stream":
        """Let a model that is loaded already read another prompt, such as the beginning of what it wrote."""
        from shakegpt.generation.stream import Stream

        return Stream(language_model, prompt, settings)

    def load(self, reference: str) -> "LanguageModel":
        """Return a model with all of its heads: a checkpoint's, or a copy of the live weights.

        Raises:
            ShakegptError: there is no such model, or it cannot be loaded.
        """
        return self._copy_live() if reference == LIVE else self._load(reference)

    def preload(self) -> str:
        """Load the default model, and return its reference. Raises ``ShakegptError``."""
        reference = self._context.store.default_reference()
        self._load(reference)
        return reference

    def speaker_names(self) -> list[str]:
        """Return the names of those who speak in the corpora on disk, in each the most frequent first."""
        from shakegpt.data.catalog import known_corpora
        from shakegpt.data.corpus import Corpus, speaker_names

        names: list[str] = []
        for entry in known_corpora():
            if entry.on_disk:
                with suppress(ShakegptError):
                    names.extend(speaker_names(Corpus.load(entry.name).text))
        return list(dict.fromkeys(names))

    def _copy_live(self) -> "LanguageModel":
        training = self._context.own_training
        copy = training.copy_model() if training else None
        if copy is None:
            raise UsageError("Nothing is in training, so there are no live weights; choose a checkpoint with c.")
        try:
            return copy.result(_COPY_TIMEOUT_SECONDS)
        except TimeoutError:
            copy.cancel()
            raise ShakegptError("Training did not hand over its weights in a minute; try again.") from None
        except CancelledError:
            raise ShakegptError(
                "Training ended before it handed over its weights; choose its checkpoint with c."
            ) from None

    def _load(self, reference: str) -> "LanguageModel":
        # "best" and "last" move while a run trains, and a run that is gone leaves its name to another: what is cached
        # is the checkpoint that they name now, by its bytes.
        info = self._context.store.find(reference or self._context.store.default_reference())
        exact = info.reference, info.manifest.files[MODEL_FILE].sha256
        with self._loading:
            if exact not in self._loaded:
                while len(self._loaded) >= _MODELS_KEPT:
                    self._loaded.pop(next(iter(self._loaded)))
                self._loaded[exact] = self._context.store.language_model(info.reference)
            return self._loaded[exact]
