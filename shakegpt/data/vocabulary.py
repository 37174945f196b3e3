"""The vocabulary: the sorted distinct characters of a corpus, and their token ids."""

from collections.abc import Iterable

from shakegpt.errors import UnknownCharacterError
from shakegpt.system.text import name_character


class Vocabulary:
    """A mapping between characters and token ids, both ways.

    Args:
        characters: the distinct characters, in the order of their ids.

    Raises:
        ValueError: there are none, or one is repeated.
    """

    def __init__(self, characters: str) -> None:
        if not characters:
            raise ValueError("A vocabulary needs at least one character.")
        self.characters = characters
        self.itos: tuple[str, ...] = tuple(characters)
        self.stoi: dict[str, int] = {character: index for index, character in enumerate(characters)}
        if len(self.stoi) != len(self.itos):
            raise ValueError("A vocabulary has each character once.")

    @classmethod
    def of(cls, text: str, *, first: str = "") -> "Vocabulary":
        """Return the vocabulary of a text: its distinct characters in code point order.

        Args:
            text: any text.
            first: distinct characters that come before all others, whether the text has them or not.
        """
        return cls(first + "".join(sorted(set(text) - set(first))))

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``.

        Raises:
            UnknownCharacterError: a character is outside the vocabulary; the message names it and its position.
        """
        try:
            return [self.stoi[character] for character in text]
        except KeyError:
            position = next(index for index, character in enumerate(text) if character not in self.stoi)
            raise UnknownCharacterError(name_character(text[position]), position + 1, self.describe()) from None

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of token ids. Raises ``IndexError`` for an id outside the vocabulary."""
        return "".join(self.itos[index] for index in ids)

    def describe(self) -> str:
        """Describe the vocabulary in a few words: its size and its first visible characters."""
        visible = "".join(character for character in self.characters if character.isprintable() and character != " ")
        return f"{len(self)} characters: {visible if len(visible) <= 100 else f'{visible[:100]}…'}"

    def __len__(self) -> int:
        return len(self.itos)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.characters == other.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def __repr__(self) -> str:
        return f"Vocabulary({self.characters!r})"
