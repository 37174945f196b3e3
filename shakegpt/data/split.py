"""How a text is split: its beginning trains, its end validates."""

from shakegpt.errors import CorpusError
from shakegpt.system.text import count

TRAIN_SHARE = 0.9


def training_characters(characters: int) -> int:
    """Return how many characters of a text train; those after them validate."""
    return int(TRAIN_SHARE * characters)


def check_length(name: str, characters: int, block_size: int) -> None:
    """Check that both parts of a text are longer than a window of ``block_size`` characters.

    Args:
        name: what the message calls the text.
        characters: how many it has.
        block_size: of the model.

    Raises:
        CorpusError: it is too short.
    """
    length = characters - training_characters(characters)
    if length <= block_size:
        raise CorpusError(
            f"The corpus {name} is too short: its validation split has {count(length, 'character')} and one "
            f"window takes {block_size + 1:,}; give a text of at least {10 * (block_size + 1):,} characters."
        )
