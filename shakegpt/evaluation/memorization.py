"""How much of what a model writes stands word for word in the text it learned from."""

from collections.abc import Iterator
from dataclasses import dataclass

WINDOW = 40
"""Characters of a window: about a line of verse, longer than chance or idiom explains."""


@dataclass(frozen=True)
class Memorization:
    """What was found in common."""

    characters: int
    """How many generated characters were looked at."""
    longest_run: str
    """The longest run of them that stands in the training text."""
    copied_share: float
    """The share of their windows of ``WINDOW`` characters that do."""


def measure_memorization(written: str, learned: str) -> Memorization:
    """Compare what a model wrote with what it learned from.

    Args:
        written: generated text.
        learned: the training split.
    """
    return Memorization(
        characters=len(written),
        longest_run=longest_common_substring(written, learned),
        copied_share=copied_share_of(written, learned, WINDOW),
    )


def longest_common_substring(written: str, learned: str) -> str:
    """Return the longest run of characters that stands in both texts, the first of equals; empty where there is none.

    A text that holds a run holds every shorter part of it, so the length is found by bisection: a pass over both
    texts for each length tried. Runs are short, so the upper end is found by doubling first.
    """
    shortest, longest, found = 0, 16, ""
    most = min(len(written), len(learned))
    while longest < most and (run := _common_run(written, learned, longest)):
        shortest, found, longest = longest, run, 2 * longest
    longest = min(longest, most)
    while shortest < longest:
        width = (shortest + longest + 1) // 2
        if run := _common_run(written, learned, width):
            shortest, found = width, run
        else:
            longest = width - 1
    return found


def copied_share_of(written: str, learned: str, width: int) -> float:
    """Return the share of the windows of ``written`` that stand in ``learned``; 0 where it has none."""
    known = _windows(learned, width)
    windows = list(_slide(written, width))
    return sum(window in known for window in windows) / len(windows) if windows else 0.0


def _common_run(written: str, learned: str, width: int) -> str:
    """Return the first run of ``width`` characters that stands in both; empty where there is none."""
    known = _windows(learned, width)
    return next((window for window in _slide(written, width) if window in known), "")


def _windows(text: str, width: int) -> set[str]:
    return set(_slide(text, width))


def _slide(text: str, width: int) -> Iterator[str]:
    return (text[start : start + width] for start in range(len(text) - width + 1))
