"""What is measured on the heads of a model, on a thread of its own: where they look, and what muting them costs."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from shakegpt.inspection.head import Head
from shakegpt.runs.store import Store

if TYPE_CHECKING:
    from shakegpt.data.corpus import Corpus
    from shakegpt.inspection.heads import HeadScores, Scores
    from shakegpt.model.language_model import LanguageModel

_SCORE_WINDOWS = 50


@dataclass(frozen=True)
class HeadFacts:
    """What is known of the heads of a model."""

    model: "LanguageModel"
    corpus: str = ""
    """The text whose validation split they were measured on; empty where there is none."""
    note: str = ""
    """Why there is none."""
    scores: "HeadScores | None" = None
    induction: "Scores | None" = None
    """(L, H): on repeated random text, the share that goes to what followed the same character before."""
    loss: float | None = None
    """Of the whole model, in nats per character; ``None`` before a cost was asked for."""
    losses: dict[frozenset[Head], float] = field(default_factory=dict)
    """Of the model without these heads."""

    def cost(self, muted: frozenset[Head]) -> float | None:
        """Return what muting these heads costs, in nats per character; ``None`` while that is not known."""
        return self.losses[muted] - self.loss if self.loss is not None and muted in self.losses else None


class HeadMeasurements(threading.Thread):
    """A thread that measures the newest model that it is given, and the costs that are asked for.

    Args:
        store: where the model's run is.
        on_update: called from this thread when there are new facts.
    """

    def __init__(self, store: Store, on_update: Callable[[HeadFacts], object]) -> None:
        super().__init__(name="head measurements", daemon=True)
        self._store = store
        self._on_update = on_update
        self._changed = threading.Condition()  # guards the two that follow
        self._wanted: tuple[LanguageModel, str | None, frozenset[Head]] | None = None
        self._closed = False
        self._facts: HeadFacts | None = None
        self._corpora: dict[str | None, Corpus | None] = {}
        self._note = ""

    def measure(self, model: "LanguageModel", run: str | None, muted: frozenset[Head]) -> None:
        """Score a model's heads, and measure what these cost when muted, each alone and all of them.

        Args:
            model: the model, with all of its heads.
            run: the run whose text it was trained on.
            muted: heads that it has.
        """
        with self._changed:
            self._wanted = (model, run, muted)
            self._changed.notify()

    def close(self) -> None:
        """End the thread soon."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self) -> None:
        """Measure until closed."""
        done: object = None
        while True:
            with self._changed:
                while not self._closed and self._wanted is done:
                    self._changed.wait()
                if self._closed or self._wanted is None:
                    return
                wanted = done = self._wanted
            try:
                self._measure(*wanted)
            except Exception as error:
                self._publish(replace(HeadFacts(wanted[0]), note=f"The heads are not scored: {error}"))

    def _measure(self, model: "LanguageModel", run: str | None, muted: frozenset[Head]) -> None:
        from shakegpt.inspection.corpora import find_corpus
        from shakegpt.inspection.heads import loss_without, score_heads, score_induction

        if run not in self._corpora:
            self._corpora[run] = find_corpus(self._store, run, model.vocabulary, self._keep_note)
        corpus = self._corpora[run]
        if corpus is None:
            self._publish(HeadFacts(model, note=self._note))
            return
        text, facts = corpus.validation_text, self._facts
        if facts is None or facts.model is not model or facts.scores is None:
            scores, induction = score_heads(model, text, windows=_SCORE_WINDOWS), score_induction(model)
            facts = HeadFacts(model, corpus.name, scores=scores, induction=induction)
            self._publish(facts)
        sets = [frozenset({head}) for head in sorted(muted)] + [muted] * (len(muted) > 1)
        for heads in [frozenset[Head](), *sets] if muted else []:
            if heads in facts.losses:
                continue
            loss = loss_without(model, heads, text, stop=self._is_stale(model))
            if self._is_stale(model)():
                return
            whole = loss if not heads else facts.loss
            facts = replace(facts, loss=whole, losses={**facts.losses, heads: loss})
            self._publish(facts)

    def _is_stale(self, model: "LanguageModel") -> Callable[[], bool]:
        return lambda: self._closed or (self._wanted is not None and self._wanted[0] is not model)

    def _keep_note(self, note: str) -> None:
        self._note = note

    def _publish(self, facts: HeadFacts) -> None:
        self._facts = facts
        self._on_update(facts)
