"""The inspection thread: it answers the newest look, and never waits for weights that are being copied."""

import threading
from dataclasses import replace
from typing import cast

from shakegpt.errors import UsageError
from shakegpt.model.language_model import LanguageModel
from shakegpt.tui.generation.model_loader import ModelLoader
from shakegpt.tui.inspect.inspection_thread import InspectionThread, Look, View
from tests.processes import PATIENCE


class Loader:
    """Hands over a model; after the first time, only once that is allowed."""

    def __init__(self, models: list[LanguageModel]) -> None:
        self.models = models
        self.allowed = threading.Event()
        self.count = 0

    def load(self, reference: str) -> LanguageModel:
        if reference == "none":
            raise UsageError("There is no such model.")
        self.count += 1
        if self.count > 1:
            assert self.allowed.wait(PATIENCE)
        return self.models[self.count - 1]


class Listener:
    """Waits for a thread's views."""

    def __init__(self, loader: Loader) -> None:
        self.updated = threading.Semaphore(0)
        self.thread = InspectionThread(cast(ModelLoader, loader), self.updated.release)

    def __enter__(self) -> "Listener":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.close()
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()

    def view(self) -> View:
        assert self.updated.acquire(timeout=PATIENCE)
        view = self.thread.collect()
        assert view is not None
        return view

    def look(self, look: Look) -> View:
        self.thread.look(look)
        return self.view()


def test_it_goes_on_with_the_weights_it_has_while_newer_ones_are_copied(tiny_language_model: LanguageModel) -> None:
    newer = replace(tiny_language_model, step=9)
    loader = Loader([tiny_language_model, newer])
    text = tiny_language_model.vocabulary.characters[:5]
    with Listener(loader) as listener:
        assert listener.look(Look("live", text)).model is tiny_language_model
        assert listener.look(Look("live", text, position=1, edition=1)).model is tiny_language_model
        view = listener.look(Look("live", text, position=2, edition=1))
        assert (view.model, view.position) == (tiny_language_model, 2)
        loader.allowed.set()
        view = listener.view()
        assert (view.model, view.position) == (newer, 2)
    assert loader.count == 2


def test_an_error_is_a_view_and_the_thread_goes_on(tiny_language_model: LanguageModel) -> None:
    with Listener(Loader([tiny_language_model])) as listener:
        assert listener.look(Look("none", "a")).error == "There is no such model."
        assert "never seen" in listener.look(Look("live", "\x00")).error
        assert listener.look(Look("live", tiny_language_model.vocabulary.characters[:3])).trace is not None


def test_heads_that_a_model_does_not_have_are_not_muted(tiny_language_model: LanguageModel) -> None:
    with Listener(Loader([tiny_language_model])) as listener:
        view = listener.look(Look("live", tiny_language_model.vocabulary.characters[:3], frozenset({(0, 0), (11, 11)})))
        assert view.trace is not None
        assert view.trace.muted == ((0, 0),)
