"""How much of a generated text is copied word for word from the training text."""

from collections.abc import Iterator
from dataclasses import dataclass

WINDOW = 40
"""Characters in a row that count as copied: about a line of verse, longer than chance or idiom explains."""


@dataclass(frozen=True)
class Memorization:
    """What a generated text has in common with the training text."""

    characters: int
    """The length of the generated text."""
    longest_run: str
    """The longest part of it that is in the training text."""
    copied_share: float
    """The share of its windows of ``WINDOW`` characters that are in the training text."""


def measure_memorization(generated: str, training: str) -> Memorization:
    """Compare a generated text with the training text."""
    return Memorization(
        characters=len(generated),
        longest_run=longest_common_substring(generated, training),
        copied_share=common_window_share(generated, training, WINDOW),
    )


def longest_common_substring(generated: str, training: str) -> str:
    """Return the longest part of ``generated`` that is in ``training`` too, the first of equals; empty where none is.

    A text that contains a string contains every part of it, so the length is found by bisection, with a pass over both
    texts for each length tried. Common parts are short, so the upper bound is found by doubling first.
    """
    low, high, found = 0, 16, ""
    length = min(len(generated), len(training))
    while high < length and (common := _common_substring(generated, training, high)):
        low, found, high = high, common, 2 * high
    high = min(high, length)
    while low < high:
        width = (low + high + 1) // 2
        if common := _common_substring(generated, training, width):
            low, found = width, common
        else:
            high = width - 1
    return found


def common_window_share(generated: str, training: str, width: int) -> float:
    """Return the share of the windows of ``generated`` that are in ``training``; 0 where it has none."""
    known = set(_windows(training, width))
    windows = list(_windows(generated, width))
    return sum(window in known for window in windows) / len(windows) if windows else 0.0


def _common_substring(generated: str, training: str, width: int) -> str:
    """Return the first ``width`` characters in a row that are in both; empty where there are none."""
    known = set(_windows(training, width))
    return next((window for window in _windows(generated, width) if window in known), "")


def _windows(text: str, width: int) -> Iterator[str]:
    return (text[start : start + width] for start in range(len(text) - width + 1))
