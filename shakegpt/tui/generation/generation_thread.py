"""The thread that generates, and what it tells the screen."""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from shakegpt.errors import ShakegptError, UnknownCharacterError

if TYPE_CHECKING:
    from shakegpt.generation.stream import Character, Choice, Distribution, Stream
    from shakegpt.model.language_model import LanguageModel

FRAME_SECONDS = 1 / 30
TINTED_FRAME_SECONDS = 1 / 8
LIKELIEST = 10
"""Characters shown of a distribution."""


class GenerationState(Enum):
    """What a generation thread is doing."""

    LOADING = auto()
    GENERATING = auto()
    PAUSED = auto()
    FINISHED = auto()
    """The length or a stop text was reached; it can be resumed."""
    FAILED = auto()


class GeneratedCharacter(NamedTuple):
    """A character, and its probability under the model."""

    text: str
    probability: float


@dataclass
class GenerationOptions:
    """How all texts of the screen are generated and shown; threads read it before every character."""

    characters_per_second: int = 0
    """The greatest speed; 0 is as fast as the model is."""
    show_next: bool = False
    """Whether updates carry the next character's distribution, which costs a little at each of them."""
    frame_seconds: float = FRAME_SECONDS
    """Time between two updates: what is generated meanwhile travels to the screen together."""


@dataclass(frozen=True)
class NextCharacterView:
    """What is shown of the distribution of a character."""

    choices: "tuple[Choice, ...]"
    """The likeliest, likeliest first."""
    entropy: float
    """In bits."""
    cut: float = 0.0
    """The probability, before the cuts, of all characters that were cut."""
    drawn: str | None = None
    """The character drawn from it; ``None`` while that is still to come."""
    rank: int | None = None
    """The place of that character among all, from 1."""
    drawn_choice: "Choice | None" = None
    """That character with its probabilities."""
    position: int | None = None
    """The place in the text of a character that was walked back to; another can be picked there."""
    model_probabilities: Mapping[str, float] = field(default_factory=dict)
    """There, the probability of every character under the model, before penalty, temperature and cuts."""

    @property
    def open(self) -> bool:
        """Whether a character can be picked from it."""
        return self.drawn is None or self.position is not None

    @classmethod
    def of(
        cls, distribution: "Distribution", drawn: str | None = None, position: int | None = None
    ) -> "NextCharacterView":
        """Return the likeliest characters of a distribution, its entropy, and what was cut."""
        ranked = distribution.likeliest(sys.maxsize)
        rank = next((rank for rank, choice in enumerate(ranked, 1) if choice.character == drawn), None)
        return cls(
            tuple(ranked[:LIKELIEST]),
            distribution.entropy,
            sum(choice.uncut_probability for choice in ranked if choice.cut),
            drawn,
            rank,
            ranked[rank - 1] if rank else None,
            position,
            dict(zip(distribution.characters, distribution.model_probabilities, strict=True))
            if position is not None
            else {},
        )


@dataclass(frozen=True)
class Update:
    """What has happened since the last update."""

    state: GenerationState
    characters: tuple[GeneratedCharacter, ...] = ()
    next_character: NextCharacterView | None = None
    model: "LanguageModel | None" = None
    """The model that generates, once it is loaded."""
    error: str = ""
    unknown: UnknownCharacterError | None = None
    """Set where the error is that the model does not know a character of the prompt."""


class GenerationThread(threading.Thread):
    """A thread that owns a stream and generates from it until it is closed.

    Every command returns at once and acts between two characters.

    Args:
        open_stream: loads the model and opens the stream; called in this thread.
        on_update: called from this thread when there is an update, and then not again before it is collected.
        options: read before every character.
        paused: pause before the first character.
    """

    def __init__(
        self,
        open_stream: "Callable[[], Stream]",
        *,
        on_update: Callable[["GenerationThread"], None],
        options: GenerationOptions,
        paused: bool = False,
    ) -> None:
        super().__init__(name="generation", daemon=True)
        self._options = options
        self._open_stream = open_stream
        self._on_update = on_update
        self._changed = threading.Condition()  # guards what follows
        self._commands: deque[Callable[[Stream], None]] = deque([self._pause] if paused else [])
        self._state = GenerationState.LOADING
        self._characters: list[GeneratedCharacter] = []
        self._next_character: NextCharacterView | None = None
        self._model: LanguageModel | None = None
        self._error = ""
        self._unknown: UnknownCharacterError | None = None
        self._update_waits = False
        self._closed = False
        self._looks = 0
        self._due = self._updated_at = 0.0  # on the monotonic clock

    # Commands, from any thread

    def pause(self) -> None:
        """Pause after the current character."""
        self._send(self._pause)

    def resume(self, *, extend: bool = True) -> None:
        """Go on; where generation was finished, for as many characters again, unless ``extend`` is false."""
        with self._changed:
            if self._state is GenerationState.FINISHED:
                if not extend:
                    return
                self._commands.append(lambda stream: stream.extend())
            if self._state in (GenerationState.PAUSED, GenerationState.FINISHED):
                self._state = GenerationState.GENERATING
        self._send(self._resume)

    def step(self, choice: str | None = None) -> None:
        """Generate one character, drawn or chosen by hand, and pause."""
        self._send(partial(self._step, choice))

    def refresh_next(self) -> None:
        """Compute the next character's distribution again while paused: the settings have changed."""
        self._send(self._refresh_next)

    def look(self, open_stream: "Callable[[], Stream]", drawn: str, position: int) -> None:
        """While paused, compute what another stream would draw next: at ``position`` of the text, where ``drawn`` is.

        Of several looks that wait, only the last is taken.
        """
        self._looks += 1
        self._send(partial(self._look, open_stream, drawn, position, self._looks))

    @property
    def language_model(self) -> "LanguageModel | None":
        """The model that generates, once it is loaded."""
        with self._changed:
            return self._model

    def close(self) -> None:
        """End the thread after the current character; the last update can still be collected."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def collect(self) -> Update:
        """Return everything that has happened since the last call."""
        with self._changed:
            self._update_waits = False
            characters, self._characters = tuple(self._characters), []
            return Update(self._state, characters, self._next_character, self._model, self._error, self._unknown)

    def _send(self, command: "Callable[[Stream], None]") -> None:
        with self._changed:
            self._commands.append(command)
            self._changed.notify()

    # In the thread

    def run(self) -> None:
        """Open the stream, then generate and follow commands; any error becomes an update."""
        try:
            stream = self._open_stream()
            with self._changed:
                self._model, self._state = stream.language_model, GenerationState.GENERATING
            while command := self._next_command():
                command(stream)
        except UnknownCharacterError as error:
            self._unknown = error
            self._fail(str(error))
        except ShakegptError as error:
            self._fail(str(error))
        except MemoryError:
            self._fail("There is not enough memory to load this model; choose a smaller one with c.")
        except Exception as error:
            self._fail(f"The model could not generate text: {type(error).__name__}: {error}")

    def _next_command(self) -> "Callable[[Stream], None] | None":
        """Wait for a command, or until the next character is due; return ``None`` once closed."""
        with self._changed:
            while not self._closed:
                if self._commands:
                    return self._commands.popleft()
                if self._state is not GenerationState.GENERATING:
                    self._changed.wait()
                    continue
                now = time.monotonic()
                if now >= self._due:
                    return self._generate
                self._announce_frame(now)
                self._changed.wait(min(self._due - now, self._options.frame_seconds))
        return None

    def _generate(self, stream: "Stream") -> None:
        character = next(stream, None)
        if character is None:
            self._rest(stream, GenerationState.FINISHED)
        else:
            self._add([character])

    def _pause(self, stream: "Stream") -> None:
        if self._state is GenerationState.GENERATING:
            self._add(stream.release())
            self._rest(stream, GenerationState.PAUSED)

    def _resume(self, _stream: "Stream") -> None:
        with self._changed:
            self._state = GenerationState.GENERATING

    def _step(self, choice: str | None, stream: "Stream") -> None:
        if self._state is GenerationState.FINISHED:
            stream.extend()
        self._add(stream.step(choice))
        self._rest(stream, GenerationState.FINISHED if stream.finish == "stop" else GenerationState.PAUSED)

    def _refresh_next(self, stream: "Stream") -> None:
        if self._state is not GenerationState.GENERATING:
            self._rest(stream, self._state)

    def _look(
        self, open_stream: "Callable[[], Stream]", drawn: str, position: int, number: int, _stream: "Stream"
    ) -> None:
        if self._state is GenerationState.GENERATING or number != self._looks:
            return
        view = NextCharacterView.of(open_stream().peek(), drawn, position)
        with self._changed:
            self._next_character = view
            self._announce()

    def _rest(self, stream: "Stream", state: GenerationState) -> None:
        # Without the lock: commands return at once, whatever the model takes.
        view = NextCharacterView.of(stream.peek()) if self._options.show_next else None
        with self._changed:
            self._state, self._next_character = state, view
            self._announce()

    def _add(self, characters: "list[Character]") -> None:
        now = time.monotonic()
        view = None
        if characters and self._options.show_next and now - self._updated_at >= self._options.frame_seconds:
            view = NextCharacterView.of(characters[-1].distribution, characters[-1].text)
        added = [GeneratedCharacter(character.text, character.probability) for character in characters]
        with self._changed:
            self._characters += added
            self._next_character = view or self._next_character
            speed = self._options.characters_per_second
            self._due = max(self._due + 1 / speed, now) if speed else 0.0
            self._announce_frame(now)

    def _announce_frame(self, now: float) -> None:
        if self._characters and now - self._updated_at >= self._options.frame_seconds:
            self._updated_at = now
            self._announce()

    def _announce(self) -> None:
        if not self._update_waits:
            self._update_waits = True
            self._on_update(self)

    def _fail(self, error: str) -> None:
        with self._changed:
            self._state, self._error = GenerationState.FAILED, error
            self._announce()
