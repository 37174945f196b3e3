"""The key of the new-run form that finds a learning rate: a range test with the form's settings, in its own process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.message import Message

from shakegpt.errors import ShakegptError
from shakegpt.training.rate_finder import FoundRate, RangeProgress, RateFinder
from shakegpt.training.setup import TrainingRequest
from shakegpt.tui import formatting
from shakegpt.tui.training.text_fetching import Purpose, TextFetching

MakeFinder = Callable[[TrainingRequest], RateFinder]
FINDER_KEY = "ctrl+t"
_IRRELEVANT = ("run", "steps", "ema")
"""Fields that a test does not depend on."""


class RateSearch(TextFetching):
    """A form that can find a rate. A test of settings that have changed since is ended.

    Args:
        make_finder: makes the test of a request.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            FINDER_KEY,
            "find_rate",
            "Find a rate",
            id="new-run.find-rate",
            tooltip="Find a learning rate for these settings: a short training at rising rates",
        ),
    ]

    @dataclass
    class Progress(Message):
        """The test has taken a step."""

        finder: RateFinder
        progress: RangeProgress

        def can_replace(self, message: Message) -> bool:
            """Take the place of an older one that still waits."""
            return isinstance(message, RateSearch.Progress)

    @dataclass
    class Ended(Message):
        """The test has found a rate, or ``error`` says why it has not."""

        finder: RateFinder
        found: FoundRate | None
        error: str = ""

    def __init__(self, make_finder: MakeFinder | None) -> None:
        super().__init__()
        self._make_finder = make_finder
        self._finder: RateFinder | None = None
        self._asked: dict[str, str] | None = None
        """The fields of the search that is on its way, or that has found something."""
        self._found: tuple[str, str] | None = None
        """What was written into the field, and the line that says why."""
        self._progress = ""

    @property
    def values(self) -> dict[str, str]:
        """Every field as it was last typed or chosen."""
        raise NotImplementedError

    def rate_request(self) -> TrainingRequest | None:
        """Return what to test; ``None`` where a field is wrong, which has been shown."""
        raise NotImplementedError

    def fill_in_rate(self, text: str) -> None:
        """Write a rate into its field."""
        raise NotImplementedError

    @property
    def finds_rates(self) -> bool:
        """Whether it can find a rate."""
        return self._make_finder is not None

    @property
    def searching(self) -> bool:
        """Whether a search is on its way."""
        return bool(self._progress)

    @property
    def rate_note(self) -> str:
        """How far the search has come, or why it found what stands in the field."""
        if self._found is not None and self.values["learning_rate"] == self._found[0]:
            return self._found[1]
        return self._progress

    def action_find_rate(self) -> None:
        """Begin a search, unless one is on its way."""
        if self.searching or self._make_finder is None or (request := self.rate_request()) is None:
            return
        self._asked, self._found = _relevant(self.values), None
        self._show_progress("Looking for the text…")
        self.fetch_text("find a rate", request)

    def end_search(self) -> None:
        """End a search; what it has found meanwhile is not used."""
        if not self.searching:
            return
        self._progress = ""
        self.cancel_fetch()
        if self._finder is not None:
            self._finder.cancel()
            self._finder = None

    def check_search(self, values: Mapping[str, str]) -> str:
        """End the search where it is one for other settings than those of the form now; return a note of that."""
        if not self.searching or _relevant(values) == self._asked:
            return ""
        self.end_search()
        return f"The settings have changed, so the search for a rate was ended; {FINDER_KEY} begins another."

    def on_unmount(self) -> None:
        """End the process of the test with the form."""
        self.end_search()

    def use_text(self, purpose: Purpose, request: TrainingRequest) -> None:  # noqa: ARG002
        """Begin the test."""
        if self._make_finder is not None:
            self._finder = self._make_finder(request)
            self._show_progress("Trying rates, from far too low to far too high…")
            self._find(self._finder)

    def fetch_failed(self, error: str) -> None:
        """Show why there is no text to test rates on, or to train on."""
        self._progress = ""
        super().fetch_failed(error)

    @work(thread=True, group="find-rate", exit_on_error=False)
    def _find(self, finder: RateFinder) -> None:
        try:
            found = finder.find(lambda progress: self._report(finder, progress))
        except ShakegptError as error:
            self.post_message(self.Ended(finder, None, str(error)))
        else:
            self.post_message(self.Ended(finder, found))

    def _report(self, finder: RateFinder, progress: RangeProgress) -> None:
        self.post_message(self.Progress(finder, progress))

    def on_rate_search_progress(self, message: Progress) -> None:
        """Show how far the test has come."""
        if message.finder is self._finder:
            at = message.progress
            rate, loss = formatting.scientific(at.learning_rate), formatting.decimal(at.loss)
            self._show_progress(f"Trying rates: step {at.step} of {at.steps}, rate {rate}, loss {loss}")

    def on_rate_search_ended(self, message: Ended) -> None:
        """Fill the field in, or show why there is nothing to fill in."""
        if message.finder is not self._finder:
            return
        self._finder, self._progress = None, ""
        if message.found is None:
            self.show_message(message.error)
            return
        rate = formatting.scientific(message.found.learning_rate).replace(".0e", "e")
        self._found = (rate, f"Rate {rate}: {message.found.reason}.")
        self.fill_in_rate(rate)
        self.show_message()

    def _show_progress(self, sentence: str) -> None:
        self._progress = f"{sentence} · esc ends it"
        self.show_message()


def _relevant(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in _IRRELEVANT}
