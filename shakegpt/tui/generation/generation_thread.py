"""A model's voice: the thread that draws characters, and what it tells the screen."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol

from shakegpt.config import SamplingConfig
from shakegpt.errors import ShakegptError

FRAME = 1 / 30
"""Seconds between two looks at a stream: what is drawn meanwhile travels to the screen together."""
LIKELIEST = 10
"""Characters shown of a distribution."""
_ENDLESS = 2**31 - 1

State = Literal["opening", "speaking", "resting", "ended", "failed"]
Finish = Literal["length", "stop"]


class Choice(Protocol):
    """A character that could come next."""

    @property
    def character(self) -> str:
        """The character."""

    @property
    def uncut_probability(self) -> float:
        """Its probability before the cuts."""

    @property
    def probability(self) -> float:
        """Its probability of being drawn."""

    @property
    def cut(self) -> bool:
        """Whether a filter removed it."""


class Distribution(Protocol):
    """What a character is drawn from."""

    @property
    def entropy(self) -> float:
        """In bits, of what is drawn from."""

    def likeliest(self, count: int) -> Sequence[Choice]:
        """Return the characters that are likeliest before the cuts."""


class Character(Protocol):
    """One character of a stream."""

    @property
    def text(self) -> str:
        """The character."""

    @property
    def probability(self) -> float:
        """How likely the model held it."""

    @property
    def distribution(self) -> Distribution:
        """What it was drawn from."""


class Stream(Protocol):
    """As much of ``shakegpt.generation.stream.Stream`` as a voice needs."""

    def step(self, choice: str | None = None) -> Sequence[Character]:
        """Draw one character, or take the one chosen by hand."""

    def peek(self) -> Distribution:
        """Return what the next character would be drawn from."""


class Opened(NamedTuple):
    """A stream ready to be drawn from, and the model behind it."""

    stream: Stream
    model: str
    """Such as ``macbeth@500`` or ``macbeth (live)``."""
    step: int = 0
    val_loss: float | None = None


class Drawn(NamedTuple):
    """A character that was spoken."""

    text: str
    probability: float


@dataclass(frozen=True)
class Outlook:
    """A distribution, as far as it is shown."""

    choices: tuple[Choice, ...]
    entropy: float
    drawn: str | None = None
    """The character drawn from it; ``None`` while it is still to be drawn."""


@dataclass(frozen=True)
class News:
    """What has happened since the last look."""

    state: State
    drawn: tuple[Drawn, ...] = ()
    outlook: Outlook | None = None
    finish: Finish | None = None
    error: str = ""
    model: Opened | None = None


class Voice(threading.Thread):
    """A thread that speaks one passage: draws, rests, goes on, and takes single steps, until it is closed.

    It owns its stream. Every order returns at once and acts between two characters.

    Args:
        open_stream: loads the model and opens the stream, in this thread; gets the settings to read before each draw.
        settings: the knobs as they stand now; called from this thread.
        on_news: called from this thread when there is something to ``collect``, and not again before it is collected.
        until: a text that ends the passage; it may be the last that is drawn.
        rest: begin by waiting, with the outlook on the first character.
        pace: characters a second; 0 is as fast as it goes.
    """

    def __init__(
        self,
        open_stream: Callable[[Callable[[], SamplingConfig]], Opened],
        settings: Callable[[], SamplingConfig],
        *,
        on_news: Callable[["Voice"], None],
        until: str = "",
        rest: bool = False,
        pace: float = 0,
    ) -> None:
        super().__init__(name="voice", daemon=True)
        self.pace = pace
        self.watched = rest
        """Whether anyone looks at the outlook; working it out for every frame costs a little."""
        self.frame = FRAME
        """Seconds between two looks: a costly page is looked at less often."""
        self._open_stream = open_stream
        self._settings = settings
        self._on_news = on_news
        self._until = until
        self._orders = threading.Condition()
        self._going = not rest
        self._look = rest
        self._closing = False
        self._steps: deque[str | None] = deque()
        self._state: State = "opening"
        self._finish: Finish | None = None
        self._error = ""
        self._model: Opened | None = None
        self._drawn: list[Drawn] = []
        self._outlook: Outlook | None = None
        self._announced = False
        self._count = self._began = 0
        self._tail = ""
        self._due = self._shown = 0.0

    # -- orders, from any thread

    def stop(self) -> None:
        """Fall silent after the character at hand."""
        self._order(going=False)

    def go_on(self) -> None:
        """Speak on, for as many characters again where the length was reached."""
        self._order(going=True)

    def step(self, choice: str | None = None) -> None:
        """Draw one character, or take this one, and rest."""
        with self._orders:
            self._renew()
            self._steps.append(choice)
            self._going = False
            self._orders.notify()

    def look(self) -> None:
        """Work out the outlook anew where the voice rests: a knob was turned."""
        with self._orders:
            self._look = True
            self._orders.notify()

    def close(self) -> None:
        """End the thread after the character at hand; its words stay to be collected."""
        with self._orders:
            self._closing = True
            self._orders.notify()

    def collect(self) -> News:
        """Take everything that has happened since the last time."""
        with self._orders:
            self._announced = False
            drawn, self._drawn = tuple(self._drawn), []
            return News(self._state, drawn, self._outlook, self._finish, self._error, self._model)

    def _order(self, *, going: bool) -> None:
        with self._orders:
            if going:
                self._renew()
                if self._state in ("resting", "ended"):
                    self._state = "speaking"
            self._going = going
            self._orders.notify()

    def _renew(self) -> None:
        if self._finish:
            self._finish = None
            self._began = self._count

    # -- the thread

    def run(self) -> None:
        """Open the stream and follow orders; a fail becomes news."""
        try:
            model = self._open_stream(lambda: replace(self._settings(), length=_ENDLESS, stop=()))
            with self._orders:
                self._model = model
            while self._await_order():
                with self._orders:
                    choice = self._steps.popleft() if self._steps else None
                self._speak(model.stream, choice)
        except ShakegptError as error:
            self._fail(str(error))
        except MemoryError:
            self._fail("There is not enough memory to load this model; choose a smaller one with o.")
        except Exception as error:
            self._fail(f"The model could not speak: {type(error).__name__}: {error}")

    def _await_order(self) -> bool:
        """Wait for the next character's turn; false once closed."""
        while True:
            with self._orders:
                if self._closing:
                    return False
                if self._steps:
                    return True
                if self._going and self._count - self._began >= self._settings().length:
                    self._end("length")
                if self._going:
                    self._state = "speaking"
                    now = time.monotonic()
                    if now >= self._due:
                        return True
                    self._show(now)
                    self._orders.wait(min(self._due - now, self.frame))
                    continue
                if not self._look and self._state in ("resting", "ended"):
                    self._orders.wait()
                    continue
                self._look = False
            self._rest()

    def _rest(self) -> None:
        # Without the lock: whoever gives an order must not wait for the model.
        outlook = _outlook(self._model.stream.peek()) if self.watched and self._model else None
        with self._orders:
            self._outlook = outlook
            if not self._going:
                self._state = "ended" if self._finish else "resting"
                self._announce()

    def _speak(self, stream: Stream, choice: str | None) -> None:
        (character,) = stream.step(choice)
        drawn = Drawn(character.text, character.probability)
        now = time.monotonic()
        fresh = now - self._shown >= self.frame
        outlook = _outlook(character.distribution, character.text) if fresh and self.watched else None
        with self._orders:
            self._drawn.append(drawn)
            self._count += 1
            self._due = max(self._due + 1 / self.pace, now) if self.pace else 0.0
            self._outlook = outlook or self._outlook
            if self._until:
                self._tail = (self._tail + drawn.text)[-len(self._until) :]
                if self._tail == self._until:
                    self._tail = ""
                    self._end("stop")
            if self._going:
                self._show(now)
            else:
                self._look = True

    def _show(self, now: float) -> None:
        """Announce what was drawn, once a frame."""
        if self._drawn and now - self._shown >= self.frame:
            self._shown = now
            self._announce()

    def _end(self, finish: Finish) -> None:
        self._going = False
        self._look = True
        self._finish = finish

    def _fail(self, error: str) -> None:
        with self._orders:
            self._state, self._error = "failed", error
            self._announce()

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._on_news(self)


def _outlook(distribution: Distribution, drawn: str | None = None) -> Outlook:
    return Outlook(tuple(distribution.likeliest(LIKELIEST)), distribution.entropy, drawn)
