"""The thread that reads a text with everything kept, and what it tells the screen."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shakegpt.errors import ShakegptError
from shakegpt.inspection.head import Head
from shakegpt.tui.generation.model_loader import ModelLoader

if TYPE_CHECKING:
    from shakegpt.inspection.trace import Attribution, Trace
    from shakegpt.model.language_model import LanguageModel

_TRACES_KEPT = 4  # muting a head and unmuting it again, or two texts, go back and forth


@dataclass(frozen=True)
class Look:
    """What the user wants to look at."""

    reference: str
    """The model: a checkpoint's reference, ``LIVE``, or empty for the store's default."""
    text: str
    muted: frozenset[Head] = frozenset()
    position: int = -1
    """Index of a character of the text; -1 is the last."""
    edition: int = 0
    """Rises when the weights behind the reference have moved on."""


@dataclass(frozen=True)
class View:
    """What was found."""

    look: Look
    """What it answers; its position is from 0 on, in the trace's text."""
    model: "LanguageModel | None" = None
    trace: "Trace | None" = None
    """Its arrays are numpy's."""
    votes: "Attribution | None" = None
    """What adds to the logit of the model's answer after the position."""
    error: str = ""
    """Why there is no trace."""

    @property
    def position(self) -> int:
        """The index in the trace's text of the character that is looked at."""
        if self.trace is None:
            return 0
        last = len(self.trace.text) - 1
        return last if self.look.position < 0 else max(0, min(self.look.position - self.trace.skipped, last))


@dataclass
class _Loaded:
    """A model that was loaded, and its last traces."""

    key: tuple[str, int]
    model: "LanguageModel"
    traces: "dict[tuple[str, frozenset[Head]], Trace]" = field(default_factory=dict)


class InspectionThread(threading.Thread):
    """A thread that answers the newest look; those that it does not come to are dropped.

    While newer weights of the model on show are loaded, which for those in training lasts until their step is done, it
    goes on with the ones it has.

    Args:
        loader: loads the models.
        on_update: called from this thread when there is a view, and then not again before it is collected.
    """

    def __init__(self, loader: ModelLoader, on_update: Callable[[], object]) -> None:
        super().__init__(name="inspection", daemon=True)
        self._loader = loader
        self._on_update = on_update
        self._changed = threading.Condition()  # guards what follows
        self._look: Look | None = None
        self._answered: Look | None = None
        self._loaded: _Loaded | None = None
        self._renewed: _Loaded | None = None
        self._renewing: tuple[str, int] | None = None
        self._view: View | None = None
        self._update_waits = False
        self._closed = False

    def look(self, look: Look) -> None:
        """Look at something else. Returns at once."""
        with self._changed:
            self._look = look
            self._changed.notify()

    def close(self) -> None:
        """End the thread after what it is doing."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def collect(self) -> View | None:
        """Return the newest view."""
        with self._changed:
            self._update_waits = False
            return self._view

    # In the thread

    def run(self) -> None:
        """Answer until closed; an error becomes a view."""
        while (look := self._next_look()) is not None:
            try:
                view = self._answer(look)
            except ShakegptError as error:
                view = View(look, error=str(error))
            except Exception as error:
                view = View(look, error=f"The model could not be looked into: {type(error).__name__}: {error}")
            with self._changed:
                self._view = view
                waits, self._update_waits = self._update_waits, True
            if not waits:
                self._on_update()

    def _next_look(self) -> Look | None:
        with self._changed:
            while not self._closed:
                if self._renewed is not None:
                    self._loaded, self._renewed, self._answered = self._renewed, None, None
                if self._look is not None and self._look != self._answered:
                    self._answered = self._look
                    return self._look
                self._changed.wait()
        return None

    def _answer(self, look: Look) -> View:
        from shakegpt.inspection.muting import all_heads
        from shakegpt.inspection.trace import inspect

        loaded = self._load(look)
        muted = look.muted.intersection(all_heads(loaded.model.model.config))
        key = (look.text, muted)
        if key not in loaded.traces:
            while len(loaded.traces) >= _TRACES_KEPT:
                loaded.traces.pop(next(iter(loaded.traces)))
            loaded.traces[key] = inspect(loaded.model, look.text or loaded.model.opening, muted)
        trace = loaded.traces[key]
        position = View(look, trace=trace).position
        ((answer, _),) = trace.likeliest(position, 1)
        return View(look, loaded.model, trace, trace.attribution(answer, position))

    def _load(self, look: Look) -> _Loaded:
        key = (look.reference, look.edition)
        if self._loaded is None or self._loaded.key[0] != look.reference:
            self._loaded = _Loaded(key, self._loader.load(look.reference))
        elif self._loaded.key != key and self._renewing != key:
            self._renewing = key
            threading.Thread(target=self._renew, args=(key,), name="renew model", daemon=True).start()
        return self._loaded

    def _renew(self, key: tuple[str, int]) -> None:
        """Load the weights as they are now, for the thread to go on with."""
        try:
            renewed = _Loaded(key, self._loader.load(key[0]))
        except Exception:  # such as a training that has ended: what is on show stays
            return
        with self._changed:
            if self._renewing == key:
                self._renewed = renewed
                self._changed.notify()
