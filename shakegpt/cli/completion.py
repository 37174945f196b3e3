"""Completion of ``RUN@last`` and ``--option=value`` in bash, for which ``@`` and ``=`` are words of their own."""

import io
import os
from collections.abc import Callable
from contextlib import redirect_stdout


def complete_for_bash(complete: Callable[[], object]) -> None:
    """Answer bash: put the words together that it cut at ``@`` and ``=``, and print what goes in place of the last.

    Args:
        complete: answers for the words in the environment, as Typer does: prints a completion a line.
    """
    words = os.environ.get("COMP_WORDS", "").split("\n")  # as the script that Typer installs joins them
    position = int(os.environ.get("COMP_CWORD", "0"))
    joined, place = _join(words, position)
    os.environ |= {"COMP_WORDS": "\n".join(joined), "COMP_CWORD": str(place)}
    output = io.StringIO()
    try:
        with redirect_stdout(output):
            complete()
    finally:  # it ends by SystemExit
        word = joined[place] if place < len(joined) else ""
        cut = word not in words[position : position + 1]  # not where the user has taken @ out of COMP_WORDBREAKS
        value = word.partition("=")[2] if word.startswith("--") else word
        done = value.rpartition("@")[0] if cut else ""  # bash has this already, and replaces the rest
        print("\n".join(line.removeprefix(done) for line in output.getvalue().splitlines()))


def _join(words: list[str], position: int) -> tuple[list[str], int]:
    """Return the words with ``RUN``, ``@``, ``last`` as one, and the place of the word at the cursor among them."""
    joined = words[:2]  # the program, and a command or an option
    place = position
    for index, word in enumerate(words[2:], start=2):
        before = words[index - 1]
        option = joined[-1].startswith("--")
        if word == "@" or before == "@" or (option and (word == "=" or before == "=")):
            joined[-1] += word
            place -= index <= position
        else:
            joined.append(word)
    return joined, place
